package extract

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"sextant/internal/linux/inode"
	"sextant/internal/tree"
)

// special makes a device, fifo or socket.
func (x *extraction) special(dir *place, name string, node *tree.Inode) (made bool, err error) {
	err = inode.Mknod(dir.file, name, uint32(node.Mode), node.Device.Major, node.Device.Minor)
	if refused(err) {
		x.leave(kinds(node.Mode), path.Join(dir.at, name))
		return false, nil
	}
	return err == nil, err
}

func kinds(m tree.Mode) string {
	if m.IsDevice() {
		return "device nodes"
	}
	return m.Kind() + "s"
}

// refused reports whether the user or the file system may not, or cannot, do
// such a thing at all.
func refused(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported)
}

// setAttributes gives an entry all but its name and content. The owner comes
// first, as a new owner loses the set-id bits and the capabilities; then the
// attributes, while the owner may still write; an ACL comes behind the mode,
// which would change it.
func (x *extraction) setAttributes(dir *place, name string, node *tree.Inode) error {
	at := path.Join(dir.at, name)
	if err := x.setOwner(dir, name, at, node); err != nil {
		return err
	}
	for _, a := range node.Xattrs {
		if !isACL(a) {
			if err := x.setXattr(dir, name, at, a); err != nil {
				return err
			}
		}
	}
	if err := x.setMode(dir, name, at, node); err != nil {
		return err
	}
	for _, a := range node.Xattrs {
		if isACL(a) {
			if err := x.setXattr(dir, name, at, a); err != nil {
				return err
			}
		}
	}
	return setTime(dir, name, node)
}

func isACL(x tree.Xattr) bool { return strings.HasPrefix(x.Name, "system.posix_acl_") }

func (x *extraction) setOwner(dir *place, name, at string, node *tree.Inode) error {
	if x.opts.Owners {
		return dir.root.Lchown(name, int(node.UID), int(node.GID))
	}
	if !ownedByUs(node) {
		x.leave("owners", at)
	}
	return nil
}

// ownedByUs reports whether what we make belongs to whom it shall.
func ownedByUs(node *tree.Inode) bool {
	return int(node.UID) == os.Geteuid() && int(node.GID) == os.Getegid()
}

func (x *extraction) setXattr(dir *place, name, at string, a tree.Xattr) error {
	err := inode.SetXattr(dir.file, name, a.Name, a.Value)
	if refused(err) {
		class, _, _ := strings.Cut(a.Name, ".")
		x.leave("extended attributes "+class+".*", at)
		return nil
	}
	return err
}

// setMode sets the permission bits. Set-id bits need the owner they were meant
// for.
func (x *extraction) setMode(dir *place, name, at string, node *tree.Inode) error {
	if node.Mode.Type() == tree.TypeSymlink {
		return nil
	}
	mode := node.Mode
	if special := mode & (tree.SetUID | tree.SetGID); special != 0 && !x.opts.Owners && !ownedByUs(node) {
		mode &^= special
		x.leave("setuid and setgid bits", at)
	}
	err := inode.Chmod(dir.file, name, uint32(mode))
	if errors.Is(err, errors.ErrUnsupported) {
		return dir.root.Chmod(name, mode.FileMode())
	}
	return err
}

func setTime(dir *place, name string, node *tree.Inode) error {
	err := inode.SetTime(dir.file, name, node.ModTime)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if node.Mode.Type() == tree.TypeSymlink {
		return nil // no system but Linux is asked for that
	}
	return dir.root.Chtimes(name, node.ModTime, node.ModTime)
}

// finish gives the directories that we made their attributes, the inner ones
// first.
func (x *extraction) finish() error {
	for _, at := range slices.Backward(x.dirs) {
		if !x.ours[at] {
			continue
		}
		if err := x.finishDir(at); err != nil {
			return fmt.Errorf("/%s: %w", at, err)
		}
	}
	return nil
}

func (x *extraction) finishDir(at string) (err error) {
	dir, err := openPlace(x.root, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.close()) }()
	return x.setAttributes(dir, ".", x.tree.Lookup(at))
}

// SetAttributes gives what is at name in the directory root the owner, mode,
// time and extended attributes of node, and takes those of others away. It
// returns what could not be kept. A symbolic link at name is not followed, and
// what is of another type than node is left alone, with an error.
func SetAttributes(root *os.Root, name string, node *tree.Inode, opts Options) ([]LeftOut, error) {
	state, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if there := tree.ModeOf(state.Mode()); there.Type() != node.Mode.Type() {
		return nil, fmt.Errorf("%s is a %s, not a %s: %w", name, there.Kind(), node.Mode.Kind(), fs.ErrInvalid)
	}
	dir, err := openPlace(root, path.Dir(name))
	if err != nil {
		return nil, err
	}
	base := path.Base(name)
	x := &extraction{opts: opts}
	err = inode.KeepXattrs(dir.file, base, func(attribute string) bool {
		_, keep := node.Xattr(attribute)
		return keep
	})
	if err == nil {
		err = x.setAttributes(dir, base, node)
	}
	return x.left, errors.Join(err, dir.close())
}
