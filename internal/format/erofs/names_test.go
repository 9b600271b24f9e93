package erofs_test

import (
	"bytes"
	"testing"

	"errors"
	"sextant/internal/fault"
	"sextant/internal/format/erofs"
	"sextant/internal/imagetest"
	"sextant/internal/tree"
)

// namesOf lists what Names gives.
func namesOf(image []byte) (list []string, err error) {
	f, err := erofs.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		return nil, err
	}
	err = f.Names(func(dir, name string, kind tree.Mode) error {
		list = append(list, kind.Kind()+" "+dir+name)
		return nil
	})
	return list, err
}

// TestNames wants the names of Names and of Tree to be the same, in the same
// order.
func TestNames(t *testing.T) {
	source := imagetest.Corner()
	var want []string
	source.Each(func(path string, node *tree.Inode) {
		if path != "/" {
			want = append(want, node.Mode.Kind()+" "+path)
		}
	})
	for _, blockSize := range []int{512, 4096} {
		opts := options()
		opts.BlockSize = blockSize
		got, err := namesOf(render(t, source, opts))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("Names gives %d names, want %d", len(got), len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("name %d = %q, want %q", i, got[i], want[i])
			}
		}
	}
}

// FuzzNames wants an end, no panic, and no error but a fault.
func FuzzNames(f *testing.F) {
	f.Add(render(f, small(), options()))
	f.Fuzz(func(t *testing.T, image []byte) {
		names, err := namesOf(withChecksum(image))
		if err != nil && !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) {
			t.Errorf("not a fault: %v", err)
		}
		if len(names) > len(image) {
			t.Errorf("%d names in %d bytes", len(names), len(image))
		}
	})
}
