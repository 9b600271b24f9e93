package customize_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sextant/internal/customize"
	"sextant/internal/dps"
	"sextant/internal/format/gpt"
	"sextant/internal/testenv"
)

// part is a partition to make. Files are by path: "dir/" is a directory, a
// content that begins with "-> " a link.
type part struct {
	role  dps.Designator
	name  string
	uuid  gpt.GUID
	attrs gpt.Attributes
	make  string // command that makes the file system in $1 from the directory $2
	size  int64  // MiB, else 8
	files files
}

type files map[string]string

// The ways to make a file system.
const (
	ext4 = `mke2fs -q -t ext4 -E root_owner=0:0,hash_seed=11111111-2222-3333-4444-555555555555 -U 11111111-2222-3333-4444-555555555555 -L root -d "$2" "$1"`
	vfat = `mkfs.vfat -i CAFEF00D "$1" >/dev/null && if [ -n "$(ls -A "$2")" ]; then mcopy -s -i "$1" "$2"/* ::; fi`
)

// sectors can be 512 or 4096.
func newDisk(t *testing.T, sector int, parts ...part) []byte {
	t.Helper()
	at := int64(1 << 20)
	table := &gpt.Table{}
	var contents [][]byte
	for i, p := range parts {
		if p.size == 0 {
			p.size = 8
		}
		length := p.size << 20
		kind, ok := dps.TypeFor(p.role, dps.X86_64)
		if !ok {
			kind, _ = dps.TypeFor(dps.LinuxGeneric, "")
		}
		if p.uuid == (gpt.GUID{}) {
			p.uuid = gpt.GUID{1, 2, 3, byte(i + 1)}
		}
		table.Partitions = append(table.Partitions, gpt.Partition{
			Type: kind.UUID, UUID: p.uuid, Name: p.name, Attributes: p.attrs,
			First: uint64(at) / uint64(sector), Last: uint64(at+length)/uint64(sector) - 1,
		})
		contents = append(contents, fileSystem(t, p.make, length, p.files))
		at += length
	}
	size := gpt.SizeFor(at, sector)
	sized, err := gpt.New(size, sector)
	if err != nil {
		t.Fatal(err)
	}
	sized.DiskGUID, sized.Partitions = gpt.GUID{7}, table.Partitions
	disk := make(memory, size)
	if err := gpt.Write(disk, size, sized); err != nil {
		t.Fatal(err)
	}
	at = 1 << 20
	for _, c := range contents {
		at += int64(copy(disk[at:], c))
	}
	return disk
}

// fileSystem makes a file system of length bytes with a tool.
func fileSystem(t *testing.T, script string, length int64, files files) []byte {
	t.Helper()
	testenv.Require(t, "mke2fs", "mkfs.vfat", "mcopy")
	dir := t.TempDir()
	image, tree := filepath.Join(dir, "image"), filepath.Join(dir, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		write(t, filepath.Join(tree, filepath.FromSlash(name)), name, text)
	}
	if err := os.WriteFile(image, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, length); err != nil {
		t.Fatal(err)
	}
	if script == "" {
		script = ext4
	}
	cmd := exec.Command("sh", "-euc", script, "sh", image, tree)
	cmd.Env = append(os.Environ(), "E2FSPROGS_FAKE_TIME=1700000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, name, path, text string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	target, link := strings.CutPrefix(text, "-> ")
	switch {
	case err != nil:
	case strings.HasSuffix(path, "/"):
		err = os.MkdirAll(name, 0o755)
	case link:
		err = os.Symlink(target, name)
	default:
		err = os.WriteFile(name, []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// memory is a disk in memory.
type memory []byte

func (m memory) ReadAt(p []byte, at int64) (int, error) { return bytes.NewReader(m).ReadAt(p, at) }

func (m memory) WriteAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > int64(len(m)) {
		return 0, io.ErrShortWrite
	}
	return copy(m[at:], p), nil
}

// now is the time of new files.
func now() time.Time { return time.Unix(315532800, 0).UTC() }

func open(t *testing.T, disk []byte, choose ...string) (*customize.Base, error) {
	t.Helper()
	b, err := customize.Open(memory(disk), int64(len(disk)), customize.Options{Partitions: choose, Now: now()})
	if err == nil {
		t.Cleanup(func() { b.Close() })
	}
	return b, err
}

// mounts lists what is mounted, one line each.
func mounts(b *customize.Base) (list []string) {
	for _, m := range b.Mounts {
		line := fmt.Sprintf("%s %d %s", m.Dir, m.Part.Number, m.Part.Content.Kind)
		if m.Why != nil {
			line += ": " + m.Why.Error()
		}
		list = append(list, line)
	}
	return list
}

// minimal are the files of a root.
func minimal(more files) files {
	all := files{"etc/": "", "usr/": "", "var/": "", "boot/": "", "home/": "", "efi/": ""}
	for name, text := range more {
		all[name] = text
	}
	return all
}

// checkFS lets e2fsck judge the partitions of a disk that hold an ext4.
func checkFS(t *testing.T, disk []byte, b *customize.Base) {
	t.Helper()
	for _, m := range b.Mounts {
		if !strings.HasPrefix(string(m.Part.Content.Kind), "ext") {
			continue
		}
		name := filepath.Join(t.TempDir(), path.Base(m.Dir)+".ext4")
		if err := os.WriteFile(name, disk[m.Part.Span.Offset:m.Part.Span.End()], 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("e2fsck", "-fn", name).CombinedOutput(); err != nil {
			t.Errorf("e2fsck of %s: %v\n%s", m.Dir, err, out)
		}
	}
}
