//go:build linux

package disk_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"sextant/internal/disk"
	"sextant/internal/fault"
	"sextant/internal/format/gpt"
	"sextant/internal/imagetest"
	"sextant/internal/imagetest/virtual"
	"sextant/internal/testenv"
)

// qemuFormats are the formats as qemu-img calls them, with options.
var qemuFormats = []struct {
	name, qemu, options string
	format              disk.Format
}{
	{"raw", "raw", "", disk.Raw},
	{"qcow2", "qcow2", "", disk.QCOW2},
	{"compressed", "qcow2", "-c", disk.QCOW2},
	{"extended", "qcow2", "extended_l2=on", disk.QCOW2},
	{"vhd", "vpc", "force_size=on", disk.VHD},
	{"vhd-fixed", "vpc", "force_size=on,subformat=fixed", disk.VHDFixed},
	{"vhdx", "vhdx", "", disk.VHDX},
}

// qemuName returns what qemu-img calls a format.
func qemuName(f disk.Format) string {
	switch f {
	case disk.VHD, disk.VHDFixed:
		return "vpc"
	}
	return string(f)
}

func open(t testing.TB, name string) *disk.Disk {
	t.Helper()
	d, err := disk.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// copied copies a disk into a new file of a format and returns its name.
func copied(t testing.TB, d *disk.Disk, format disk.Format) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "copy")
	o, err := disk.Create(name, format, d.Size(), disk.Options{Time: time.Unix(1<<30, 0)})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Discard()
	if err := disk.Copy(context.Background(), o, d); err != nil {
		t.Fatal(err)
	}
	if err := o.Commit(); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestCopies copies what qemu-img makes of a disk in each format to each
// format, twice with another number of processors: the bytes are the same and
// qemu-img sees the same disk.
func TestCopies(t *testing.T) {
	testenv.Require(t, "qemu-img")
	const size = 13 << 20
	raw, want := virtual.Content(t, size)
	for _, from := range qemuFormats {
		name := filepath.Join(t.TempDir(), "base")
		virtual.Convert(t, from.qemu, from.options, raw, name)
		d := open(t, name)
		if d.Format != from.format || d.Size() != size {
			t.Errorf("Open %s = %s of %d bytes, want %s of %d", from.name, d.Format, d.Size(), from.format, size)
		}
		for _, to := range disk.Formats() {
			t.Run(fmt.Sprint(from.name, " to ", to), func(t *testing.T) {
				first := copied(t, d, to)
				if to != disk.VHD && to != disk.VHDFixed && to != disk.Raw {
					virtual.Run(t, "qemu-img", "check", "-q", "-f", string(to), first)
				}
				virtual.Run(t, "qemu-img", "compare", "-f", "raw", "-F", qemuName(to), raw, first)
				virtual.Same(t, open(t, first), want)
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
				sameFile(t, first, copied(t, d, to))
			})
		}
	}
}

func sameFile(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		t.Error("the same disk copied again gives other bytes")
	}
}

// allocated returns the bytes that a file takes.
func allocated(t testing.TB, name string) int64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(name, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

// TestKeepsHoles copies large disks with little on them: to any format, from
// any format, in no time and with no more room than the data takes.
func TestKeepsHoles(t *testing.T) {
	testenv.Require(t, "qemu-img")
	raw := filepath.Join(t.TempDir(), "large.raw")
	sizes := map[disk.Format]int64{disk.Raw: 2 << 40, disk.QCOW2: 2 << 40, disk.VHD: 2040 << 30, disk.VHDFixed: 2040 << 30, disk.VHDX: 2 << 40}
	for _, to := range disk.Formats() {
		size := sizes[to]
		f, err := os.Create(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int64{0, 1 << 30, 1<<40 + 4096, size - 4096} {
			if _, err := f.WriteAt(virtual.Noise(4096, 1), at); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := f.WriteAt(make([]byte, 8<<20), 1<<31); err != nil { // zeros, not a hole
			t.Fatal(err)
		}
		f.Close()
		d := open(t, raw)
		name := copied(t, d, to)
		if n := allocated(t, name); n > 6<<20 {
			t.Errorf("%s of %d bytes takes %d", to, size, n)
		}
		if to == disk.VHDX { // of which QEMU compares every byte, for an hour
			virtual.Run(t, "qemu-img", "check", "-q", "-f", "vhdx", name)
		} else {
			virtual.Run(t, "qemu-img", "compare", "-f", "raw", "-F", qemuName(to), raw, name)
		}
		back := copied(t, open(t, name), disk.Raw)
		if n := allocated(t, back); n > 64<<10 {
			t.Errorf("raw from %s takes %d bytes", to, n)
		}
		virtual.Run(t, "qemu-img", "compare", "-f", "raw", "-F", "raw", raw, back)
		os.Remove(raw)
	}
	if _, err := disk.Create(filepath.Join(t.TempDir(), "x"), disk.VHD, 2<<40, disk.Options{}); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Create vhd of 2 TiB = %v, want %v", err, fault.ErrUnsupported)
	}
}

// TestPreallocated reads an image whose clusters are there and hold nothing.
func TestPreallocated(t *testing.T) {
	testenv.Require(t, "qemu-img")
	name := filepath.Join(t.TempDir(), "large.qcow2")
	virtual.Run(t, "qemu-img", "create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", name, "20G")
	for e, err := range open(t, name).Extents() {
		t.Fatalf("Extents: %s, %v, want nothing", e, err)
	}
}

// TestIdentity checks that ids follow from content and time, and from nothing
// else.
func TestIdentity(t *testing.T) {
	make := func(format disk.Format, content byte, at int64) string {
		name := filepath.Join(t.TempDir(), "made")
		o, err := disk.Create(name, format, 1<<20, disk.Options{Time: time.Unix(at, 0)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.WriteAt([]byte{content}, 12345); err != nil {
			t.Fatal(err)
		}
		if err := o.Commit(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if format == disk.VHDX {
			return string(b[2<<20+64<<10+16:][:16])
		}
		return string(b[len(b)-512+68:][:16])
	}
	for _, format := range []disk.Format{disk.VHD, disk.VHDFixed, disk.VHDX} {
		id := make(format, 1, 1<<30)
		if again := make(format, 1, 1<<30); id != again {
			t.Errorf("%s: ids %x and %x for the same disk", format, id, again)
		}
		if other := make(format, 2, 1<<30); id == other {
			t.Errorf("%s: the same id for another content", format)
		}
		if other := make(format, 1, 1<<29); id == other {
			t.Errorf("%s: the same id for another time", format)
		}
	}
}

// TestFixedVHD has whole MiB, and the backup partition table at their end.
func TestFixedVHD(t *testing.T) {
	testenv.Require(t, "sgdisk", "qemu-img")
	raw := filepath.Join(t.TempDir(), "raw")
	if err := os.WriteFile(raw, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(raw, 5<<20+512*7); err != nil {
		t.Fatal(err)
	}
	virtual.Run(t, "sgdisk", "-n", "1:2048:8191", raw)
	d := open(t, raw)
	if d.Content != (disk.Content{Kind: disk.Table, Name: "gpt"}) {
		t.Errorf("Content = %v", d.Content)
	}
	name := copied(t, d, disk.VHDFixed)
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() != 6<<20+512 {
		t.Errorf("%d bytes, want 6 MiB and a footer", info.Size())
	}
	made := open(t, name)
	table, problems, err := gpt.Read(made, made.Size())
	if err != nil || len(problems) > 0 || len(table.Partitions) != 1 {
		t.Errorf("table = %v, %v, %v", table, problems, err)
	}
	back := filepath.Join(t.TempDir(), "back")
	virtual.Convert(t, "raw", "", name, back) // qemu-img takes it for raw, which has the footer too
	if out := virtual.Run(t, "qemu-img", "info", "-f", "vpc", name); !strings.Contains(out, "6 MiB") {
		t.Errorf("qemu-img info: %s", out)
	}
}

// TestContents opens what lies on a raw disk, and a directory.
func TestContents(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), virtual.Noise(10_000, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		want    disk.Content
		program string
		command string
	}{
		{disk.Content{Kind: disk.Table, Name: "gpt"}, "sgdisk", "truncate -s 8M $F; sgdisk -n 1:0:0 $F"},
		{disk.Content{Kind: disk.Table, Name: "mbr"}, "sfdisk", "truncate -s 8M $F; echo start=2048 | sfdisk $F"},
		{disk.Content{Kind: disk.FileSystem, Name: "ext4"}, "mke2fs", "truncate -s 8M $F; mke2fs -q -t ext4 $F"},
		{disk.Content{Kind: disk.FileSystem, Name: "ext2"}, "mke2fs", "truncate -s 8M $F; mke2fs -q -t ext2 -b 4096 $F"},
		{disk.Content{Kind: disk.FileSystem, Name: "vfat"}, "mkfs.vfat", "mkfs.vfat -C $F 4096"},
		{disk.Content{Kind: disk.FileSystem, Name: "vfat"}, "mkfs.vfat", "mkfs.vfat -F 32 -C $F 65536"},
		{disk.Content{Kind: disk.FileSystem, Name: "btrfs"}, "mkfs.btrfs", "truncate -s 128M $F; mkfs.btrfs -q $F"},
		{disk.Content{Kind: disk.FileSystem, Name: "xfs"}, "mkfs.xfs", "truncate -s 512M $F; mkfs.xfs -q $F"},
		{disk.Content{Kind: disk.FileSystem, Name: "squashfs"}, "mksquashfs", "mksquashfs $D $F -quiet -no-progress"},
		{disk.Content{Kind: disk.FileSystem, Name: "erofs"}, "mkfs.erofs", "mkfs.erofs $F $D"},
		{disk.Content{Kind: disk.FileSystem, Name: "swap"}, "mkswap", "truncate -s 8M $F; mkswap $F"},
		{disk.Content{Kind: disk.Layer, Name: "crypto_LUKS"}, "cryptsetup", "truncate -s 32M $F; echo x | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 $F -"},
		{disk.Content{Kind: disk.Archive, Name: "tar"}, "tar", "tar -C $D -cf $F ."},
		{disk.Content{Kind: disk.Archive, Name: "gzip"}, "tar", "tar -C $D -czf $F ."},
		{disk.Content{Kind: disk.Archive, Name: "xz"}, "xz", "tar -C $D -cJf $F ."},
		{disk.Content{Kind: disk.Archive, Name: "zstd"}, "zstd", "tar -C $D --zstd -cf $F ."},
		{disk.Content{}, "sh", "head -c 100000 /dev/zero >$F"},
		{disk.Content{}, "sh", ": >$F"},
	} {
		t.Run(fmt.Sprint(test.want.Name, " ", test.program), func(t *testing.T) {
			testenv.Require(t, test.program)
			name := filepath.Join(t.TempDir(), "disk")
			virtual.Run(t, "env", "F="+name, "D="+dir, "sh", "-ec", test.command)
			d := open(t, name)
			if d.Format != disk.Raw || d.Content != test.want {
				t.Errorf("Open = %s with %v, want raw with %v", d.Format, d.Content, test.want)
			}
		})
	}
	if d := open(t, dir); d.Format != disk.Directory || d.Size() != 0 {
		t.Errorf("Open of a directory = %s", d.Format)
	}
}

// TestOpenRefuses has what is no disk.
func TestOpenRefuses(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{fifo, "/dev/null"} {
		if _, err := disk.Open(name); !errors.Is(err, fault.ErrUnsupported) {
			t.Errorf("Open %s = %v, want %v", name, err, fault.ErrUnsupported)
		}
	}
	if _, err := disk.Open(filepath.Join(t.TempDir(), "nothing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open of nothing = %v", err)
	}
}

// TestForeign has disks of formats that are not read, with a table of partitions
// in them: each is called by its name, and not taken for a damaged raw disk.
func TestForeign(t *testing.T) {
	testenv.Require(t, "qemu-img", "sfdisk")
	dir := t.TempDir()
	raw := filepath.Join(dir, "raw")
	if err := os.WriteFile(raw, make([]byte, 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	virtual.Run(t, "sh", "-c", "echo 'label: gpt\nstart=1MiB' | sfdisk -q "+raw)
	for format, name := range map[string]string{"vdi": "VDI", "vmdk": "VMDK", "parallels": "Parallels", "qed": "QED"} {
		path := filepath.Join(dir, format)
		virtual.Convert(t, format, "", raw, path)
		if _, err := disk.Open(path); !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), name+" is no format that sextant reads") {
			t.Errorf("Open of a %s = %v", name, err)
		}
	}
	if d, err := disk.Open(raw); err != nil {
		t.Errorf("Open of the raw disk = %v", err)
	} else {
		d.Close()
	}
}

// TestRefusesOtherFiles has images that name a file that exists.
func TestRefusesOtherFiles(t *testing.T) {
	testenv.Require(t, "qemu-img")
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, virtual.Noise(1<<20, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ args, text string }{
		{"-o backing_file=" + secret + ",backing_fmt=raw", "backing file"},
		{"-o data_file=" + filepath.Join(dir, "data"), "another file"},
		{"-o data_file=" + filepath.Join(dir, "data2") + ",data_file_raw=on", "another file"},
	} {
		name := filepath.Join(dir, "image")
		virtual.Run(t, strings.Fields("qemu-img create -q -f qcow2 "+test.args+" "+name+" 1M")...)
		if _, err := disk.Open(name); !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("Open of an image with %s = %v", test.args, err)
		}
	}
	name := filepath.Join(dir, "snapshot")
	virtual.Run(t, "qemu-img", "create", "-q", "-f", "qcow2", name, "1M")
	virtual.Run(t, "qemu-img", "snapshot", "-c", "one", name)
	if _, err := disk.Open(name); !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), "1 internal snapshots") {
		t.Errorf("Open of an image with a snapshot = %v", err)
	}
	for _, options := range []string{"", "subformat=fixed"} {
		name := filepath.Join(t.TempDir(), "geometry")
		virtual.Convert(t, "vpc", options, secret, name)
		if _, err := disk.Open(name); !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), "force_size=on") {
			t.Errorf("Open of a VHD of its geometry's size = %v", err)
		}
	}
}

// TestDamagedSource leaves no copy behind, nor does a Copy that is cancelled.
func TestDamagedSource(t *testing.T) {
	testenv.Require(t, "qemu-img")
	raw, _ := virtual.Content(t, 8<<20)
	base := filepath.Join(t.TempDir(), "base")
	virtual.Convert(t, "qcow2", "-c", raw, base)
	f, _ := virtual.File(t, base)
	var entry [8]byte
	if _, err := f.ReadAt(entry[:], 40); err != nil { // the L1 table
		t.Fatal(err)
	}
	l1 := int64(binary.BigEndian.Uint64(entry[:]))
	if _, err := f.ReadAt(entry[:], l1); err != nil {
		t.Fatal(err)
	}
	l2 := int64(binary.BigEndian.Uint64(entry[:]) &^ (1 << 63))
	binary.BigEndian.PutUint64(entry[:], 1<<63|1<<40)
	if _, err := f.WriteAt(entry[:], l2+64*8); err != nil {
		t.Fatal(err)
	}
	d := open(t, base)
	dir := t.TempDir()
	try := func(ctx context.Context) error {
		o, err := disk.Create(filepath.Join(dir, "out"), disk.QCOW2, d.Size(), disk.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer o.Discard()
		return disk.Copy(ctx, o, d)
	}
	if err := try(context.Background()); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Copy of a damaged disk = %v, want %v", err, fault.ErrCorrupt)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := try(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Copy that is cancelled = %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestClone copies a raw disk on a file system whose files can share bytes.
func TestClone(t *testing.T) {
	testenv.Require(t, "mkfs.btrfs")
	image := filepath.Join(t.TempDir(), "btrfs")
	virtual.Run(t, "truncate", "-s", "160M", image)
	virtual.Run(t, "mkfs.btrfs", "-q", image)
	err := imagetest.MountWritable(t, image, "btrfs", func(dir string) error {
		base, out := filepath.Join(dir, "base"), filepath.Join(dir, "out")
		if err := os.WriteFile(base, virtual.Noise(40<<20, 1), 0o600); err != nil {
			return err
		}
		for range 3 { // three more would not fit
			if err := copyFile(base, out, disk.Raw); err != nil {
				return err
			}
			out += "x"
		}
		return exec.Command("cmp", base, filepath.Join(dir, "out")).Run()
	})
	if err != nil {
		t.Error(err)
	}
}

func TestParseFormat(t *testing.T) {
	for _, f := range disk.Formats() {
		if got, err := disk.ParseFormat(string(f)); got != f || err != nil {
			t.Errorf("ParseFormat(%q) = %q, %v", f, got, err)
		}
	}
	if _, err := disk.ParseFormat("cosi"); !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), "does not make cosi") {
		t.Errorf("ParseFormat(cosi) = %v", err)
	}
	if _, err := disk.ParseFormat("vmdk"); err == nil || errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("ParseFormat(vmdk) = %v", err)
	}
}

// TestSectorSizes has formats that cannot hold sectors of 4096 bytes.
func TestSectorSizes(t *testing.T) {
	for format, holds := range map[disk.Format]bool{disk.Raw: true, disk.QCOW2: true, disk.VHDX: true, disk.VHD: false, disk.VHDFixed: false} {
		name := filepath.Join(t.TempDir(), "made")
		o, err := disk.Create(name, format, 1<<20, disk.Options{SectorSize: 4096})
		if !holds {
			if !errors.Is(err, fault.ErrUnsupported) {
				t.Errorf("Create %s = %v, want %v", format, err, fault.ErrUnsupported)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Commit(); err != nil {
			t.Fatal(err)
		}
		if d := open(t, name); format == disk.VHDX && d.SectorSize != 4096 {
			t.Errorf("SectorSize = %d, want 4096", d.SectorSize)
		}
	}
}
