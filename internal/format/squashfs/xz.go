package squashfs

import (
	"bytes"
	"encoding/binary"
	"sync"

	"sextant/internal/format/xz"
)

// xzPool unpacks blocks that are complete .xz files. It keeps readers, as each
// has a dictionary of a block.
type xzPool struct {
	sync.Pool
	options xz.Options
}

// newXZ returns the pool for blocks of up to limit bytes. Linux grants a block
// the dictionary of the compressor options, or one block
// (fs/squashfs/xz_wrapper.c).
func newXZ(limit int, options []byte) *xzPool {
	o := xz.Options{Dictionary: int64(limit), Unpacked: int64(limit), OneStream: true}
	if len(options) >= 4 {
		o.Dictionary = int64(binary.LittleEndian.Uint32(options))
	}
	return &xzPool{options: o}
}

func (p *xzPool) unpack(dst, src []byte) ([]byte, error) {
	in := bytes.NewReader(src)
	r, ok := p.Get().(*xz.Reader)
	if !ok {
		var err error
		if r, err = xz.NewReader(in, p.options); err != nil {
			return nil, err
		}
	} else if err := r.Reset(in); err != nil {
		return nil, err
	}
	defer p.Put(r)
	return readAll(dst, r)
}
