package acceptance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/imagetest"
	"sextant/internal/span"
	"sextant/internal/testenv"
	"sextant/internal/tree"
	"sextant/internal/vmtest/rootfs"
)

// projectSeed is the Seed= of all images here.
const projectSeed = "0e2e4b9a-1d5a-4c0f-9a3e-0123456789ab"

// project makes a directory with a mkosi.conf, the test keys, and the given
// tree in tree/.
func project(t *testing.T, conf string, content *tree.Tree) string {
	t.Helper()
	dir := t.TempDir()
	fillProject(t, dir, conf, content)
	return dir
}

func fillProject(t *testing.T, dir, conf string, content *tree.Tree) {
	t.Helper()
	writeFiles(t, dir, map[string]string{"mkosi.conf": conf})
	for _, name := range []string{"rsa.pem", "rsa.crt", "ecdsa.pem", "ecdsa.crt"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if content != nil {
		if err := os.Mkdir(filepath.Join(dir, "tree"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := imagetest.Materialize(content, filepath.Join(dir, "tree")); err != nil {
			t.Fatal(err)
		}
	}
}

// memoryDir is a directory for the test on a file system in memory, where there
// is one.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sextant-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// writeFiles writes files below dir.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// diskImage is an image file with its partition table as sfdisk reads it.
type diskImage struct {
	path   string
	device string // what partitioning tools look at: path, or a loop device
	dir    string // for what is taken out of the image

	ID         string
	SectorSize int64
	Partitions []partition
}

// partition is one entry of the table. Start and Size are sectors.
type partition struct {
	Start, Size             int64
	Type, UUID, Name, Attrs string
}

// openImage reads the partition table of an image. Sectors that are not of 512
// bytes need a loop device, which also needs root.
func openImage(t *testing.T, path string, sectorSize int) *diskImage {
	t.Helper()
	testenv.Require(t, "sfdisk")
	d := &diskImage{path: path, device: path, dir: t.TempDir()}
	if sectorSize != 512 {
		d.device = loopDevice(t, path, sectorSize)
	}
	var out struct{ PartitionTable *diskImage }
	out.PartitionTable = d
	if err := json.Unmarshal([]byte(command(t, "sfdisk", "--json", d.device)), &out); err != nil {
		t.Fatal(err)
	}
	return d
}

// partition returns the first partition whose name ends in suffix.
func (d *diskImage) partition(t *testing.T, suffix string) partition {
	t.Helper()
	for _, p := range d.Partitions {
		if strings.HasSuffix(p.Name, suffix) {
			return p
		}
	}
	t.Fatalf("%s has no partition %s", d.path, suffix)
	return partition{}
}

func (d *diskImage) span(p partition) span.Span {
	return span.Span{Offset: p.Start * d.SectorSize, Length: p.Size * d.SectorSize}
}

// extract writes a partition to a file of its own.
func (d *diskImage) extract(t *testing.T, p partition) string {
	t.Helper()
	path := filepath.Join(d.dir, p.Name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	in, err := os.Open(d.path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	at := d.span(p)
	if n, err := io.Copy(out, io.NewSectionReader(in, at.Offset, at.Length)); err != nil || n != at.Length {
		t.Fatalf("read partition %s: %d of %d bytes, %v", p.Name, n, at.Length, err)
	}
	return path
}

// sealed is what a signature partition says.
type sealed struct {
	RootHash, CertificateFingerprint string
	Signature                        []byte
}

// signature reads the signature partition.
func (d *diskImage) signature(t *testing.T) sealed {
	t.Helper()
	content, err := os.ReadFile(d.extract(t, d.partition(t, "-verity-sig")))
	if err != nil {
		t.Fatal(err)
	}
	text, zeros, _ := bytes.Cut(content, []byte{0})
	if len(bytes.Trim(zeros, "\x00")) > 0 {
		t.Errorf("more than zeros behind the JSON of the signature partition")
	}
	var s sealed
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatalf("signature partition: %v in %q", err, text)
	}
	return s
}

// dump returns what the kernel shows of the file system in a partition.
func (d *diskImage) dump(t *testing.T, p partition) map[string]string {
	t.Helper()
	var lines map[string]string
	visit := func(dir string) (err error) {
		lines, err = imagetest.DumpDir(dir)
		return err
	}
	var err error
	if d.device == d.path {
		err = imagetest.MountAt(t, d.path, d.span(p), "erofs", visit)
	} else { // the image is on a loop device, and mount wants no second one
		err = imagetest.Mount(t, d.extract(t, p), "erofs", visit)
	}
	if err != nil {
		t.Fatalf("mount partition %s: %v", p.Name, err)
	}
	return lines
}

// loopDevice attaches a file until the end of the test.
func loopDevice(t *testing.T, path string, sectorSize int) string {
	t.Helper()
	testenv.RequireRoot(t)
	testenv.Require(t, "losetup")
	device := strings.TrimSpace(command(t, "losetup", "--find", "--show", "--read-only", fmt.Sprint("--sector-size=", sectorSize), path))
	t.Cleanup(func() { output(t, exec.Command("losetup", "--detach", device)) })
	return device
}

// command runs a program and returns what it prints; errors end the test.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	testenv.Require(t, name)
	return output(t, exec.CommandContext(t.Context(), name, args...))
}

// inside runs a program of another release that sees the directories dirs.
func inside(t *testing.T, release rootfs.Release, dirs []string, name string, args ...string) string {
	t.Helper()
	return output(t, insideCommand(t, release, dirs, name, args...))
}

func insideCommand(t *testing.T, release rootfs.Release, dirs []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	testenv.RequireRoot(t)
	testenv.Require(t, "unshare")
	var binds []rootfs.Bind
	for _, dir := range dirs {
		binds = append(binds, rootfs.Bind{Host: dir, Guest: dir})
	}
	return rootfs.Require(t, release).Command(t.Context(), binds, name, args...)
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, &out, &errs)
	}
	return out.String()
}
