package squashfs

import (
	"fmt"
	"slices"
	"strings"

	"sextant/internal/fault"
	"sextant/internal/tree"
)

const (
	maxXattrName  = 255     // XATTR_NAME_MAX
	maxXattrValue = 1 << 16 // XATTR_SIZE_MAX
	maxXattrNames = 1 << 16 // XATTR_LIST_MAX: all names of a file, in bytes
)

// xattrsOf reads the extended attributes of an inode, sorted by name.
func (fs *FS) xattrsOf(n *inode) ([]tree.Xattr, error) {
	if n.xattr == none32 || fs.super.XattrTable == none {
		return nil, nil
	}
	list, err := fs.xattrList(n.xattr)
	if err != nil {
		return nil, fmt.Errorf("inode %d: xattrs %d: %w", n.number, n.xattr, err)
	}
	return list, nil
}

// xattrList reads the attributes with the given number.
func (fs *FS) xattrList(id uint32) ([]tree.Xattr, error) {
	at, err := fs.seek(&fs.xattrIDs, int64(id))
	if err != nil {
		return nil, err
	}
	var e xattrEntry
	if err := at.decode(&e); err != nil {
		return nil, err
	}
	c, err := fs.cursorAt(fs.xattrs, e.List)
	if err != nil {
		return nil, err
	}
	var list []tree.Xattr
	names := 0
	for range e.Count {
		x, err := fs.readXattr(c)
		if err != nil {
			return nil, err
		}
		if names += len(x.Name) + 1; names > maxXattrNames {
			return nil, fmt.Errorf("names of more than %d bytes: %w", maxXattrNames, fault.ErrUnsupported)
		}
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b tree.Xattr) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(list); i++ {
		if list[i].Name == list[i-1].Name {
			return nil, corrupt("%s is there twice", list[i].Name)
		}
	}
	return list, nil
}

func (fs *FS) readXattr(c *cursor) (tree.Xattr, error) {
	var k xattrKey
	if err := c.decode(&k); err != nil {
		return tree.Xattr{}, err
	}
	prefix, ok := xattrPrefix(k.Type)
	if !ok {
		return tree.Xattr{}, corrupt("name prefix %#x is not known", k.Type)
	}
	if int(k.Size)+len(prefix) > maxXattrName || k.Size == 0 {
		return tree.Xattr{}, corrupt("name of %s and %d bytes", prefix, k.Size)
	}
	name, err := c.text(int(k.Size))
	if err != nil {
		return tree.Xattr{}, err
	}
	if strings.Contains(name, "\x00") {
		return tree.Xattr{}, corrupt("name %q contains a NUL", name)
	}
	value, err := fs.readXattrValue(c, k.Type&outOfLine != 0)
	if err != nil {
		return tree.Xattr{}, fmt.Errorf("%s%s: %w", prefix, name, err)
	}
	return tree.Xattr{Name: prefix + name, Value: value}, nil
}

func xattrPrefix(kind uint16) (string, bool) {
	switch kind &^ outOfLine {
	case xattrUser:
		return "user.", true
	case xattrTrusted:
		return "trusted.", true
	case xattrSecurity:
		return "security.", true
	}
	return "", false
}

// readXattrValue reads a value. One that several lists share is stored once,
// and elsewhere stands a reference to it.
func (fs *FS) readXattrValue(c *cursor, elsewhere bool) ([]byte, error) {
	var size uint32
	if err := c.decode(&size); err != nil {
		return nil, err
	}
	if elsewhere {
		var ref Ref
		if size != 8 {
			return nil, corrupt("reference of %d bytes", size)
		}
		if err := c.decode(&ref); err != nil {
			return nil, err
		}
		var err error
		if c, err = fs.cursorAt(fs.xattrs, ref); err != nil {
			return nil, err
		}
		if err := c.decode(&size); err != nil {
			return nil, err
		}
	}
	if size > maxXattrValue {
		return nil, fmt.Errorf("value of %d bytes: %w", size, fault.ErrUnsupported)
	}
	value := make([]byte, size)
	return value, c.read(value)
}
