package xz

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// An LZMA2 chunk begins with a byte that says what it is. With the highest bit
// set, the chunk is packed and the lowest five bits belong to its unpacked size.
const (
	chunkEnd          = 0x00
	chunkStored       = 0x01 // with a new dictionary
	chunkStoredOld    = 0x02 // with the dictionary as it is
	chunkPacked       = 0x80
	chunkProperties   = 0xc0 // from here on, new properties follow
	chunkDictionary   = 0xe0 // from here on, also with a new dictionary
	chunkSizeBits     = 0x1f
	maxProperties     = (4*5+4)*9 + 8
	maxLiteralBits    = 4 // lc + lp
	maxChunkHeader    = 6
	maxChunkPacked    = 1 << 16
	storedHeader      = 3
	packedHeader      = 5
	packedHeaderProps = 6
)

// lzma2 unpacks the chunks of one block after the other. It gives the decoder
// one chunk at a time, as that does not look whether it needs all bytes of a
// chunk, and takes properties that LZMA2 does not allow.
type lzma2 struct {
	in     source
	packed int64 // bytes read of the block
	limit  int64 // of packed, -1 for none

	decoder    *lzma.Reader2
	dictionary int // bytes of the decoder's
	need       int // bytes of the block's
	between    bool
	chunk      chunk
	left       int // bytes that the chunk still unpacks to
}

// chunk is a chunk with its header, as far as the decoder has not read it.
type chunk struct {
	rest []byte
	room [maxChunkHeader + maxChunkPacked]byte
}

// Read reads packed bytes. The decoder asks for one at a time.
func (c *chunk) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	if len(p) == 1 {
		p[0] = c.rest[0]
		c.rest = c.rest[1:]
		return 1, nil
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// start begins a block of the given packed size, -1 if that is not known. A
// decoder that stands between two blocks is used again if its dictionary is
// large enough: the first chunk clears it, and a block that asks for a
// gigabyte to hold a byte costs no more than the one before.
func (l *lzma2) start(in source, dictionary int, packed int64) {
	l.in, l.packed, l.limit = in, 0, packed
	l.left, l.chunk.rest = 0, nil
	l.need = dictionary
	if !l.between || l.dictionary < dictionary {
		l.decoder = nil
	}
	l.between = true
}

// Read unpacks bytes. It returns io.EOF at the end of the last chunk.
func (l *lzma2) Read(p []byte) (int, error) {
	if l.left == 0 {
		if err := l.next(); err != nil {
			return 0, err
		}
	}
	if l.decoder == nil {
		if err := l.open(); err != nil {
			return 0, err
		}
	}
	n, err := l.decoder.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, chunkFault(err)
}

func (l *lzma2) open() (err error) {
	config := lzma.Reader2Config{DictCap: l.need}
	l.dictionary = l.need
	l.decoder, err = config.NewReader2(&l.chunk)
	return chunkFault(err)
}

// chunkFault returns the decoder's err as corruption. It is not truncated, as
// the decoder sees no end but that of a chunk.
func chunkFault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return corrupt("LZMA2 chunk is shorter than what it unpacks to")
	}
	return corrupt("LZMA2 chunk: %w", err)
}

// next reads the next chunk. It returns io.EOF at the last, which is empty.
func (l *lzma2) next() error {
	if len(l.chunk.rest) > 0 {
		return corrupt("LZMA2 chunk has %d bytes that nothing needs", len(l.chunk.rest))
	}
	control, err := l.in.ReadByte()
	if err != nil {
		return truncated(err)
	}
	first := l.packed == 0
	if control == chunkEnd {
		l.packed++
		l.between = true
		return io.EOF
	}
	l.between = false
	if first && control != chunkStored && control < chunkDictionary {
		return corrupt("first LZMA2 chunk is %#x, which needs one before it", control)
	}
	return l.read(control)
}

// read reads the chunk behind its first byte.
func (l *lzma2) read(control byte) error {
	b := l.chunk.room[:]
	size, err := chunkHeader(control)
	if err != nil {
		return err
	}
	b[0] = control
	if _, err := io.ReadFull(l.in, b[1:size]); err != nil {
		return truncated(err)
	}
	data := int(binary.BigEndian.Uint16(b[1:])) + 1
	l.left = data
	if control >= chunkPacked {
		l.left += int(control&chunkSizeBits) << 16
		data = int(binary.BigEndian.Uint16(b[3:])) + 1
	}
	if size == packedHeaderProps {
		if err := verifyProperties(b[5]); err != nil {
			return err
		}
	}
	if l.packed += int64(size + data); l.limit >= 0 && l.packed >= l.limit {
		return corrupt("block has more packed bytes than the %d that its header says", l.limit)
	}
	if _, err := io.ReadFull(l.in, b[size:size+data]); err != nil {
		return truncated(err)
	}
	l.chunk.rest = b[:size+data]
	return nil
}

// chunkHeader returns the size of a chunk's header.
func chunkHeader(control byte) (int, error) {
	switch {
	case control == chunkStored, control == chunkStoredOld:
		return storedHeader, nil
	case control < chunkPacked:
		return 0, corrupt("LZMA2 chunk begins with %#x", control)
	case control < chunkProperties:
		return packedHeader, nil
	}
	return packedHeaderProps, nil
}

// verifyProperties wants lc + lp to be at most 4, which keeps the tables of
// probabilities small.
func verifyProperties(b byte) error {
	lc, lp := b%9, b/9%5
	if b > maxProperties || lc+lp > maxLiteralBits {
		return corrupt("LZMA2 properties %#x", b)
	}
	return nil
}
