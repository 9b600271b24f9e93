package xz

import (
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// writeDictionary is the size of the Writer's dictionary, in bytes: that of
// "xz -6", the usual level.
const writeDictionary = 8 << 20

var errClosed = errors.New("xz writer is closed")

// Writer packs what is written to it into one stream with one block. The same
// bytes in give the same bytes out. Close writes the end.
type Writer struct {
	out      counted
	lzma2    *lzma.Writer2
	sum      hash.Hash
	unpacked int64
	header   int   // bytes of the block's
	err      error // of the first Write or Close that had one
}

// NewWriter returns a Writer to w, and writes the headers.
func NewWriter(w io.Writer) (*Writer, error) {
	b, err := binary.Append(nil, binary.LittleEndian, newStreamHeader())
	if err != nil {
		panic("internal error: " + err.Error())
	}
	block := appendBlockHeader(nil)
	if _, err := w.Write(append(b, block...)); err != nil {
		return nil, err
	}
	z := &Writer{out: counted{w: w}, sum: checkCRC64.hash(), header: len(block)}
	z.lzma2, err = lzma.Writer2Config{DictCap: writeDictionary}.NewWriter2(&z.out)
	return z, err
}

// Write packs bytes, some of which it may keep.
func (z *Writer) Write(p []byte) (n int, err error) {
	if z.err != nil {
		return 0, z.err
	}
	n, z.err = z.lzma2.Write(p)
	z.sum.Write(p[:n])
	z.unpacked += int64(n)
	return n, z.err
}

// Close writes what is left and the end of the stream. It does not close what
// it writes to.
func (z *Writer) Close() error {
	if z.err != nil {
		return z.err
	}
	z.err = errClosed
	if err := z.end(); err != nil {
		z.err = err
		return err
	}
	return nil
}

func (z *Writer) end() error {
	// Close alone would say nothing of what Flush says.
	if err := z.lzma2.Flush(); err != nil {
		return err
	}
	if err := z.lzma2.Close(); err != nil {
		return err
	}
	packed, check := z.out.n, sum(z.sum)
	b := make([]byte, padding(packed))
	b = append(b, check...)
	index := appendIndex(nil, int64(z.header)+packed+int64(len(check)), z.unpacked)
	b = append(b, index...)
	b, err := binary.Append(b, binary.LittleEndian, newStreamFooter(len(index)))
	if err != nil {
		panic("internal error: " + err.Error())
	}
	_, err = z.out.Write(b)
	return err
}

func newStreamHeader() streamHeader {
	h := streamHeader{Flags: streamFlags{0, byte(checkCRC64)}}
	copy(h.Magic[:], Magic)
	h.CRC32 = h.Flags.sum()
	return h
}

func newStreamFooter(index int) streamFooter {
	f := streamFooter{BackwardSize: uint32(index/alignment - 1), Flags: newStreamHeader().Flags}
	copy(f.Magic[:], footerMagic)
	f.CRC32 = f.sum()
	return f
}

// appendBlockHeader appends a header with LZMA2 and no sizes.
func appendBlockHeader(b []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, byte(filterLZMA2), 1, lzma.EncodeDictCap(writeDictionary))
	b = append(b, make([]byte, padding(int64(len(b)-at)))...)
	b[at] = byte((len(b)-at+crc32.Size)/4 - 1)
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b[at:]))
}

// counted counts the bytes that are written.
type counted struct {
	w io.Writer
	n int64
}

// Write writes bytes.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
