package unit_test

import (
	"os"
	"strings"
	"testing"

	"sextant/internal/vmtest/rootfs"
)

// matrix reads testdata/matrix.
func matrix(t *testing.T) []kase {
	t.Helper()
	text, err := os.ReadFile("testdata/matrix")
	must(t, err)
	var cases []kase
	for part := range strings.SplitSeq(string(text), "\n\n# ") {
		name, rest, ok := strings.Cut(part, "\n> ")
		ops, files, ok2 := strings.Cut(rest, "\n")
		if ok && ok2 {
			cases = append(cases, kase{name, files, ops})
		}
	}
	return cases
}

func TestMatrixLikeSystemctl(t *testing.T) {
	for _, release := range rootfs.Releases() {
		t.Run(release.String(), func(t *testing.T) {
			good, bad := compare(t, release, matrix(t))
			if good < 150 || bad < 40 {
				t.Errorf("%d steps succeeded, %d failed: they show too little", good, bad)
			}
			t.Logf("%d steps the same, %d refused by both", good, bad)
		})
	}
}
