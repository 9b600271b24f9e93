package span_test

import (
	"slices"
	"testing"

	"sextant/internal/span"
)

func TestAppend(t *testing.T) {
	var got []span.Span
	for _, s := range []span.Span{{0, 0}, {0, 4}, {4, 2}, {6, 0}, {8, 1}, {12, 0}, {9, 1}} {
		got = span.Append(got, s)
	}
	if want := []span.Span{{0, 6}, {8, 2}}; !slices.Equal(got, want) {
		t.Errorf("Append of one after the other gives %v, want %v", got, want)
	}
}
