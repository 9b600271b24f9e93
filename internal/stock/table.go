package stock

import (
	"strings"
)

// empty is what stands in a cell without content.
const empty = "-"

// cell is one value of a table.
type cell interface {
	text() string // lines, with \n between
	json() string
}

// word is a cell with a text.
type word string

func (w word) text() string { return string(w) }
func (w word) json() string { return quote(string(w)) }

// list is a cell with several texts, one a line.
type list []string

func (l list) text() string {
	if len(l) == 0 {
		return empty
	}
	return strings.Join(l, "\n")
}

func (l list) json() string {
	var parts []string
	for _, s := range l {
		parts = append(parts, quote(s))
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// table is rows under names.
type table struct {
	columns []string
	rows    [][]cell
}

// text returns the table with columns as wide as their content, the last one
// open. The legend is the first line.
func (t table) text(legend bool) string {
	rows := make([][]string, 0, len(t.rows)+1)
	if legend {
		var names []string
		for _, c := range t.columns {
			names = append(names, strings.ToUpper(c))
		}
		rows = append(rows, names)
	}
	for _, r := range t.rows {
		var cells []string
		for _, c := range r {
			cells = append(cells, c.text())
		}
		rows = append(rows, cells)
	}
	widths := make([]int, len(t.columns))
	for _, r := range rows {
		for i, c := range r {
			for line := range strings.SplitSeq(c, "\n") {
				widths[i] = max(widths[i], width(line))
			}
		}
	}
	var b strings.Builder
	for _, r := range rows {
		writeRow(&b, r, widths)
	}
	return b.String()
}

// writeRow writes one row, which has as many lines as its highest cell.
func writeRow(b *strings.Builder, cells []string, widths []int) {
	lines := 1
	split := make([][]string, len(cells))
	for i, c := range cells {
		split[i] = strings.Split(c, "\n")
		lines = max(lines, len(split[i]))
	}
	for n := range lines {
		for i, c := range split {
			line := ""
			if n < len(c) {
				line = c[n]
			}
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(line)
			if i < len(split)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-width(line)))
			}
		}
		b.WriteByte('\n')
	}
}

// width returns how many columns of a terminal a text takes.
func width(s string) int {
	n := 0
	for _, r := range s {
		n++
		if wide(r) {
			n++
		}
	}
	return n
}

// wide reports whether a character takes two columns: those that Unicode calls
// East Asian wide (UAX #11), by their large blocks.
func wide(r rune) bool {
	switch {
	case r < 0x1100:
		return false
	case r <= 0x115f, // Hangul Jamo
		r >= 0x2e80 && r <= 0x303e,   // radicals, punctuation
		r >= 0x3041 && r <= 0xa4cf,   // kana to Yi
		r >= 0xac00 && r <= 0xd7a3,   // Hangul
		r >= 0xf900 && r <= 0xfaff,   // compatibility
		r >= 0xfe30 && r <= 0xfe6f,   // forms
		r >= 0xff00 && r <= 0xff60,   // fullwidth
		r >= 0xffe0 && r <= 0xffe6,   // fullwidth signs
		r >= 0x20000 && r <= 0x3fffd: // further ideographs
		return true
	}
	return false
}
