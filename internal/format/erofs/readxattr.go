package erofs

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"sextant/internal/span"
	"sextant/internal/tree"
)

// Xattrs returns the extended attributes of i, sorted by name.
func (i *Inode) Xattrs() ([]tree.Xattr, error) {
	list, err := i.xattrs(i.fs.sharedXattr)
	if err != nil {
		return nil, fmt.Errorf("inode %d: extended attributes: %w", i.NID, err)
	}
	return list, nil
}

// xattrs reads the xattrs of i, using shared for those stored elsewhere.
func (i *Inode) xattrs(shared func(id uint32) (tree.Xattr, error)) ([]tree.Xattr, error) {
	if i.xattrSize == 0 {
		return nil, nil
	}
	p, err := i.meta.bytes(span.Span{Offset: i.at + i.headSize() - i.xattrSize, Length: i.xattrSize})
	if err != nil {
		return nil, err
	}
	var header XattrHeader
	take(p[:xattrHeaderSize], &header)
	p = p[xattrHeaderSize:]
	if len(p) == 0 || int(header.SharedCount) > len(p)/4 {
		return nil, corrupt("%d shared entries are in %d bytes", header.SharedCount, len(p))
	}
	var list []tree.Xattr
	for range header.SharedCount {
		x, err := shared(binary.LittleEndian.Uint32(p))
		if err != nil {
			return nil, err
		}
		list, p = append(list, x), p[4:]
	}
	for len(p) > 0 {
		x, size, err := i.fs.parseXattr(p)
		if err != nil {
			return nil, err
		}
		list, p = append(list, x), p[size:]
	}
	return sortXattrs(list)
}

func sortXattrs(list []tree.Xattr) ([]tree.Xattr, error) {
	slices.SortStableFunc(list, func(a, b tree.Xattr) int { return cmp.Compare(a.Name, b.Name) })
	for k := 1; k < len(list); k++ {
		if list[k-1].Name == list[k].Name {
			return nil, corrupt("%q is there twice", list[k].Name)
		}
	}
	return list, nil
}

// xattrEntrySizeOf returns the length of an entry with padding.
func xattrEntrySizeOf(e XattrEntry) int64 {
	return span.AlignUp(xattrEntrySize+int64(e.NameLength)+int64(e.ValueSize), 4)
}

// parseXattr decodes the entry at the start of p and returns its length.
func (f *FS) parseXattr(p []byte) (x tree.Xattr, size int64, err error) {
	var e XattrEntry
	if len(p) < xattrEntrySize {
		return x, 0, corrupt("%d bytes are no entry", len(p))
	}
	take(p[:xattrEntrySize], &e)
	size = xattrEntrySizeOf(e)
	if size > int64(len(p)) {
		return x, 0, corrupt("an entry of %d bytes is in %d", size, len(p))
	}
	prefix, err := f.prefix(e.Prefix)
	if err != nil {
		return x, 0, err
	}
	name, value := p[xattrEntrySize:][:e.NameLength], p[xattrEntrySize+int(e.NameLength):][:e.ValueSize]
	x = tree.Xattr{Name: prefix + string(name), Value: value}
	if isACL := e.Prefix == PrefixACLAccess || e.Prefix == PrefixACLDefault; isACL != (len(name) == 0) && e.Prefix&prefixLong == 0 {
		return x, 0, corrupt("%q is no name", x.Name)
	}
	return x, size, nil
}

func (f *FS) prefix(p XattrPrefix) (string, error) {
	if p&prefixLong != 0 {
		if k := int(p &^ prefixLong); k < len(f.prefixes) {
			return f.prefixes[k], nil
		}
		return "", corrupt("long name prefix %d of %d", p&^prefixLong, len(f.prefixes))
	}
	if p.String() == "" {
		return "", unsupported("name prefix %d", p)
	}
	return p.String(), nil
}

func (f *FS) sharedInMetabox() bool {
	return f.super.FeatureCompat&CompatSharedInMetabox != 0 && f.metabox != nil
}

// sharedAt returns where the shared entry with number id is.
func (f *FS) sharedAt(id uint32) (area, int64) {
	at := int64(f.super.XattrBlock)<<f.super.BlockBits + 4*int64(id)
	if f.sharedInMetabox() {
		return f.metabox.area(), at
	}
	return f.image(), at
}

// sharedXattr reads the shared entry with number id.
func (f *FS) sharedXattr(id uint32) (tree.Xattr, error) {
	meta, at := f.sharedAt(id)
	p, err := meta.bytes(span.Span{Offset: at, Length: xattrEntrySize})
	if err != nil {
		return tree.Xattr{}, err
	}
	var e XattrEntry
	take(p, &e)
	if p, err = meta.bytes(span.Span{Offset: at, Length: xattrEntrySizeOf(e)}); err != nil {
		return tree.Xattr{}, err
	}
	x, _, err := f.parseXattr(p)
	return x, err
}

// readPrefixes reads the table of long name prefixes: for each a 16-bit
// length, a short prefix and the text behind that. It is in the metabox or the
// packed inode if there is one, unless a feature says otherwise.
func (f *FS) readPrefixes() error {
	if f.super.FeatureIncompat&IncompatXattrPrefixes == 0 {
		return nil
	}
	read := f.bytes
	if f.super.FeatureCompat&CompatPlainXattrPrefix == 0 {
		switch {
		case f.metabox != nil:
			read = f.metabox.Inode.bytes
		case f.packed != nil:
			read = f.packed.Inode.bytes
		}
	}
	at := 4 * int64(f.super.XattrPrefixAt)
	for range f.super.XattrPrefixes {
		p, err := read(span.Span{Offset: at, Length: 2})
		if err != nil {
			return err
		}
		size := int64(binary.LittleEndian.Uint16(p))
		if size == 0 || size > 1+tree.NameMax {
			return corrupt("a prefix has %d bytes", size)
		}
		if p, err = read(span.Span{Offset: at + 2, Length: size}); err != nil {
			return err
		}
		base := XattrPrefix(p[0]).String()
		if base == "" {
			return unsupported("name prefix %d", p[0])
		}
		f.prefixes = append(f.prefixes, base+string(p[1:]))
		at = span.AlignUp(at+2+size, 4)
	}
	return nil
}
