package inspect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// region is one stretch of a disk.
type region struct {
	Range
	label string // what stands in its box
	fill  string // what its box is full of
	width int    // characters
}

// Map draws the disk in three lines of about the given width, to scale, but for
// regions that would be too narrow to see:
//
//	+-+-----------------+--+--+-+
//	|t|        1        |2 |3 |t|
//	+-+-----------------+--+--+-+
//
// Numbers are partitions, t the partition table and its backup, and dots are
// free. What has no partition table gives "".
func (i *Inspection) Map(width int) string {
	if len(i.Partitions)+len(i.Free) == 0 {
		return ""
	}
	regions := i.regions()
	scale(regions, i.Size, width-len(regions)-1)
	var edge, middle strings.Builder
	for _, r := range regions {
		edge.WriteString("+" + strings.Repeat("-", r.width))
		left := (r.width - len(r.label)) / 2
		middle.WriteString("|" + strings.Repeat(r.fill, left) + r.label + strings.Repeat(r.fill, r.width-left-len(r.label)))
	}
	return edge.String() + "+\n" + middle.String() + "|\n" + edge.String() + "+\n"
}

// regions lists all of the disk in the order of the bytes. What is neither
// partition nor free is the table.
func (i *Inspection) regions() []region {
	var list []region
	for _, p := range i.Partitions {
		list = append(list, region{Range: p.Range, label: fmt.Sprint(p.Number), fill: " "})
	}
	for _, f := range i.Free {
		list = append(list, region{Range: f, label: ".", fill: "."})
	}
	slices.SortFunc(list, func(a, b region) int { return cmp.Compare(a.Offset, b.Offset) })
	if first := list[0].Offset; first > 0 {
		list = slices.Insert(list, 0, region{Range: Range{0, first}, label: "t", fill: " "})
	}
	last := list[len(list)-1]
	if end := last.Offset + last.Size; end < i.Size {
		list = append(list, region{Range: Range{end, i.Size - end}, label: "t", fill: " "})
	}
	return list
}

// scale gives each region its part of the width, and its label at least. What
// that takes too much, or rounding leaves, the largest one gives or gets.
func scale(regions []region, total int64, width int) {
	largest, sum := 0, 0
	for n := range regions {
		r := &regions[n]
		r.width = max(int(float64(r.Size)/float64(max(total, 1))*float64(width)), len(r.label))
		sum += r.width
		if r.Size > regions[largest].Size {
			largest = n
		}
	}
	regions[largest].width = max(regions[largest].width+width-sum, len(regions[largest].label))
}
