//go:build linux

package merge_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"sextant/internal/extension"
	"sextant/internal/imagetest/disk"
	"sextant/internal/merge"
	"sextant/internal/testenv"
)

// BenchmarkMerge merges and unmerges what cmd/bench has whole programs do:
//
//	SEXTANT_MERGE_WORLD=small go test ./internal/merge -run - -bench Merge
func BenchmarkMerge(b *testing.B) {
	testenv.RequireRoot(b)
	if os.Getenv(worldVariable) == "" {
		b.Skip("needs a world of its own: " + worldVariable + "=" + smallWorld)
	}
	for _, kind := range []string{"directories", "images"} {
		for _, n := range []int{1, 10, 100} {
			b.Run(fmt.Sprintf("%d %s", n, kind), func(b *testing.B) { benchmarkMerge(b, kind, n) })
		}
	}
}

func benchmarkMerge(b *testing.B, kind string, n int) {
	const dir = "/var/lib/extensions"
	for i := range n {
		name := fmt.Sprintf("e%d", i)
		files := content(name, "/usr").Tree
		if kind == "images" {
			image := disk.Recipe{Files: files, NoHash: true}.Make(b)
			if err := os.WriteFile(dir+"/"+name+".raw", image.Bytes, 0o644); err != nil {
				b.Fatal(err)
			}
			continue
		}
		for path, text := range map[string]string{"bin/" + name: name, "lib/extension-release.d/extension-release." + name: "ID=_any\n"} {
			path = strings.Join([]string{dir, name, "usr", path}, "/")
			if err := os.MkdirAll(path[:strings.LastIndexByte(path, '/')], 0o755); err != nil {
				b.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Cleanup(func() { os.RemoveAll(dir); os.Mkdir(dir, 0o755) })
	opts := listed(extension.Sysext)
	for b.Loop() {
		for _, do := range []act{{do: doMerge}, {do: doUnmerge}} {
			if r, err := do.do(b.Context(), opts); err != nil || r.Outcome != merge.Done {
				b.Fatal(r, err)
			}
		}
	}
}
