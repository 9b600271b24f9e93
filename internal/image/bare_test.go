package image_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sextant/internal/image"
	"sextant/internal/imagetest"
	"sextant/internal/imagetest/disk"
)

// Verify takes no more than this, whatever is wrong with an image. The memory
// is that of all allocations together, so that what is in use at a time is less.
const (
	memoryMost    = 64 << 20
	memoryPerName = 8 << 10
	timeMost      = 30 * time.Second // on a machine that does other things too
)

// bare returns the file systems that the tests of the formats have.
func bare(t *testing.T) map[string]disk.Blob {
	t.Helper()
	images := make(map[string]disk.Blob)
	for _, pattern := range []string{"erofs/testdata/*.erofs", "squashfs/testdata/*.squashfs", "ext4/testdata/*.img.gz"} {
		paths, err := filepath.Glob("../format/" + pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("no %s, %v", pattern, err)
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(path, ".gz") {
				content = imagetest.Gunzip(t, path)
			}
			images[filepath.Base(path)] = content
		}
	}
	return images
}

// bounded verifies damaged bytes and wants it to stay within the bounds. It
// returns what look does.
func bounded(t *testing.T, b disk.Blob, opts image.Options, names int) (bool, error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	reported, err := look(t, b, opts)
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if used, most := after.TotalAlloc-before.TotalAlloc, uint64(memoryMost+names*memoryPerName); used > most {
		t.Errorf("Verify allocates %d bytes, want at most %d", used, most)
	}
	if took > timeMost {
		t.Errorf("Verify takes %v, want at most %v", took, timeMost)
	}
	return reported, err
}

// TestBareDamage damages file systems that nothing vouches for. What is found
// in them is not the point here, as each format has its own tests of that, but
// that Verify comes to an end, within its bounds, with findings only.
func TestBareDamage(t *testing.T) {
	for name, whole := range bare(t) {
		source := rand.New(rand.NewPCG(3, 4))
		for range 150 {
			b := bytes.Clone(whole)
			for range 1 + source.IntN(4) {
				// Numbers go wrong in their lowest bytes, at their limits, and at
				// the limits of what they are added to.
				at := source.IntN(len(b) - 8)
				if source.IntN(2) == 0 {
					at = source.IntN(min(len(b)-8, 16<<10)) &^ 3
				}
				copy(b[at:], [][]byte{{0xff}, {0xff, 0xff, 0xff, 0x7f}, {0, 0, 0, 0}, b[source.IntN(len(b)-8):][:4], {b[at] ^ 1}}[source.IntN(5)])
			}
			if _, err := bounded(t, b, image.Options{}, 1000); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestCompressedDamage changes bytes all over images with compressed data. Some
// of the findings are about data that does not decode.
func TestCompressedDamage(t *testing.T) {
	for name, whole := range bare(t) {
		if !strings.HasSuffix(name, ".erofs") {
			continue // of SquashFS all blocks are decoded too, and its own tests see to it
		}
		var found []string
		for at := 0; at < len(whole); at += 101 {
			b := bytes.Clone(whole)
			b[at] ^= 0xff
			if m, err := image.Read(disk.Blob(b), int64(len(b))); err == nil {
				checked, err := m.Verify(t.Context(), image.Options{})
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				found = append(found, texts(checked, "pcluster for ")...)
			}
		}
		if len(found) == 0 {
			t.Errorf("%s: nothing that does not decode is found", name)
		}
	}
}

// texts returns the findings with some words in them.
func texts(found *image.Checked, words string) (list []string) {
	for _, f := range found.Findings {
		if strings.Contains(f.Text, words) {
			list = append(list, f.Text)
		}
	}
	return list
}

// TestManyNames: what Verify needs grows with the names, and with nothing else.
func TestManyNames(t *testing.T) {
	const names = 20_000
	b := disk.Content("tool")
	for n := range names {
		b.File(fmt.Sprintf("usr/share/many/%03d/%06d", n%100, n), 0o644, "")
	}
	m := disk.Recipe{Files: b.Tree}.Make(t)
	if _, err := bounded(t, m.Bytes, image.Options{}, names); err != nil {
		t.Fatal(err)
	}
}

// TestBareShrinks: a bare file system that ends early while it is read is an
// error about reading, not a file system that is broken.
func TestBareShrinks(t *testing.T) {
	for name, whole := range bare(t) {
		file := &shrinking{Blob: whole}
		for end := int64(0); end < int64(len(whole)); end += int64(len(whole))/60 + 1 {
			file.end.Store(int64(len(whole)))
			img, err := image.Read(file, int64(len(whole)))
			if err != nil {
				t.Fatal(err)
			}
			file.end.Store(end)
			if found, err := img.Verify(t.Context(), image.Options{}); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s ends at byte %d: Verify = %v, %v, want %v", name, end, found, err, io.ErrUnexpectedEOF)
			}
		}
	}
}

// TestTruncatedFile: the same with a file, which is cut while an image of it is
// open.
func TestTruncatedFile(t *testing.T) {
	m := disk.Recipe{}.Make(t)
	path := writeImage(t, "tool.raw", m.Bytes)
	img, err := image.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	if err := os.Truncate(path, int64(len(m.Bytes))/2); err != nil {
		t.Fatal(err)
	}
	if found, err := img.Verify(t.Context(), image.Options{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Verify = %v, %v, want %v", found, err, io.ErrUnexpectedEOF)
	}
}

// TestFacts wants the compression that the names of the test images tell, and
// the year in which they were made.
func TestFacts(t *testing.T) {
	for name, content := range bare(t) {
		m, err := image.Read(content, int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		facts, err := m.Facts(&m.Parts[0])
		if err != nil {
			t.Fatal(err)
		}
		want, _, _ := strings.Cut(strings.TrimSuffix(name, filepath.Ext(name)), "-")
		switch {
		case facts.Kind == "ext4", want == "stored":
			continue
		case want == "metabox":
			want = "lz4, zstd"
		}
		if facts.Compression != want {
			t.Errorf("%s: compression %q, want %q", name, facts.Compression, want)
		}
		if year := facts.Created.Year(); facts.Kind == "erofs" && year != 2026 {
			t.Errorf("%s: created in %d, want 2026", name, year)
		}
	}
}
