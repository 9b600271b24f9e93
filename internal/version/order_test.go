package version_test

import (
	"testing"

	"sextant/internal/version"
)

// versionOrder lists versions from old to new, as systemd-analyze
// compare-versions orders them.
var versionOrder = []string{
	"~", "", "A", "a", "aB", "ab", "0", "0-0", "1~rc1", "1", "1-", "1^a", "1.~1", "1.", "1.1~rc1", "1.1", "1.1-1",
	"1.1^post", "1.1.0", "1.1a", "1.2", "1.10", "2", "10", "99999999999999999999", "100000000000000000000",
}

func TestCompareOrder(t *testing.T) {
	for i, a := range versionOrder {
		for k, b := range versionOrder {
			want := 0
			if i < k {
				want = -1
			} else if i > k {
				want = 1
			}
			if got := version.Compare(a, b); got != want {
				t.Errorf("Compare(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestCompareIgnoresWhatIsNoVersion(t *testing.T) {
	for _, pair := range [][2]string{{"1.2", "1_.2+"}, {" 5", "5 "}, {"007", "7"}, {"", "_"}, {"é1", "1"}} {
		if got := version.Compare(pair[0], pair[1]); got != 0 {
			t.Errorf("Compare(%q, %q) = %d, want 0", pair[0], pair[1], got)
		}
	}
}
