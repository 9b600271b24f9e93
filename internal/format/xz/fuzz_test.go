package xz_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"testing"
	"testing/iotest"

	ulikunitz "github.com/ulikunitz/xz"

	"sextant/internal/fault"
	"sextant/internal/format/xz"
)

// seal makes the checksums of the first headers right, so that the fuzzer gets
// behind them.
func seal(b []byte) {
	if len(b) < 13 {
		return
	}
	binary.LittleEndian.PutUint32(b[8:], crc32.ChecksumIEEE(b[6:8]))
	if end := 12 + int(b[12])*4; b[12] != 0 && len(b) >= end+4 {
		binary.LittleEndian.PutUint32(b[end:], crc32.ChecksumIEEE(b[12:end]))
	}
}

// FuzzReader unpacks whatever comes, at once and in pieces, and holds what it
// takes against another reader.
func FuzzReader(f *testing.F) {
	f.Add(write(f, []byte("some text, some text"), 100), false)
	f.Add(hello().bytes(), true)
	riscv, err := os.ReadFile("testdata/riscv.xz")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(riscv, false)
	f.Fuzz(func(t *testing.T, packed []byte, fix bool) {
		if fix {
			seal(packed)
		}
		o := xz.Options{Dictionary: 16 << 20, Unpacked: 1 << 20}
		got, err := unpack(packed, o)
		if err != nil && !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) {
			t.Errorf("unpack = %v, want it to be corrupt or unsupported", err)
		}
		r, pieceErr := xz.NewReader(iotest.OneByteReader(bytes.NewReader(packed)), o)
		var pieces []byte
		if pieceErr == nil {
			pieces, pieceErr = io.ReadAll(iotest.OneByteReader(r))
		}
		if (err == nil) != (pieceErr == nil) || err == nil && !bytes.Equal(got, pieces) {
			t.Errorf("unpack = %d bytes, %v, and in pieces %d, %v", len(got), err, len(pieces), pieceErr)
		}
		if err != nil {
			return
		}
		other, otherErr := ulikunitz.NewReader(bytes.NewReader(packed))
		if otherErr != nil {
			return
		}
		if want, otherErr := io.ReadAll(other); otherErr == nil && !bytes.Equal(got, want) {
			t.Errorf("unpack = %d bytes, ulikunitz/xz gives %d others", len(got), len(want))
		}
	})
}
