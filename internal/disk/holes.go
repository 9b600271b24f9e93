package disk

import (
	"os"
	"slices"
	"sort"

	"sextant/internal/linux/sparse"
	"sextant/internal/span"
)

// holes finds the holes of a file. It goes through the file once, as far as it
// is asked, and remembers: the clusters of a disk that was in use lie anywhere,
// and to find where data ends can take time for every page of it.
type holes struct {
	f     *os.File
	size  int64
	none  bool      // to read the zeros takes less time than to look for holes
	known []stretch // each begins where the one before ends
}

// stretch is a hole of a file, which can be empty, and the data behind it.
type stretch struct{ hole, data, end int64 }

func newHoles(f *os.File) (*holes, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	missing := info.Size() - sparse.Allocated(info)
	return &holes{f: f, size: info.Size(), none: !info.Mode().IsRegular() || missing < info.Size()/64}, nil
}

// remembered is how many stretches are kept; what lies before them passes for
// data, of which zeros are left out when it is read.
const remembered = 1 << 14

// at returns the stretch that a place in the file is in.
func (h *holes) at(place int64) (stretch, error) {
	for h.end() <= place {
		if err := h.look(); err != nil {
			return stretch{}, err
		}
	}
	if first := h.known[0].hole; place < first {
		return stretch{place, place, first}, nil
	}
	return h.known[sort.Search(len(h.known), func(i int) bool { return place < h.known[i].end })], nil
}

// end returns how far the file is known.
func (h *holes) end() int64 {
	if len(h.known) == 0 {
		return 0
	}
	return h.known[len(h.known)-1].end
}

// look finds the next stretch.
func (h *holes) look() error {
	from := h.end()
	data, end, err := sparse.Next(h.f, from, h.size)
	if err != nil {
		return err
	}
	if end <= from { // the file shrank; reading it will tell
		data, end = from, h.size
	}
	if len(h.known) == remembered {
		h.known = slices.Delete(h.known, 0, remembered/2)
	}
	h.known = append(h.known, stretch{from, data, end})
	return nil
}

// data calls yield for the parts of a segment that are no holes of the file, in
// whole blocks of the disk, so that a file system with smaller ones gives the
// same copy. It returns false after yield did, or after an error.
func (h *holes) data(m span.Mapped, yield func(span.Mapped, error) bool) bool {
	if h.none || m.At == span.Packed {
		return yield(m, nil)
	}
	shift := m.Offset - m.At
	part := span.Span{Offset: m.Offset}
	for at, end := m.At, min(m.At+m.Length, h.size); at < end; {
		s, err := h.at(at)
		if err != nil {
			yield(span.Mapped{}, err)
			return false
		}
		from, to := max(at, s.data)+shift, min(end, s.end)+shift
		at = s.end
		if from >= to {
			continue
		}
		first, last := max(part.Offset, from/block*block), min(span.AlignUp(to, block), m.End())
		if first > part.End() {
			if part.Length > 0 && !yield(m.Part(part), nil) {
				return false
			}
			part.Offset = first
		}
		part.Length = last - part.Offset
	}
	return part.Length == 0 || yield(m.Part(part), nil)
}
