package squashfs_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/format/squashfs"
)

// TestLoops bends directory entries to a directory that has one already, which
// would let a walk go on for ever, or for longer than anybody waits.
func TestLoops(t *testing.T) {
	m := newMaker(t)
	m.mkdir("aaaa/cccc")
	m.mkdir("bbbb")
	whole, err := os.ReadFile(mksquashfs(t, m.dir, "-noI"))
	m.must(err)
	entry := func(image []byte, name string) []byte {
		i := bytes.Index(image, append([]byte{1, 0, 3, 0}, name...))
		if i < 0 {
			t.Fatalf("no entry %s in the image", name)
		}
		return image[i-4 : i]
	}
	header := func(image []byte, name string) []byte {
		i := bytes.Index(image, append([]byte{1, 0, 3, 0}, name...))
		return image[i-16 : i-4]
	}
	number := func(image []byte, name string) uint32 {
		return binary.LittleEndian.Uint32(header(image, name)[8:]) + uint32(int32(int16(binary.LittleEndian.Uint16(entry(image, name)[2:]))))
	}
	for name, bend := range map[string]func(image []byte){
		"two names": func(image []byte) { copy(entry(image, "bbbb"), entry(image, "aaaa")) },
		"itself": func(image []byte) {
			copy(entry(image, "cccc"), entry(image, "aaaa")[:2])
			binary.LittleEndian.PutUint32(header(image, "cccc")[8:], number(image, "aaaa"))
			clear(entry(image, "cccc")[2:])
		},
		"the root": func(image []byte) {
			binary.LittleEndian.PutUint16(entry(image, "cccc"), uint16(binary.LittleEndian.Uint64(image[32:])))
			binary.LittleEndian.PutUint32(header(image, "cccc")[8:], binary.LittleEndian.Uint32(image[4:]))
			clear(entry(image, "cccc")[2:])
		},
	} {
		image := bytes.Clone(whole)
		bend(image)
		fsys, err := squashfs.Open(bytes.NewReader(image), int64(len(image)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if tr, err := fsys.Tree(); tr != nil || !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("%s: Tree = %v, want ErrCorrupt", name, err)
		}
		if err := fsys.Walk(func(string, fs.DirEntry) error { return nil }); !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("%s: Walk = %v, want ErrCorrupt", name, err)
		}
		err = fs.WalkDir(fsys, ".", func(_ string, _ fs.DirEntry, err error) error { return err })
		if !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("%s: WalkDir = %v, want ErrCorrupt", name, err)
		}
		problems, err := fsys.Check(t.Context())
		serious := 0
		for _, p := range problems {
			if !p.Harmless {
				serious++
			}
		}
		if err != nil || serious == 0 {
			t.Errorf("%s: Check = %v, %v, want a problem", name, problems, err)
		}
	}
}
