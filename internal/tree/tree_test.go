package tree_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"sextant/internal/tree"
)

// TestEntries puts, replaces and removes entries in all orders and compares
// with a map.
func TestEntries(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		dir := tree.NewDir(0o755)
		want := make(map[string]*tree.Inode)
		for n := range 12 {
			name := fmt.Sprint(r.IntN(10))
			if r.IntN(2) == 0 {
				name = fmt.Sprintf("x%02d", n) // behind all others
			}
			if r.IntN(4) == 0 {
				dir.Remove(name)
				delete(want, name)
			} else {
				child := tree.NewDir(0o700)
				if err := dir.Put(name, child); err != nil {
					t.Fatal(err)
				}
				want[name] = child
			}
			checkEntries(t, dir, want)
		}
	}
}

func checkEntries(t *testing.T, dir *tree.Inode, want map[string]*tree.Inode) {
	t.Helper()
	names := slices.Sorted(maps.Keys(want))
	entries := dir.Entries()
	if len(entries) != len(names) {
		t.Fatalf("Entries = %v, want %v", entries, names)
	}
	for i, name := range names {
		if entries[i].Name != name || entries[i].Inode != want[name] {
			t.Fatalf("Entries[%d] = %v, want %s: %v", i, entries[i], name, want[name])
		}
	}
}

// TestEntriesStay changes a directory while its entries are gone through.
func TestEntriesStay(t *testing.T) {
	dir := tree.NewDir(0o755)
	for _, name := range []string{"a", "b", "c"} {
		if err := dir.Put(name, tree.NewDir(0o755)); err != nil {
			t.Fatal(err)
		}
	}
	list := dir.Entries()
	old := list[0].Inode
	dir.Remove("b")
	if err := dir.Put("a", tree.NewDir(0o700)); err != nil {
		t.Fatal(err)
	}
	if len(list) != 3 || list[0].Inode != old || list[1].Name != "b" {
		t.Errorf("a list of entries changed with the directory: %v", list)
	}
}
