package plain_test

import (
	"testing"

	"sextant/internal/plain"
)

func TestText(t *testing.T) {
	for _, test := range []struct{ in, name, text, lines string }{
		{"usr/bin/tool", "usr/bin/tool", "usr/bin/tool", "usr/bin/tool"},
		{"größe €", "größe €", "größe €", "größe €"},
		{"a\x1b[2J", `a\x1b[2J`, `a\x1b[2J`, `a\x1b[2J`},
		{"a\nb\t\x7f", `a\x0ab\x09\x7f`, `a\x0ab\x09\x7f`, "a\nb" + `\x09\x7f`},
		{"\u009b2J", `\xc2\x9b2J`, `\xc2\x9b2J`, `\xc2\x9b2J`}, // CSI in one character
		{"\xff\\", `\xff\x5c`, `\xff\`, `\xff\`},
		{"", "", "", ""},
	} {
		if got := plain.Name(test.in); got != test.name {
			t.Errorf("Name(%q) = %q, want %q", test.in, got, test.name)
		}
		if got := plain.Text(test.in); got != test.text {
			t.Errorf("Text(%q) = %q, want %q", test.in, got, test.text)
		}
		if got := plain.Lines(test.in); got != test.lines {
			t.Errorf("Lines(%q) = %q, want %q", test.in, got, test.lines)
		}
	}
}
