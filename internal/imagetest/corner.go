package imagetest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"sextant/internal/span"
	"sextant/internal/tree"
)

// Corner returns a tree with every kind of file that Linux has and with what
// other programs got wrong: see the functions it is put together from.
func Corner() *tree.Tree {
	b := NewBuilder()
	b.types()
	b.xattrs()
	b.names()
	b.sizes()
	b.times()
	b.holes()
	for n := range 6000 {
		b.File(fmt.Sprintf("usr/share/large/entry-%05d", n), 0o644, "")
	}
	return b.Tree
}

// types has each file type, hard links, owners and special permission bits.
func (b Builder) types() {
	link := b.File("usr/bin/tool", 0o755, "#!/bin/sh\n")
	b.Put("usr/bin/tool-1.0", link)
	b.Put("opt/tool", link)
	b.Symlink("usr/bin/absolute", "/usr/bin/tool")
	b.Symlink("usr/bin/relative", "../bin/tool")
	b.Symlink("usr/bin/broken", "nowhere")
	b.Symlink("usr/share/long-link", strings.Repeat("0123456/", 511)+"1234567")
	b.Special("usr/dev/null", tree.TypeChar|0o666, tree.Device{Major: 1, Minor: 3})
	b.Special("usr/dev/disk", tree.TypeBlock|0o660, tree.Device{Major: 259, Minor: 0xfff01})
	b.Special("usr/dev/last", tree.TypeBlock|0o600, tree.Device{Major: 0xfff, Minor: 0xfffff})
	b.Special("usr/dev/fifo", tree.TypeFIFO|0o600, tree.Device{})
	b.Special("usr/dev/socket", tree.TypeSocket|0o755, tree.Device{})
	fifo := b.Tree.Lookup("usr/dev/fifo")
	b.Put("usr/dev/fifo-2", fifo)
	b.File("usr/bin/setuid", 0o4755, "x").UID = 1000
	b.File("usr/bin/setgid", 0o2755, "x").GID = 65535
	b.File("usr/share/large-ids", 0o640, "x").UID = 65536
	b.File("usr/share/largest-ids", 0o640, "x").GID = 0xfffffffe
	b.File("usr/share/no-access", 0, "secret")
	b.Dir("usr/tmp", 0o1777)
	b.Dir("usr/empty", 0o700)
	deep := "usr"
	for range 60 {
		deep += "/d"
	}
	b.File(deep+"/file", 0o644, "deep")
}

// ACL is a POSIX ACL as Linux has it in an extended attribute: user::rwx,
// user:1000:r-x, group::r-x, mask::r-x, other::---.
func ACL() []byte {
	acl := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range [][3]uint32{{1, 7, 0xffffffff}, {2, 5, 1000}, {4, 5, 0xffffffff}, {16, 5, 0xffffffff}, {32, 0, 0xffffffff}} {
		acl = binary.LittleEndian.AppendUint16(acl, uint16(e[0]))
		acl = binary.LittleEndian.AppendUint16(acl, uint16(e[1]))
		acl = binary.LittleEndian.AppendUint32(acl, e[2])
	}
	return acl
}

// xattrs has extended attributes of all prefixes, shared ones and large ones.
func (b Builder) xattrs() {
	capability := binary.LittleEndian.AppendUint32(nil, 0x02000001) // VFS_CAP_REVISION_2, effective
	capability = append(capability, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b.File("usr/bin/ping", 0o755, "ping").PutXattr("security.capability", capability)
	acl := b.File("usr/share/acl", 0o750, "acl")
	acl.PutXattr("system.posix_acl_access", ACL())
	dir := b.Dir("usr/share/acl.d", 0o750)
	dir.PutXattr("system.posix_acl_access", ACL())
	dir.PutXattr("system.posix_acl_default", ACL())
	for n := range 20 {
		b.File(fmt.Sprintf("usr/share/labelled/%d", n), 0o644, "x").
			PutXattr("security.selinux", []byte("system_u:object_r:usr_t:s0\x00"))
	}
	b.Symlink("usr/share/labelled/link", "0").PutXattr("security.selinux", []byte("system_u:object_r:usr_t:s0\x00"))
	many := b.File("usr/share/many-xattrs", 0o644, "x")
	for n := range 40 {
		many.PutXattr(fmt.Sprintf("user.n%02d", n), fmt.Appendf(nil, "value %d", n%7))
	}
	many.PutXattr("user.empty", nil)
	many.PutXattr("trusted.overlay.opaque", []byte("y"))
	many.PutXattr("user."+strings.Repeat("n", 250), []byte("long name"))
	b.File("usr/share/xattr-3k", 0o644, strings.Repeat("y", 4000)).PutXattr("user.large", bytes.Repeat([]byte("3"), 3000))
	for n := range 2 { // shared, if the writer shares
		b.File(fmt.Sprintf("usr/share/xattr-shared-%d", n), 0o644, "").
			PutXattr("trusted.same", bytes.Repeat([]byte("s"), 3900))
	}
	b.Symlink("usr/share/xattr-link", strings.Repeat("t", 900)).PutXattr("trusted.t", bytes.Repeat([]byte("3"), 3500))
	b.Dir("usr/share/xattr-dir", 0o755).PutXattr("user.large", bytes.Repeat([]byte("d"), 3300))
	b.Special("usr/dev/labelled", tree.TypeChar|0o600, tree.Device{Major: 1, Minor: 5}).
		PutXattr("security.selinux", []byte("system_u:object_r:device_t:s0\x00"))
}

// names has file names that sort before, between and behind "." and "..".
func (b Builder) names() {
	for _, name := range []string{"-x", "+x", "#x", "!", " ", "...", "..x", ".x", ".-", "A", "a", "0", "~", "\x01",
		"\x7f", "ä", "日本語", "\xff\xfe", "new\nline", strings.Repeat("n", 255), strings.Repeat("ß", 127)} {
		b.File("usr/names/"+name, 0o644, name)
	}
	b.Dir("usr/names/-dir", 0o755)
	for n := range 300 {
		b.File(fmt.Sprintf("usr/names/long/%03d%s", n, strings.Repeat("x", 252)), 0o644, "")
	}
}

// sizes has files of every size at which something changes: blocks, inline
// data next to 32- and 64-byte inodes, readahead.
func (b Builder) sizes() {
	sizes := []int64{0, 1, 2, 3, 31, 32, 33, 511, 512, 513, 1023, 1024, 1025, 2944, 2945, 4031, 4032, 4033, 4063, 4064, 4065,
		4095, 4096, 4097, 8127, 8128, 8129, 8160, 8191, 8192, 8193, 12288, 65535, 65536, 65537,
		131071, 131072, 131073, 524287, 524288, 524289, 1 << 20, 1<<20 + 1, 3<<20 + 4095}
	for _, size := range sizes {
		b.Content(fmt.Sprintf("usr/sizes/%d", size), 0o644, Noise{Seed: uint64(size), Length: size})
	}
}

// times has modification times that have come out wrong elsewhere.
func (b Builder) times() {
	for name, t := range map[string]time.Time{
		"epoch":      time.Unix(0, 0),
		"nanosecond": time.Unix(0, 1),
		"before":     time.Unix(-1, 999_999_999),
		"negative":   time.Unix(-86400*365, 5),
		"1901":       time.Unix(-1<<31-1, 0),
		"2038":       time.Unix(1<<31, 0),
		"2106":       time.Unix(1<<32+1, 999_999_999),
		"2400":       time.Date(2400, 2, 29, 0, 0, 0, 0, time.UTC),
	} {
		b.File("usr/times/"+name, 0o644, name).ModTime = t
	}
}

// holes has sparse files.
func (b Builder) holes() {
	const k, m = 1 << 10, 1 << 20
	b.Content("usr/holes/middle", 0o644, Sparse(1, 300*k, span.Between(0, 4*k), span.Between(256*k, 300*k)))
	b.Content("usr/holes/start", 0o644, Sparse(2, 100*k+7, span.Between(96*k, 100*k+7)))
	b.Content("usr/holes/end", 0o644, Sparse(3, 10*m+1, span.Between(0, 8*k)))
	b.Content("usr/holes/all", 0o644, Sparse(4, 3*m))
	b.Content("usr/holes/small", 0o644, Sparse(5, 5000, span.Between(4096, 5000)))
	var stripes []span.Span
	for n := range int64(100) {
		stripes = append(stripes, span.Between(n*64*k, n*64*k+12*k))
	}
	b.Content("usr/holes/stripes", 0o644, Sparse(6, 6400*k, stripes...))
}
