// Package spelling finds the word that a misspelt one was probably meant to be.
package spelling

import "strings"

// Nearest returns the name that text is probably a misspelling of, or "".
func Nearest(text string, names []string) string {
	best, limit := "", max(1, min(len(text)/2, max(2, len(text)/3)))+1
	for _, name := range names {
		if d := Distance(strings.ToLower(text), strings.ToLower(name), limit); d < limit {
			best, limit = name, d
		}
	}
	return best
}

// Distance counts the bytes to insert, drop, replace or swap with the next to
// make a into b. A result of limit means limit or more.
func Distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	var before []int // the row above the last
	last := make([]int, len(b)+1)
	for k := range last {
		last[k] = k
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for k := 1; k <= len(b); k++ {
			cost := 1
			if a[i-1] == b[k-1] {
				cost = 0
			}
			row[k] = min(last[k]+1, row[k-1]+1, last[k-1]+cost)
			if i > 1 && k > 1 && a[i-1] == b[k-2] && a[i-2] == b[k-1] {
				row[k] = min(row[k], before[k-2]+1)
			}
		}
		before, last = last, row
	}
	return min(last[len(b)], limit)
}
