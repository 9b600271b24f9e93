package image_test

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/image"
	"sextant/internal/imagetest/disk"
	"sextant/internal/keys"
	"sextant/internal/span"
)

// meaningless names the bytes of a signed image in sectors of 512 bytes that
// mean nothing to anyone, so that nothing vouches for them and verify says
// nothing. The offset of the hash partition is that of its first byte.
func meaningless(hash int64) map[string]span.Span {
	return map[string]span.Span{
		"boot code of the MBR":                             {Offset: 0, Length: 440},
		"disk signature of the MBR, and what is behind it": {Offset: 440, Length: 6},
		"first CHS address of the protective record":       {Offset: 447, Length: 3},
		"last CHS address of the protective record":        {Offset: 451, Length: 3},
		"UUID of the verity superblock":                    {Offset: hash + 16, Length: 16},
	}
}

// partly names the bytes of a signature partition of which some bits mean
// nothing to anyone.
func partly(t *testing.T, part []byte, at int64) map[string]span.Span {
	t.Helper()
	text := bytes.TrimRight(part, "\x00")
	var s struct{ Signature []byte }
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	value := func(name string, from, length int) span.Span {
		begin := bytes.Index(text, []byte(`"`+name+`":"`))
		if begin < 0 {
			t.Fatalf("no %s in %s", name, text)
		}
		return span.Span{Offset: at + int64(begin+len(name)+4+from), Length: int64(length)}
	}
	// The last AlgorithmIdentifier of SHA-256, with NULL for parameters.
	parameters := bytes.LastIndex(s.Signature, []byte("\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00")) + 9
	// The signer's issuer, whose name is compared without regard to case and
	// kind of string, as OpenSSL does.
	issuer := bytes.LastIndex(s.Signature, []byte("signer")) - 2
	return map[string]span.Span{
		"case and kind of the name of the issuer":          value("signature", issuer/3*4, 16),
		"case of the root hash":                            value("rootHash", 0, 64),
		"case of the fingerprint":                          value("certificateFingerprint", 0, 64),
		"parameters of the digest algorithm of the signer": value("signature", parameters/3*4, 8),
	}
}

// look verifies damaged bytes. What cannot even be opened is reported too.
func look(t testing.TB, b disk.Blob, opts image.Options) (reported bool, err error) {
	m, err := image.Read(b, int64(len(b)))
	if errors.Is(err, fault.ErrCorrupt) || errors.Is(err, fault.ErrUnsupported) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	found, err := m.Verify(t.Context(), opts)
	if err != nil {
		return false, err
	}
	return worse(found) || found.Verdict.Blind, nil
}

// each calls do for the numbers up to n on all processors.
func each(n int64, do func(i int64)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for i := next.Add(1) - 1; i < n; i = next.Add(1) - 1 {
				do(i)
			}
		})
	}
	group.Wait()
}

// TestEveryByte changes every byte of a small signed image, one after the
// other. Each change is reported at least as a warning, but for bytes that mean
// nothing to anyone. With -short it leaves out most of the zeros.
func TestEveryByte(t *testing.T) {
	signer := disk.Generate(t, keys.ECDSAP256, "signer")
	m := disk.Recipe{Signature: disk.SignedBy(t, signer), Tail: 512}.Make(t)
	opts := image.Options{Certificates: []*x509.Certificate{signer.Certificate}, Now: disk.Now()}
	if found := verify(t, m.Bytes, opts); worse(found) {
		t.Fatalf("undamaged: %v", found.Findings)
	}
	hash, _ := m.Part(2)
	var mu sync.Mutex
	silent := make(map[int64]bool)
	all := !testing.Short()
	each(int64(len(m.Bytes)), func(i int64) {
		if m.Bytes[i] == 0 && i%16 != 0 && !all {
			return // most zeros stand among others like them
		}
		b := bytes.Clone(m.Bytes)
		b[i] ^= 1 << (i % 8)
		reported, err := look(t, b, opts)
		if err != nil {
			t.Errorf("byte %d: %v", i, err)
		}
		if !reported {
			mu.Lock()
			silent[i] = true
			mu.Unlock()
		}
	})
	for name, s := range meaningless(hash) {
		for i := s.Offset; i < s.End(); i++ {
			if all && !silent[i] {
				t.Errorf("byte %d (%s) is reported", i, name)
			}
			delete(silent, i)
		}
	}
	part, end := m.Part(3)
	const caseBit = 5 // in which small letters and capitals differ
	for name, s := range partly(t, m.Bytes[part:end], part) {
		for i := s.Offset; i < s.End(); i++ {
			if silent[i] && i%8 != caseBit && strings.HasPrefix(name, "case of") {
				t.Errorf("byte %d (%s) is not reported, and it is not its case that changed", i, name)
			}
			delete(silent, i)
		}
	}
	var rest []int64
	for i := range silent {
		rest = append(rest, i)
	}
	if slices.Sort(rest); len(rest) > 0 {
		t.Errorf("%d of %d bytes can be changed and nobody notices: %v", len(rest), len(m.Bytes), rest[:min(len(rest), 50)])
	}
}

// TestTruncated cuts the image at every sector.
func TestTruncated(t *testing.T) {
	signer := disk.Generate(t, keys.ECDSAP256, "signer")
	m := disk.Recipe{Signature: disk.SignedBy(t, signer)}.Make(t)
	opts := image.Options{Certificates: []*x509.Certificate{signer.Certificate}, Now: disk.Now()}
	each(int64(len(m.Bytes)/512), func(i int64) {
		if reported, err := look(t, m.Bytes[:i*512], opts); err != nil || !reported {
			t.Errorf("cut to %d sectors: reported %t, %v", i, reported, err)
		}
	})
	// And a byte more than there should be.
	if reported, err := look(t, append(bytes.Clone(m.Bytes), make(disk.Blob, 512)...), opts); err != nil || !reported {
		t.Errorf("a sector more: reported %t, %v", reported, err)
	}
}

// TestSwapped swaps blocks of 4096 bytes, which no checksum of one block sees.
func TestSwapped(t *testing.T) {
	signer := disk.Generate(t, keys.ECDSAP256, "signer")
	m := disk.Recipe{Signature: disk.SignedBy(t, signer)}.Make(t)
	opts := image.Options{Certificates: []*x509.Certificate{signer.Certificate}, Now: disk.Now()}
	for a := int64(0); a+8192 <= int64(len(m.Bytes)); a += 4096 {
		for b := a + 4096; b+4096 <= int64(len(m.Bytes)); b += 4096 {
			damaged := bytes.Clone(m.Bytes)
			copy(damaged[a:], m.Bytes[b:b+4096])
			copy(damaged[b:], m.Bytes[a:a+4096])
			if bytes.Equal(damaged, m.Bytes) {
				continue
			}
			if reported, err := look(t, damaged, opts); err != nil || !reported {
				t.Errorf("blocks at %d and %d: reported %t, %v", a, b, reported, err)
			}
		}
	}
}

// TestLies puts numbers into every field of the partition table, the verity
// superblock and the EROFS superblock, with checksums that are right. It wants
// an end, soon, and no panic; a lie in the table or the tree is reported.
func TestLies(t *testing.T) {
	signer := disk.Generate(t, keys.ECDSAP256, "signer")
	m := disk.Recipe{Signature: disk.SignedBy(t, signer)}.Make(t)
	bare := disk.Recipe{NoHash: true}.Make(t)
	opts := image.Options{Certificates: []*x509.Certificate{signer.Certificate}, Now: disk.Now()}
	hash, _ := m.Part(2)
	data, _ := bare.Part(1)
	for _, test := range []struct {
		name     string
		image    disk.Disk
		at       []int64 // of fields
		size     int
		resealed bool
		loud     bool
	}{
		{"GPT header, 64 bits", m, []int64{512 + 24, 512 + 32, 512 + 40, 512 + 48, 512 + 72}, 8, true, true},
		{"GPT header, 32 bits", m, []int64{512 + 8, 512 + 12, 512 + 20, 512 + 80, 512 + 84}, 4, true, true},
		{"GPT entry", m, []int64{1024 + 32, 1024 + 40, 1152 + 32, 1152 + 40, 1280 + 32, 1280 + 40}, 8, true, true},
		{"verity, 32 bits", m, []int64{hash + 8, hash + 12, hash + 64, hash + 68}, 4, false, true},
		{"verity, 64 bits", m, []int64{hash + 72}, 8, false, true},
		{"verity, 16 bits", m, []int64{hash + 80}, 2, false, true},
		{"EROFS superblock", bare, fields(data+1024, 128, 4), 4, false, false},
		{"EROFS inodes", bare, fields(data+1152, 512, 2), 2, false, false},
	} {
		for _, at := range test.at {
			for _, lie := range lies() {
				b := bytes.Clone(test.image.Bytes)
				number := binary.LittleEndian.AppendUint64(nil, lie)[:test.size]
				if bytes.Equal(number, b[at:at+int64(test.size)]) {
					continue
				}
				copy(b[at:], number)
				if test.resealed {
					tryReseal(b)
				}
				reported, err := look(t, b, opts)
				if err != nil || test.loud && !reported {
					t.Errorf("%s: %#x at %d: reported %t, %v", test.name, lie, at, reported, err)
				}
			}
		}
	}
}

func fields(from, length, step int64) (list []int64) {
	for at := from; at < from+length; at += step {
		list = append(list, at)
	}
	return list
}

// lies are numbers that arithmetic gets wrong.
func lies() []uint64 {
	list := []uint64{0, 1, 2, 3, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 32, 1 << 52, 1<<63 - 1, 1 << 63, 1<<64 - 1}
	for shift := 5; shift < 64; shift += 7 {
		list = append(list, 1<<shift)
	}
	return list
}

// tryReseal makes the checksums of the primary table right, if the numbers of
// entries let it.
func tryReseal(b disk.Blob) {
	le := binary.LittleEndian
	length := uint64(le.Uint32(b[512+80:])) * uint64(le.Uint32(b[512+84:]))
	if length <= uint64(len(b))-1024 {
		disk.Reseal(b, 512, 1024)
	}
}

// TestDuplicates puts the same partition into the table twice.
func TestDuplicates(t *testing.T) {
	signer := disk.Generate(t, keys.ECDSAP256, "signer")
	m := disk.Recipe{Signature: disk.SignedBy(t, signer)}.Make(t)
	opts := image.Options{Certificates: []*x509.Certificate{signer.Certificate}, Now: disk.Now()}
	for number := range 3 {
		b := bytes.Clone(m.Bytes)
		copy(b[1024+3*128:], b[1024+number*128:][:128])
		disk.Reseal(b, 512, 1024)
		if reported, err := look(t, b, opts); err != nil || !reported {
			t.Errorf("partition %d twice: reported %t, %v", number+1, reported, err)
		}
	}
}

// TestTableOfNonsense reads images whose bytes are random behind a plausible
// beginning. Only their end matters.
func TestTableOfNonsense(t *testing.T) {
	m := disk.Recipe{}.Make(t)
	source := rand.NewChaCha8([32]byte{2})
	for i := range 50 {
		b := bytes.Clone(m.Bytes)
		source.Read(b[1024+i*64:])
		disk.Reseal(b, 512, 1024)
		if _, err := look(t, b, image.Options{}); err != nil {
			t.Errorf("round %d: %v", i, err)
		}
	}
}

// shrinking is a file that ends earlier than it said.
type shrinking struct {
	disk.Blob
	end atomic.Int64
}

func (s *shrinking) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(s.Blob[:s.end.Load()]).ReadAt(p, off)
}

// TestShrinks: a file that becomes shorter while it is read is an error about
// reading, wherever it ends.
func TestShrinks(t *testing.T) {
	m := disk.Recipe{Signature: disk.SignedBy(t, disk.Generate(t, keys.ECDSAP256, "signer"))}.Make(t)
	file := &shrinking{Blob: m.Bytes}
	for end := int64(0); end < int64(len(m.Bytes)); end += 1000 {
		file.end.Store(int64(len(m.Bytes)))
		img, err := image.Read(file, int64(len(m.Bytes)))
		if err != nil {
			t.Fatal(err)
		}
		file.end.Store(end)
		if _, err := img.Verify(t.Context(), image.Options{}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("file ends at byte %d: Verify = %v, want %v", end, err, io.ErrUnexpectedEOF)
		}
	}
}
