package qcow2_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"sextant/internal/format/qcow2"
	"sextant/internal/imagetest/virtual"
	"sextant/internal/testenv"
)

// BenchmarkUnpack reads compressed disks, on one processor.
func BenchmarkUnpack(b *testing.B) {
	testenv.Require(b, "qemu-img")
	raw := filepath.Join(b.TempDir(), "raw")
	text := bytes.Repeat([]byte("All happy families are alike. "), 100)
	var content []byte
	for i := range 64 << 8 {
		content = append(content, virtual.Noise(2048, byte(i))...)
		content = append(content, text[:2048]...)
	}
	if err := os.WriteFile(raw, content, 0o600); err != nil {
		b.Fatal(err)
	}
	for _, options := range []string{"-c", "-c compression_type=zstd"} {
		b.Run(options, func(b *testing.B) {
			name := filepath.Join(b.TempDir(), "made.qcow2")
			virtual.Convert(b, "qcow2", options, raw, name)
			f, size := virtual.File(b, name)
			m, err := qcow2.Open(f, size)
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 2<<20)
			b.SetBytes(m.Size())
			for b.Loop() {
				for at := int64(0); at < m.Size(); at += int64(len(buf)) {
					if _, err := m.ReadAt(buf, at); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
