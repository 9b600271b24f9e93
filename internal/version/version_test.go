package version_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"sextant/internal/version"
)

// Each line holds versions from old to new; those with = between are equal.
// They are the cases of systemd (src/test/test-string-util.c), of mkosi
// (tests/test_versioncomp.py), and the examples of UAPI.10.
const ladders = `
~1 "" ab abb abc 0001 002 12 122 122.9 123~rc1 123 123-a 123-a.1 123-a1 123-a1.1 123-3 123-3.1 123^patch1 123^1 123.a-1 123.1-1 123a-1 124
122.1 123~rc1-1 123 123-a 123-a.1 123-1 123-1.1 123^post1 123.a-1 123.1-1 123a-1 124-1
123.45-67.88 123.45-67.89 123.45-67.89a
123.45-67.ab 123.45-67.9 123.45-67.89
123.45-67 123.45-67.89
123.45-66.89 123.45-67.89
123-99.99 123.42-99.99 123.45-9.99 123.45-67.89
123~rc1-99.99 123~rc2-67.89 123-45.67.89 123^aa2-67.89 123.45-67.89 123aa2-67.89
123-99.99 123^aa1-99.99 123^aa2-67.89 123aa2-67.89
123^45-67.89 123.45-67.89
123.aa2-67.89 123.ab2-67.89 123aa2-67.89
123_aa2-67.89 = 123aa+2-67.89
123 123.
12 12.3 12_3 123
123 123.0
123 123_0
123..0 123.0
"" = _
0_ = 0 = _0_ = _0 = 0___
_ = _
~ = ~
~ ""
1٠١٢٣٤٥٦٧٨٩ = 1
1๐๑๒๓๔๕๖๗๘๙ = 1

1.0 2.0
2.0 2.0.1
2.0.1 2.0.1a
5.5p1 5.5p2 5.5p10
10.1xyz 10xyz
xyz10 xyz10.1
xyz.4 8
xyz.4 2
5.5p2 5.6p1 6.5p1
6.0 6.0.rc1
10a1 10a2 10b2
1.0a 1.0aa
10.0001 = 10.1
10.0001 10.0039
4.999.9 5.0
20101121 20101122
2.0 2_0
a+ = a_ = a
+a = _a
+_ = _+ = + = _
1.0~rc1~git123 1.0~rc1 1.0~rc2 1.0
1.0 1.0^ 1.0^git1 1.0^git2 1.01
1.0^20160101 1.0^20160101^git1 1.0^20160102 1.0.1
1.0~rc1 1.0~rc1^git1
1.0^git1~pre 1.0^git1
1.fc17 1b.fc17
1.fc17 1g.fc17
1.1.α = 1.1.β = 1.1.αα = 1.1.ββ

bar-123 foo-123
123 123.a 123.b 123a
11α = 11β
A a
~ "" 0 0. 0.0
1_ = 1 = _1
1_ 1.2
1.3.3 1_2_3
1+ = +1
1+ 1.2
1.3.3 1+2+3
app-1.9 app-1.10
00000000000000000000000000000000000000000000002 10000000000000000000000000000000000000000000000000
`

func TestCompare(t *testing.T) {
	for line := range strings.Lines(ladders) {
		rank, equal := 0, false
		var words []string
		var ranks []int
		for _, word := range strings.Fields(line) {
			if word == "=" {
				equal = true
				continue
			}
			if !equal {
				rank++
			}
			equal = false
			words, ranks = append(words, strings.Trim(word, `"`)), append(ranks, rank)
		}
		for i, a := range words {
			for j, b := range words {
				if got, want := version.Compare(a, b), cmp.Compare(ranks[i], ranks[j]); got != want {
					t.Errorf("Compare(%q, %q) = %d, want %d", a, b, got, want)
				}
			}
		}
	}
}

func TestCompareSorts(t *testing.T) {
	names := []string{"foo_1.10", "foo_1.9", "bar", "foo", "foo_1.9~rc1"}
	slices.SortStableFunc(names, version.Compare)
	if got, want := strings.Join(names, " "), "bar foo foo_1.9~rc1 foo_1.9 foo_1.10"; got != want {
		t.Errorf("sorted = %s, want %s", got, want)
	}
}

func FuzzCompare(f *testing.F) {
	f.Add("123~rc1-99.99", "123^aa2", "123.a")
	f.Add("1.0^git1~pre", "..", "0_0")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		ab, bc, ac := version.Compare(a, b), version.Compare(b, c), version.Compare(a, c)
		if ba := version.Compare(b, a); ba != -ab {
			t.Errorf("Compare(%q, %q) = %d, the other way %d", a, b, ab, ba)
		}
		if version.Compare(a, a) != 0 {
			t.Errorf("Compare(%q, itself) is not 0", a)
		}
		if ab == bc && ab != ac {
			t.Errorf("%q, %q, %q: %d, %d, but %d", a, b, c, ab, bc, ac)
		}
	})
}
