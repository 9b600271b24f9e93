package fat_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/format/fat"
	"sextant/internal/imagetest"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// twin makes the same changes with our editor in one image and with mtools in
// another.
type twin struct {
	t     *testing.T
	r     *rand.Rand
	e     *fat.Editor
	other string // image of mtools
	src   string // file for mcopy
	dirs  []string
	files []string
}

// name gives names that collide in their short forms.
func (w *twin) name() string {
	pool := []string{"plain", "UPPER.TXT", "lower.cfg", "Mixed.Cfg", "a very long name that needs some entries.configuration",
		"longname-%d.conf", "LONGNAME-%d.CONF", "naïve résumé %d.md", ".hidden-%d", "two.dots.%d.x", "sp ace%d", "x%d", "日本%d", "plus+%d.a,b"}
	return strings.ReplaceAll(pool[w.r.IntN(len(pool))], "%d", fmt.Sprint(w.r.IntN(40)))
}

func (w *twin) fresh() string {
	for {
		path := w.dirs[w.r.IntN(len(w.dirs))] + "/" + w.name()
		taken := func(other string) bool { return strings.EqualFold(path, other) }
		if !slices.ContainsFunc(w.dirs, taken) && !slices.ContainsFunc(w.files, taken) {
			return path
		}
	}
}

func (w *twin) put(path string) {
	content := imagetest.Noise{Seed: w.r.Uint64(), Length: int64(w.r.IntN(1 << (1 + w.r.IntN(17))))}
	b := make([]byte, content.Length)
	_, _ = content.ReadAt(b, 0)
	must(w.t, os.WriteFile(w.src, b, 0o644), os.Chtimes(w.src, when, when),
		w.e.Put(path, &tree.Inode{Mode: tree.TypeRegular | 0o644, ModTime: when, Content: content}))
	run(w.t, "mcopy", "-i", w.other, "-o", "-m", "-Q", w.src, "::"+path)
}

// below drops what is at path and below from a list.
func below(list []string, path string) []string {
	return slices.DeleteFunc(list, func(p string) bool { return p == path || strings.HasPrefix(p, path+"/") })
}

func (w *twin) step() {
	switch n := w.r.IntN(10); {
	case n < 4:
		path := w.fresh()
		w.put(path)
		w.files = append(w.files, path)
	case n < 5:
		path := w.fresh()
		must(w.t, w.e.Put(path, dir()))
		run(w.t, "mmd", "-i", w.other, "::"+path)
		w.dirs = append(w.dirs, path)
	case n < 7 && len(w.files) > 0:
		w.put(w.files[w.r.IntN(len(w.files))])
	case n < 9 && len(w.files) > 0:
		path := w.files[w.r.IntN(len(w.files))]
		must(w.t, w.e.Remove(path))
		run(w.t, "mdel", "-i", w.other, "::"+path)
		w.files = below(w.files, path)
	case len(w.dirs) > 3:
		path := w.dirs[1+w.r.IntN(len(w.dirs)-1)]
		must(w.t, w.e.RemoveAll(path))
		run(w.t, "mdeltree", "-i", w.other, "::"+path)
		w.files, w.dirs = below(w.files, path), below(w.dirs, path)
	}
}

// TestRandomEdits compares random changes with mtools making the same.
func TestRandomEdits(t *testing.T) {
	rounds, steps := 1, 100
	if testenv.Long() {
		rounds, steps = 5, 400
	}
	for _, args := range []string{"-F 12 -s 8", "-F 16 -s 4", "-F 32 -s 1", "-S 4096 -F 12 -s 1"} {
		for seed := range rounds {
			t.Run(fmt.Sprintf("%s seed %d", args, seed), func(t *testing.T) { randomEdits(t, args, uint64(seed), steps) })
		}
	}
}

func randomEdits(t *testing.T, args string, seed uint64, steps int) {
	size := int64(12 << 10)
	if strings.Contains(args, "32") {
		size = 34 << 10
	}
	mine, other := mkfs(t, size, strings.Fields(args)...), mkfs(t, size, strings.Fields(args)...)
	w := &twin{t: t, r: rand.New(rand.NewPCG(seed, 9)), e: edit(t, mine), other: other, dirs: []string{""},
		src: filepath.Join(t.TempDir(), "src")}
	for n := range steps {
		w.step()
		if n%30 == 29 {
			must(t, w.e.Commit())
		}
	}
	must(t, w.e.Commit())
	checkImage(t, mine)
	if diff := cmp.Diff(stripTimes(ours(t, other)), stripTimes(ours(t, mine))); diff != "" {
		t.Errorf("mtools' image (-), ours (+):\n%s", diff)
	}
	// Directories grow one cluster sooner or later where free entries do not lie
	// in a row.
	cluster := openFS(t, mine).Geometry().ClusterSize
	if got, want := free(t, mine), free(t, other); got < want-4*cluster || got > want+4*cluster {
		t.Errorf("%d bytes are free, in mtools' image %d", got, want)
	}
}

// free is what an editor says of an image without changing it.
func free(t *testing.T, path string) int64 { return edit(t, path).Free() }

// stripTimes cuts the times from descriptions.
func stripTimes(list map[string]string) map[string]string {
	for path, text := range list {
		list[path], _, _ = strings.Cut(text, " at ")
	}
	return list
}
