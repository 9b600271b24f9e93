package extension_test

import (
	"testing"

	"sextant/internal/extension"
)

// versionOrder lists versions from old to new, as systemd-analyze
// compare-versions and mkosi order them.
var versionOrder = []string{
	"~", "", "0", "0-0", "A", "a", "aB", "ab", "1~rc1", "1", "1-", "1^a", "1.~1", "1.", "1.1~rc1", "1.1", "1.1-1",
	"1.1^post", "1.1.0", "1.1a", "1.2", "1.10", "2", "10", "99999999999999999999", "100000000000000000000",
}

func TestCompareVersions(t *testing.T) {
	for i, a := range versionOrder {
		for k, b := range versionOrder {
			want := 0
			if i < k {
				want = -1
			} else if i > k {
				want = 1
			}
			if got := extension.CompareVersions(a, b); got != want {
				t.Errorf("CompareVersions(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestCompareVersionsIgnoresWhatIsNoVersion(t *testing.T) {
	for _, pair := range [][2]string{{"1.2", "1_.2+"}, {" 5", "5 "}, {"007", "7"}, {"", "_"}, {"é1", "1"}} {
		if got := extension.CompareVersions(pair[0], pair[1]); got != 0 {
			t.Errorf("CompareVersions(%q, %q) = %d, want 0", pair[0], pair[1], got)
		}
	}
}

func FuzzCompareVersions(f *testing.F) {
	for _, v := range versionOrder {
		f.Add(v, "1.1")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if x, y := extension.CompareVersions(a, b), extension.CompareVersions(b, a); x != -y {
			t.Errorf("CompareVersions(%q, %q) = %d, but the other way round %d", a, b, x, y)
		}
	})
}
