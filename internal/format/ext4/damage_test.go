package ext4_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/format/ext4"
	"sextant/internal/fsck"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// look reads everything that a file system offers. Contents are read up to a
// bound each, as holes make any length cheap to claim.
func look(b []byte) (problems []*fsck.Problem, lines []string, err error) {
	f, err := ext4.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, nil, err
	}
	problems, checkErr := f.Check(context.Background())
	if checkErr != nil {
		return nil, nil, checkErr
	}
	if err := errors.Join(f.Describe(io.Discard), lookThrough(f)); err != nil {
		return problems, nil, err
	}
	t, err := f.Tree()
	if err != nil {
		return problems, nil, err
	}
	err = t.Walk(func(path string, n *tree.Inode) error {
		hash, err := boundedHash(n)
		lines = append(lines, fmt.Sprintf("%q %o %d %d %s %d %q %v %v %v",
			path, n.Mode, n.UID, n.GID, n.ModTime, n.Size(), n.Target, n.Device, n.Xattrs, hash))
		return err
	})
	return problems, lines, err
}

// boundedHash gives the extents and the hash of the begin of a content.
func boundedHash(n *tree.Inode) (string, error) {
	if n.Content == nil {
		return "", nil
	}
	r, err := n.Content.Open()
	if errors.Is(err, fault.ErrUnsupported) {
		return "unsupported", nil
	} else if err != nil {
		return "", err
	}
	defer r.Close()
	hash, err := hashOf(io.NewSectionReader(r, 0, min(n.Content.Size(), 1<<16)))
	return fmt.Sprint(len(n.Content.Extents()), hash), err
}

// lookThrough walks the io/fs view.
func lookThrough(f *ext4.FS) error {
	count := 0
	return fs.WalkDir(f, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if count++; count > 500 {
			return fs.SkipAll
		}
		if _, err := d.Info(); err != nil {
			return err
		}
		if fs.ValidPath(path) && count%8 == 1 {
			_, err = f.Xattrs(path)
			_ = f.DescribeFile(io.Discard, path)
		}
		return err
	})
}

// wantFault fails the test for an error that does not say what kind of fault it
// is. io/fs has two more: for names that are not UTF-8, and for directories that
// turn out to be a file or a link.
func wantFault(t testing.TB, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("error without a kind: %v", err)
	}
}

func TestSamplesAreSound(t *testing.T) {
	for _, name := range []string{"ext2", "ext4", "nosum", "inline"} {
		problems, lines, err := look(sample(t, name))
		if err != nil || len(problems) > 0 {
			t.Errorf("%s: %v %v", name, err, problems)
		}
		if len(lines) != 102 {
			t.Errorf("%s has %d files", name, len(lines))
		}
	}
}

// TestEveryBit flips bits all over an image with checksums. Each must be told, or
// change nothing but what has no checksum: the contents of files, and targets of
// links that do not fit into the inode.
func TestEveryBit(t *testing.T) {
	good := sample(t, "ext4")
	_, want, err := look(good)
	if err != nil {
		t.Fatal(err)
	}
	step, end := 41, 80*1024 // nothing is in use behind it
	if testenv.Long() {
		step, end = 1, len(good)
	}
	told, silent, contents := 0, 0, 0
	for at := 0; at < end; at += step {
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		problems, got, err := look(bad)
		wantFault(t, err)
		changed := changedPaths(want, got)
		switch {
		case err != nil || len(problems) > 0:
			told++
		case changed == "":
			silent++
		case changed == `"/a/b/c" "/a/hard" ` || changed == `"/a/long" ` || changed == `"/holes" `:
			contents++
		default:
			t.Errorf("byte %#x: nobody told that %s changed", at, changed)
		}
	}
	t.Logf("of %d bits told %d, without effect %d, in contents %d", end/step, told, silent, contents)
	if told < 30000/step || contents == 0 {
		t.Errorf("only %d bits were told, %d changed contents", told, contents)
	}
}

// changedPaths names the files that differ.
func changedPaths(a, b []string) string {
	if len(a) != len(b) {
		return "the number of files"
	}
	changed := ""
	for i := range a {
		if a[i] != b[i] {
			path, _, _ := strings.Cut(a[i], " ")
			changed += path + " "
		}
	}
	return changed
}

func TestTruncated(t *testing.T) {
	for _, name := range []string{"ext2", "ext4"} {
		b := sample(t, name)
		for n := 0; n < len(b); n += 512 {
			if _, err := ext4.Open(bytes.NewReader(b[:n]), int64(n)); !errors.Is(err, fault.ErrCorrupt) {
				t.Errorf("%s: Open of %d bytes: %v, want ErrCorrupt", name, n, err)
			}
			// A file that shrinks after its size was asked for.
			f, err := ext4.Open(bytes.NewReader(b[:n]), int64(len(b)))
			if err != nil {
				continue
			}
			_, checkErr := f.Check(context.Background())
			_, treeErr := f.Tree()
			if n < 70*1024 && checkErr == nil && treeErr == nil {
				t.Errorf("%s: shrunk to %d bytes, nobody noticed", name, n)
			}
		}
	}
}

// TestRandomDamage makes changes that checksums do not stop.
func TestRandomDamage(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"ext2", "nosum", "inline", "ext4"} {
		good := sample(t, name)
		for range testenv.Amount(300, 100000) {
			_, _, err := look(damaged(r, good))
			wantFault(t, err)
		}
	}
}

// damaged returns a copy of a sample with a few changes anywhere.
func damaged(r *rand.Rand, good []byte) []byte {
	bad := bytes.Clone(good)
	for range 1 + r.IntN(4) {
		at := r.IntN(72 * 1024)
		switch r.IntN(4) {
		case 0:
			bad[at] ^= 1 << r.IntN(8)
		case 1:
			bad[at] = byte(r.Uint32())
		case 2:
			copy(bad[at:], []byte{0xff, 0xff, 0xff, 0xff})
		case 3:
			from := r.IntN(72) * 1024
			copy(bad[at/1024*1024:], good[from:from+1024])
		}
	}
	return bad
}

// FuzzOpen changes bytes of the samples and reads all that is left.
func FuzzOpen(f *testing.F) {
	fuzzSamples(f, []byte{0x38, 0x04, 0x00, 0x53}, func(t *testing.T, bad []byte) {
		_, _, err := look(bad)
		wantFault(t, err)
	})
}

// fuzzSamples changes single bytes of the samples, for example those of ext4
// that change says: three bytes for the place and one for what stands there.
func fuzzSamples(f *testing.F, change []byte, try func(t *testing.T, bad []byte)) {
	var images [][]byte
	for _, name := range []string{"ext2", "ext4", "nosum", "inline"} {
		images = append(images, sample(f, name))
	}
	f.Add(uint8(0), []byte{})
	f.Add(uint8(1), change)
	f.Add(uint8(2), []byte{0x00, 0x94, 0x00, 0xff, 0x04, 0x94, 0x00, 0xff})
	f.Add(uint8(3), []byte{0x28, 0x84, 0x00, 0x12})
	f.Fuzz(func(t *testing.T, image uint8, changes []byte) {
		b := bytes.Clone(images[int(image)%len(images)])
		for ; len(changes) >= 4; changes = changes[4:] {
			at := int(changes[0]) | int(changes[1])<<8 | int(changes[2])<<16
			b[at%len(b)] = changes[3]
		}
		if int(image)%len(images) == 1 {
			seal(b)
		}
		try(t, b)
	})
}

// seal makes the superblock's checksum right, so that what it says is believed.
func seal(b []byte) {
	sum := ext4.ChecksumSuperBlock(b[1024:2048])
	for i := range 4 {
		b[2044+i] = byte(sum >> (8 * i))
	}
}
