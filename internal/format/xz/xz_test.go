package xz_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"sextant/internal/fault"
	"sextant/internal/format/xz"
	"sextant/internal/testenv"
)

// tool runs the xz program.
func tool(t testing.TB, in []byte, args ...string) ([]byte, error) {
	t.Helper()
	testenv.Require(t, "xz")
	cmd := exec.Command("xz", args...)
	cmd.Stdin = bytes.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("xz %s: %w: %s", args, err, &errs)
	}
	return out, err
}

// pack has the xz program pack bytes.
func pack(t testing.TB, in []byte, args string) []byte {
	t.Helper()
	out, err := tool(t, in, append(strings.Fields(args), "-zc")...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// unpack reads all, or up to the error.
func unpack(packed []byte, o xz.Options) ([]byte, error) {
	r, err := xz.NewReader(bytes.NewReader(packed), o)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// code returns text, and bytes that look like branch instructions of all machines,
// also in rows that overlap.
func code(size int) []byte {
	random := rand.NewChaCha8([32]byte{1})
	b := make([]byte, size)
	random.Read(b)
	opcodes := []byte{0xe8, 0xe9, 0x00, 0xff, 0xeb, 0xf0, 0xf8, 0x48, 0x40, 0x7f, 0x94, 0x90, 0x01, 0xef, 0x17, 0x31}
	for i := range b {
		if pick := b[i]; pick < 180 {
			b[i] = opcodes[int(pick)%len(opcodes)]
		}
	}
	copy(b, ia64(size/8))
	for i := size / 2; i < size*3/4; i++ {
		b[i] = "some words that come again "[i%27]
	}
	return b
}

// ia64 returns bundles most of whose branches are calls.
func ia64(size int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, size&^15)
	for i := 0; i < len(b); i += 16 {
		bits := [2]uint64{random.Uint64(), random.Uint64()} // 5 + 41 + 41 + 41
		for slot := range 3 {
			at := 5 + 41*slot
			for bit, v := range map[int]uint64{37: 1, 38: 0, 39: 1, 40: 0, 9: 0, 10: 0, 11: 0} {
				if word := &bits[(at+bit)/64]; random.IntN(50) > 0 {
					*word = *word&^(1<<((at+bit)%64)) | v<<((at+bit)%64)
				}
			}
		}
		for j := range 16 {
			b[i+j] = byte(bits[j/8] >> (j % 8 * 8))
		}
	}
	return b
}

func TestFilters(t *testing.T) {
	program, err := os.ReadFile("/proc/self/exe") // code of a real machine
	if err != nil {
		program, err = os.ReadFile(os.Args[0])
	}
	if err != nil {
		t.Fatal(err)
	}
	plain := append(code(200_001), program[:200_000]...)
	chains := []string{
		"", "--x86", "--x86=start=4096", "--powerpc", "--powerpc=start=4096", "--ia64", "--ia64=start=4096", "--arm", "--arm=start=4", "--armthumb", "--armthumb=start=2",
		"--sparc", "--sparc=start=4294967292", "--arm64", "--arm64=start=4294963200", "--delta", "--delta=dist=4", "--delta=dist=255", "--delta=dist=256",
		"--x86 --arm", "--x86 --delta=dist=3 --ia64", "--x86 --x86 --x86", "--delta --delta=dist=2 --delta=dist=7",
	}
	if help, _ := tool(t, nil, "--long-help"); bytes.Contains(help, []byte("--riscv")) {
		chains = append(chains, "--riscv", "--riscv=start=2")
	}
	for _, chain := range chains {
		for _, size := range []int{0, 1, 17, 8192, 8193, len(plain)} {
			packed := pack(t, plain[:size], chain+" --lzma2=preset=0,dict=64KiB --check=crc32")
			got, err := unpack(packed, xz.Options{})
			if err != nil || !bytes.Equal(got, plain[:size]) {
				t.Errorf("%d bytes packed with %q: unpack = %d bytes, %v", size, chain, len(got), err)
			}
		}
		// The bytes must not depend on how they come.
		packed := pack(t, plain[:70_000], chain+" --lzma2=preset=0,dict=4KiB --check=crc32")
		r, err := xz.NewReader(iotest.HalfReader(bytes.NewReader(packed)), xz.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(iotest.OneByteReader(r))
		if err != nil || !bytes.Equal(got, plain[:70_000]) {
			t.Errorf("packed with %q, in pieces: unpack = %d bytes, %v", chain, len(got), err)
		}
	}
}

// TestRISCV reads what xz 5.8 wrote with --riscv=start=4098: 9001 bytes of JAL
// and of AUIPC with all that can be behind it, also pairs that look converted.
// The checksum in the file is the judge.
func TestRISCV(t *testing.T) {
	packed, err := os.ReadFile("testdata/riscv.xz")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unpack(packed, xz.Options{}); len(got) != 9001 || err != nil {
		t.Errorf("unpack = %d bytes, %v, want 9001", len(got), err)
	}
}

func TestStreams(t *testing.T) {
	plain := code(300_000)
	text := bytes.Repeat([]byte("one line of many\n"), 40_000)
	one := pack(t, plain, "-1")
	blocks := pack(t, text, "-T2 -1 --block-size=100000") // with sizes in the headers
	empty := pack(t, nil, "")
	zeros := make([]byte, 512)
	for name, c := range map[string]struct {
		packed, want []byte
		bad          bool
	}{
		"none":                {pack(t, plain, "-0 --check=none"), plain, false},
		"crc32":               {pack(t, plain, "-0 --check=crc32"), plain, false},
		"crc64":               {pack(t, plain, "-0 --check=crc64"), plain, false},
		"sha256":              {pack(t, plain, "-0 --check=sha256"), plain, false},
		"-9e":                 {pack(t, plain, "-9e"), plain, false},
		"lc, lp, pb":          {pack(t, plain, "--lzma2=lc=0,lp=4,pb=0"), plain, false},
		"no match":            {pack(t, plain[:1<<17], "-0"), plain[:1<<17], false},
		"blocks":              {blocks, text, false},
		"blocks with filter":  {pack(t, plain, "-T2 --block-size=30000 --x86 --lzma2=preset=1"), plain, false},
		"one thread's blocks": {pack(t, text, "-T1 -1 --block-size=100000 --check=sha256"), text, false},
		"flushed":             {pack(t, text, "-1 --block-list=1,20000,300000,0"), text, false},
		"empty":               {empty, nil, false},
		"joined":              {slices.Concat(one, empty, blocks), slices.Concat(plain, text), false},
		"padded":              {slices.Concat(one, zeros, blocks, zeros[:4]), slices.Concat(plain, text), false},
		"padded with 5":       {slices.Concat(one, zeros[:5]), nil, true},
		"padded before":       {slices.Concat(zeros[:4], one), nil, true},
		"padded with 6 of 8":  {slices.Concat(one, zeros[:6], one), nil, true},
		"more":                {slices.Concat(one, []byte("more")), nil, true},
		"nothing":             {nil, nil, true},
	} {
		got, err := unpack(c.packed, xz.Options{})
		if c.bad != errors.Is(err, fault.ErrCorrupt) || !c.bad && (err != nil || !bytes.Equal(got, c.want)) {
			t.Errorf("%s: unpack = %d bytes, %v, want %d, corrupt %v", name, len(got), err, len(c.want), c.bad)
		}
		if _, err := tool(t, c.packed, "-dc"); (err != nil) != c.bad && name != "nothing" {
			t.Errorf("%s: the xz program says %v", name, err)
		}
	}
}

// TestOneStream stops where the first stream ends, and leaves what follows.
func TestOneStream(t *testing.T) {
	plain := code(100_000)
	in := bytes.NewReader(append(pack(t, plain, "-T2 --block-size=30000"), "more"...))
	r, err := xz.NewReader(in, xz.Options{OneStream: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("unpack = %d bytes, %v", len(got), err)
	}
	if rest, _ := io.ReadAll(in); string(rest) != "more" {
		t.Errorf("%q is left, want what follows the stream", rest)
	}
}

// TestFlips flips every bit of small files. All are covered by a checksum, but
// for the last bits of a chunk, which may decide nothing; then the xz program
// takes the file too.
func TestFlips(t *testing.T) {
	plain := append(code(200), bytes.Repeat([]byte("again "), 50)...)
	for _, args := range []string{
		"--check=crc32 --lzma2=dict=4KiB", "--check=crc64 --lzma2=dict=4KiB", "--check=sha256 --lzma2=dict=4KiB",
		"--x86 --delta=dist=4 --lzma2=dict=4KiB", "-T2 --block-size=100",
	} {
		packed := pack(t, plain, args)
		for bit := range len(packed) * 8 {
			packed[bit/8] ^= 1 << (bit % 8)
			got, err := unpack(packed, xz.Options{})
			if err == nil {
				if same, toolErr := tool(t, packed, "-dc"); toolErr != nil || !bytes.Equal(got, same) || !bytes.Equal(got, plain) {
					t.Errorf("xz %s: bit %d of byte %d of %d flipped is not noticed: %v", args, bit%8, bit/8, len(packed), toolErr)
				}
			} else if !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) {
				t.Errorf("xz %s: bit %d of byte %d of %d flipped: %v", args, bit%8, bit/8, len(packed), err)
			}
			packed[bit/8] ^= 1 << (bit % 8)
		}
	}
}

func TestTruncated(t *testing.T) {
	plain := append(code(200), bytes.Repeat([]byte("again "), 50)...)
	packed := pack(t, plain, "-T2 --block-size=300 --x86 --lzma2=dict=4KiB")
	for n := range len(packed) {
		_, err := unpack(packed[:n], xz.Options{})
		if !errors.Is(err, fault.ErrCorrupt) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("first %d of %d bytes: %v, want ErrCorrupt and ErrUnexpectedEOF", n, len(packed), err)
		}
		broken := &fs.PathError{Op: "read", Path: "disk", Err: errors.New("input/output")}
		r, err := xz.NewReader(io.MultiReader(bytes.NewReader(packed[:n]), iotest.ErrReader(broken)), xz.Options{})
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if err != broken {
			t.Errorf("the disk fails after %d bytes: %v, want what it says", n, err)
		}
	}
}

func TestLimits(t *testing.T) {
	plain := code(300_000)
	packed := pack(t, plain, "--lzma2=preset=1,dict=3MiB")
	for _, c := range []struct {
		options xz.Options
		want    error
	}{
		{xz.Options{Dictionary: 3 << 20}, nil},
		{xz.Options{Dictionary: 3<<20 - 1}, fault.ErrUnsupported},
		{xz.Options{Unpacked: 300_000}, nil},
		{xz.Options{Unpacked: 299_999}, fault.ErrCorrupt},
		{xz.Options{Unpacked: 1}, fault.ErrCorrupt},
	} {
		got, err := unpack(packed, c.options)
		if !errors.Is(err, c.want) || err == nil && !bytes.Equal(got, plain) {
			t.Errorf("unpack with %+v = %d bytes, %v, want %v", c.options, len(got), err, c.want)
		}
		if err != nil && errors.Is(err, fault.ErrUnsupported) && (!strings.Contains(err.Error(), "3145728") || !strings.Contains(err.Error(), "3145727")) {
			t.Errorf("%v does not tell both sizes", err)
		}
	}
	wide := pack(t, []byte("x"), "--lzma2=preset=1,dict=1536MiB")
	if _, err := unpack(wide, xz.Options{}); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("unpack with a dictionary of 1.5 GiB = %v, want ErrUnsupported", err)
	}
}

// TestMemory unpacks many blocks that ask for large dictionaries.
func TestMemory(t *testing.T) {
	single := pack(t, []byte("x"), "--lzma2=preset=1,dict=48MiB") // no size in its header
	packed := slices.Concat(bytes.Repeat(single, 100), pack(t, code(5000), "--block-size=16 --lzma2=preset=1,dict=64MiB -T1"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := unpack(packed, xz.Options{}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 200<<20 {
		t.Errorf("%d bytes were allocated in all, want one dictionary of 48 MiB, one of 64, and little for each block", n)
	}
}

// TestReset unpacks one file after the other, also after errors at any place.
func TestReset(t *testing.T) {
	plain := code(30_000)
	good := pack(t, plain, "--x86 --lzma2=dict=64KiB")
	bad := bytes.Clone(good)
	bad[len(bad)/2] ^= 1
	r, err := xz.NewReader(bytes.NewReader(good), xz.Options{})
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string) {
		t.Helper()
		if err := r.Reset(bytes.NewReader(good)); err != nil {
			t.Fatalf("Reset after %s = %v", what, err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("unpack after %s = %d bytes, %v", what, len(got), err)
		}
	}
	check("nothing was read")
	check("all was read")
	r.Reset(bytes.NewReader(good))
	io.CopyN(io.Discard, r, 100)
	check("a part was read")
	r.Reset(bytes.NewReader(bad))
	if _, err := io.ReadAll(r); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("unpack of a broken file = %v", err)
	}
	if _, again := r.Read(make([]byte, 1)); !errors.Is(again, fault.ErrCorrupt) {
		t.Errorf("Read after corruption = %v", again)
	}
	check("corruption")
	if err := r.Reset(strings.NewReader("no xz, not at all")); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Reset to text = %v", err)
	}
	check("text")
}

// TestMutated changes packed bytes that no checksum covers. The xz program and
// we must take the same files, and read the same.
func TestMutated(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(3, 4))
	plain := append(code(300), bytes.Repeat([]byte("again and "), 30)...)
	whole := pack(t, plain, "--check=none --lzma2=dict=4KiB")
	for i := range testenv.Amount(150, 5000) {
		packed := bytes.Clone(whole)
		for range 1 + random.IntN(3) { // in the chunks, which no checksum covers
			packed[24+random.IntN(len(packed)-24-28)] ^= 1 << random.IntN(8)
		}
		path := filepath.Join(dir, fmt.Sprint(i, ".xz"))
		if err := os.WriteFile(path, packed, 0o600); err != nil {
			t.Fatal(err)
		}
		want, wantErr := tool(t, packed, "-dc")
		got, err := unpack(packed, xz.Options{})
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Errorf("mutation %d (%x): unpack = %d bytes, %v, want %d, %v", i, packed, len(got), err, len(want), wantErr)
		}
	}
}
