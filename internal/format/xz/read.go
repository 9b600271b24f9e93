package xz

import (
	"bufio"
	"encoding/binary"
	"io"

	"sextant/internal/pages"
)

// DefaultDictionary is the limit of dictionaries if Options have none, in bytes:
// what "xz -9" asks for, the highest level.
const DefaultDictionary = 64 << 20

// Options say what a Reader takes. The zero value takes whole files.
type Options struct {
	// Dictionary is how many bytes the dictionary of a block may have. A block
	// that asks for more is refused with fault.ErrUnsupported. 0 stands for
	// DefaultDictionary.
	Dictionary int64

	// Unpacked is how many bytes may come out, if that is known. More are an
	// error that wraps fault.ErrCorrupt, and a dictionary is made no larger, as
	// there is nothing that it could hold. 0 stands for any number.
	Unpacked int64

	// OneStream ends behind the first stream, as is usual where .xz is part of
	// something else (section 2).
	OneStream bool
}

// source is where packed bytes come from.
type source interface {
	io.Reader
	io.ByteReader
}

// Reader unpacks .xz files. What breaks the format gives errors that wrap
// fault.ErrCorrupt, a file that ends too early also io.ErrUnexpectedEOF. What
// the format allows and this package does not know gives such that wrap
// fault.ErrUnsupported. Errors of the source come as they are.
type Reader struct {
	options Options
	in      source
	err     error // ends everything

	first    bool // before the first stream
	inStream bool
	flags    streamFlags
	blocks   index  // of the stream, so far
	block    *block // nil between blocks
	lzma2    lzma2  // of all blocks, as its dictionary is large
	unpacked int64  // bytes of all streams
}

// NewReader returns a Reader of what src holds. It reads the first headers, so
// that what is no .xz or asks for too much is refused here.
//
// The Reader takes no more than it needs from src if that is an io.ByteReader,
// and any number of bytes otherwise.
func NewReader(src io.Reader, o Options) (*Reader, error) {
	if o.Dictionary == 0 {
		o.Dictionary = DefaultDictionary
	}
	r := &Reader{options: o}
	if err := r.Reset(src); err != nil {
		return nil, err
	}
	return r, nil
}

// Reset begins with another source, as NewReader does, and keeps the memory
// that the Reader has. It may follow any error.
func (r *Reader) Reset(src io.Reader) error {
	in, ok := src.(source)
	if !ok {
		in = bufio.NewReader(src)
	}
	r.in, r.first, r.inStream, r.block, r.unpacked = in, true, false, nil, 0
	if r.err = r.startStream(); r.err == nil {
		r.err = r.next()
	}
	return r.err
}

// Read unpacks bytes. The io.EOF comes when all that belongs to the file was
// read and is right.
func (r *Reader) Read(p []byte) (int, error) {
	for r.err == nil && len(p) > 0 {
		if r.block == nil {
			r.err = r.next()
			continue
		}
		n, err := r.block.Read(p)
		if r.unpacked += int64(n); r.options.Unpacked > 0 && r.unpacked > r.options.Unpacked {
			r.err = corrupt("unpacks to more than %d bytes", r.options.Unpacked)
			break
		}
		if err == io.EOF {
			err = r.endBlock()
		}
		r.err = err
		if n > 0 {
			return n, nil
		}
	}
	return 0, r.err
}

// next reads up to the next block, or to the end of a stream.
func (r *Reader) next() error {
	if !r.inStream {
		return r.startStream()
	}
	size, err := r.in.ReadByte()
	if err != nil {
		return truncated(err)
	}
	if size == 0 {
		return r.endStream()
	}
	return r.startBlock(size)
}

// startStream reads the header of a stream and the padding before it, which the
// first has not. It returns io.EOF if there is none.
func (r *Reader) startStream() error {
	if !r.first && r.options.OneStream {
		return io.EOF
	}
	var b [headerSize]byte
	for {
		_, err := io.ReadFull(r.in, b[:alignment])
		if err == io.EOF && !r.first {
			return io.EOF
		}
		if err != nil {
			return truncated(err)
		}
		if r.first || !pages.Zero(b[:alignment]) {
			break
		}
	}
	if err := r.full(b[alignment:]); err != nil {
		return err
	}
	var h streamHeader
	if _, err := binary.Decode(b[:], binary.LittleEndian, &h); err != nil {
		panic("internal error: " + err.Error())
	}
	r.first, r.inStream, r.flags, r.blocks = false, true, h.Flags, newIndex()
	return h.verify()
}

func (h *streamHeader) verify() error {
	switch {
	case string(h.Magic[:]) != Magic:
		return corrupt("stream begins with %x", h.Magic)
	case h.CRC32 != h.Flags.sum():
		return corrupt("checksum of the stream header does not match")
	case h.Flags[0] != 0 || h.Flags[1]&0xf0 != 0:
		return unsupported("stream flags %x", h.Flags)
	case check(h.Flags[1]).size() < 0:
		return unsupported("check %#x", h.Flags[1])
	}
	return nil
}

// endStream reads the index and the footer, behind the zero that is where the
// next block could be.
func (r *Reader) endStream() error {
	size, err := r.blocks.verify(r.in)
	if err != nil {
		return err
	}
	var b [footerSize]byte
	if err := r.full(b[:]); err != nil {
		return err
	}
	var f streamFooter
	if _, err := binary.Decode(b[:], binary.LittleEndian, &f); err != nil {
		panic("internal error: " + err.Error())
	}
	r.inStream = false
	return f.verify(r.flags, size)
}

func (f *streamFooter) verify(flags streamFlags, index int64) error {
	switch {
	case string(f.Magic[:]) != footerMagic:
		return corrupt("stream footer ends with %x", f.Magic)
	case f.CRC32 != f.sum():
		return corrupt("checksum of the stream footer does not match")
	case f.Flags != flags:
		return corrupt("stream flags are %x in the header and %x in the footer", flags, f.Flags)
	case (int64(f.BackwardSize)+1)*alignment != index:
		return corrupt("index has %d bytes, the footer says %d", index, (int64(f.BackwardSize)+1)*alignment)
	}
	return nil
}

// full fills p from the source.
func (r *Reader) full(p []byte) error {
	_, err := io.ReadFull(r.in, p)
	return truncated(err)
}
