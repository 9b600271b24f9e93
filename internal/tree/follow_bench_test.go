package tree_test

import (
	"testing"

	"sextant/internal/tree"
)

// BenchmarkFollow goes through a deep path with two links on it.
func BenchmarkFollow(b *testing.B) {
	t := tree.New()
	for _, path := range []string{"usr/lib/systemd/system", "etc"} {
		if _, err := t.ResolveDir(path, true); err != nil {
			b.Fatal(err)
		}
	}
	put := func(dir, name string, node *tree.Inode) {
		if err := t.Lookup(dir).Put(name, node); err != nil {
			b.Fatal(err)
		}
	}
	put("/", "lib", &tree.Inode{Mode: tree.TypeSymlink | 0o777, Target: "usr/lib"})
	put("/etc", "units", &tree.Inode{Mode: tree.TypeSymlink | 0o777, Target: "/lib/systemd/system"})
	put("/usr/lib/systemd/system", "a.service", &tree.Inode{Mode: tree.TypeRegular | 0o644})
	for name, path := range map[string]string{"plain": "/usr/lib/systemd/system/a.service", "links": "/etc/units/a.service"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := t.Follow(path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
