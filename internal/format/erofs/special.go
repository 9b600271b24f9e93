package erofs

import (
	"encoding/binary"
	"fmt"
	"iter"
	"strings"
	"time"

	"sextant/internal/span"
)

// maxExpansion is how many times the size of the image its compressed metadata
// may unpack to. Inodes with nothing but their number different come to 30.
const maxExpansion = 64

// metadataLimit is how many bytes of one kind of metadata can be in the image.
func (f *FS) metadataLimit() int64 {
	if f.packed != nil || f.metabox != nil {
		return f.size * maxExpansion
	}
	return f.size
}

// openSpecials opens the packed inode and the metabox inode. As no fragment is
// in the packed inode, and neither of them is in the metabox, nothing that is
// read needs itself.
func (f *FS) openSpecials() (err error) {
	if nid := f.super.PackedNID; nid != 0 {
		if f.packed, err = f.special(nid); err != nil {
			return fmt.Errorf("packed inode: %w", err)
		}
	}
	if f.super.FeatureIncompat&IncompatMetabox == 0 {
		return nil
	}
	if f.super.ExtraSlots == 0 {
		return fmt.Errorf("metabox: %w", corrupt("the superblock has no number of its inode"))
	}
	p, err := f.bytes(span.Span{Offset: SuperBlockOffset + superBlockSize, Length: extraSlotSize})
	if err != nil {
		return fmt.Errorf("metabox: %w", err)
	}
	take(p, &f.more)
	if f.metabox, err = f.special(f.more.MetaboxNID); err != nil {
		return fmt.Errorf("metabox: %w", err)
	}
	return nil
}

func (f *FS) special(nid uint64) (*special, error) {
	i, err := f.Inode(nid)
	if err != nil {
		return nil, err
	}
	if !i.Mode.IsRegular() {
		return nil, corrupt("inode %d is a %s", nid, i.Mode.Kind())
	}
	if i.Size/maxExpansion > f.size && i.Format.Layout() != FlatPlain {
		return nil, unsupported("inode %d unpacks to %d bytes", nid, i.Size)
	}
	c, err := i.content()
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", nid, err)
	}
	return &special{i, c}, nil
}

// readCompression reads which algorithms the image uses: a bit for each in the
// superblock, and behind that their settings. Decoding does not need those, as
// the streams have them too, but they can ask for what is not known yet.
func (f *FS) readCompression() error {
	if f.super.FeatureIncompat&IncompatCompression == 0 {
		f.usable = 1 << LZ4
		return nil
	}
	f.usable = uint32(f.super.Compression)
	if more := f.usable &^ (1<<(Zstd+1) - 1); more != 0 {
		return unsupported("algorithms %#x", more)
	}
	return f.eachConfig(func(a Algorithm, _ span.Span, config any) error { return checkConfig(config) })
}

// Compression names the algorithms that the image says it uses, "" if it says
// none: "lz4, zstd". An old image with LZ4 does not always say so.
func (f *FS) Compression() string {
	switch {
	case f.super.FeatureIncompat&IncompatCompression != 0:
	case f.super.Compression != 0: // the window of LZ4
	default:
		return ""
	}
	var names []string
	for a := LZ4; a <= Zstd; a++ {
		if f.usable&(1<<a) != 0 {
			names = append(names, a.String())
		}
	}
	return strings.Join(names, ", ")
}

// Made returns when the image was made.
func (f *FS) Made() time.Time {
	at := time.Unix(f.super.BuildTime, int64(f.super.BuildTimeNsec)).UTC()
	if f.super.FeatureIncompat&Incompat48Bit != 0 {
		at = at.Add(time.Duration(f.super.BuildTimeOffset) * time.Second)
	}
	return at
}

// eachConfig calls visit for the settings of each algorithm, with the place of
// the structure.
func (f *FS) eachConfig(visit func(a Algorithm, s span.Span, config any) error) error {
	if f.super.FeatureIncompat&IncompatCompression == 0 {
		return nil
	}
	at := f.superBlockSpan().End()
	configs := []any{&LZ4Config{}, &LZMAConfig{}, &DeflateConfig{}, &ZstdConfig{}}
	for a := LZ4; a <= Zstd; a++ {
		if f.usable&(1<<a) == 0 {
			continue
		}
		at = span.AlignUp(at, 4)
		p, err := f.bytes(span.Span{Offset: at, Length: 2})
		if err != nil {
			return err
		}
		s := span.Span{Offset: at + 2, Length: int64(binary.LittleEndian.Uint16(p))}
		if p, err = f.bytes(s); err != nil {
			return err
		}
		if _, err := binary.Decode(p, binary.LittleEndian, configs[a]); err != nil {
			return corrupt("the settings of %s have %d bytes", a, len(p))
		}
		if err := visit(a, s, configs[a]); err != nil {
			return fmt.Errorf("%s: %w", a, err)
		}
		at = s.End()
	}
	return nil
}

// checkConfig returns an error if the settings ask for what is not known.
func checkConfig(config any) error {
	switch c := config.(type) {
	case *LZMAConfig:
		if c.Format != 0 {
			return unsupported("format %d", c.Format)
		}
	case *DeflateConfig:
		if c.WindowBits > 15 {
			return unsupported("a window of 1<<%d bytes", c.WindowBits)
		}
	case *ZstdConfig:
		if c.Format != 0 {
			return unsupported("format %d", c.Format)
		}
	}
	return nil
}

// specials returns the inodes that no directory has, by what they are.
func (f *FS) specials() iter.Seq2[string, *special] {
	return func(yield func(string, *special) bool) {
		if f.packed != nil && !yield("packed inode", f.packed) {
			return
		}
		if f.metabox != nil {
			yield("metabox", f.metabox)
		}
	}
}

// areaOf returns the metabox or the image.
func (f *FS) areaOf(metabox bool) area {
	if metabox {
		return f.metabox.area()
	}
	return f.image()
}

// superBlockSpan returns where the superblock is, with its extra slots.
func (f *FS) superBlockSpan() span.Span {
	return span.Span{Offset: SuperBlockOffset, Length: superBlockSize + extraSlotSize*int64(f.super.ExtraSlots)}
}
