package lz4_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	pierrec "github.com/pierrec/lz4/v4"

	"sextant/internal/fault"
	"sextant/internal/format/lz4"
	"sextant/internal/testenv"
)

// sequence is a sequence of a block, the last one where match is 0.
func sequence(literals string, distance, match int) string {
	token, more := 0, ""
	if n := len(literals); n < 15 {
		token = n << 4
	} else {
		token, more = 15<<4, longer(n)
	}
	if match == 0 {
		return string([]byte{byte(token)}) + more + literals
	}
	tail := string(binary.LittleEndian.AppendUint16(nil, uint16(distance)))
	if n := match - 4; n < 15 {
		token |= n
	} else {
		token |= 15
		tail += longer(n)
	}
	return string([]byte{byte(token)}) + more + literals + tail
}

func longer(n int) string {
	n -= 15
	return strings.Repeat("\xff", n/255) + string([]byte{byte(n % 255)})
}

func frame(blocks ...string) string {
	b := binary.LittleEndian.AppendUint32(nil, lz4.Magic)
	for _, block := range blocks {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(block))), block...)
	}
	return string(b)
}

// unpacked reads all, in small pieces, and returns what is left of the input.
func unpacked(in string) (out []byte, rest string, err error) {
	r := bufio.NewReader(strings.NewReader(in))
	out, err = io.ReadAll(lz4.NewReader(r))
	behind, _ := io.ReadAll(r)
	return out, string(behind), err
}

// TestBlockEnds holds the decoder against liblz4 where blocks end other than
// they must.
func TestBlockEnds(t *testing.T) {
	testenv.Require(t, "lz4")
	const start = "abcdefghijklmnop"
	for _, match := range []int{4, 8, 18, 19, 40, 273, 274, 5000} {
		for last := range 9 {
			if match >= 19 && (last == 3 || last == 4) {
				continue // liblz4 takes them, as it counts a longer length as literals
			}
			checkLiblz4(t, sequence(start, 16, match)+sequence(strings.Repeat("x", last), 0, 0))
			checkLiblz4(t, sequence(start, 3, match)+sequence("", 9, 4)+sequence(strings.Repeat("x", last), 0, 0))
		}
		checkLiblz4(t, sequence(start, 16, match))
		checkLiblz4(t, sequence(start, 17, match)+sequence("12345", 0, 0))
	}
	checkLiblz4(t, "\x31abc") // with a match in the token that does not come
	for n := range 20 {
		checkLiblz4(t, sequence(strings.Repeat("y", n), 0, 0))
	}
	checkLiblz4(t, sequence(strings.Repeat("y", 66000), 65535, 70000)+sequence("12345", 0, 0))
	// The most that a block can have, and one more.
	for _, n := range []int{lz4.BlockSize, lz4.BlockSize + 1} {
		checkLiblz4(t, sequence("0123456789abcdefghij", 7, n-25)+sequence("12345", 0, 0))
		checkLiblz4(t, sequence("0123456789abcdefghij", 7, n-31)+sequence("12345678901", 0, 0))
		checkLiblz4(t, sequence("0123456789abcdefghij", 7, n-20-5-9)+sequence("12345", 5, 4)+sequence("12345", 0, 0))
		checkLiblz4(t, sequence("0123456789abcdefghij", 7, n-20-4-4)+sequence("1234", 5, 4)+sequence("", 0, 0))
	}
}

// TestMutations does so with blocks of which some bytes are others.
func TestMutations(t *testing.T) {
	testenv.Require(t, "lz4")
	random := rand.New(rand.NewPCG(1, 2))
	whole := blocks(t, text(t)[:3000], 3000, pierrec.Fast)[0]
	for range 200 {
		block := bytes.Clone(whole[:len(whole)-random.IntN(3)])
		for range random.IntN(3) {
			block[random.IntN(len(block))] = byte(random.Uint32())
		}
		checkLiblz4(t, string(block))
	}
}

// checkLiblz4 compares with the program lz4 on one block, both with 8 MiB of
// room.
func checkLiblz4(t *testing.T, block string) {
	t.Helper()
	cmd := exec.Command("lz4", "-dc")
	cmd.Stdin = strings.NewReader(frame(block))
	want, refused := cmd.Output()
	got, _, err := unpacked(frame(block))
	shown := block[:min(len(block), 80)]
	switch {
	case (err == nil) != (refused == nil):
		t.Errorf("block %.80q: Read = %v, lz4: %v", shown, err, refused)
	case err == nil && !bytes.Equal(got, want):
		t.Errorf("block %.80q: Read gives other bytes than lz4", shown)
	}
}

// TestReader reads what lz4 -l packs.
func TestReader(t *testing.T) {
	testenv.Require(t, "lz4")
	long := bytes.Repeat(machineCode(t), 5)[:20<<20]
	noise := make([]byte, 9<<20)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	for name, plain := range map[string][]byte{
		"empty": nil, "a byte": {1}, "text": long[:100_000], "a block": long[:lz4.BlockSize], "blocks": long, "noise": noise,
		"zeros": make([]byte, 3*lz4.BlockSize+1),
	} {
		for _, level := range []string{"-1", "-9"} {
			cmd := exec.Command("lz4", "-lc", level)
			cmd.Stdin = bytes.NewReader(plain)
			packed, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if got, rest, err := unpacked(string(packed)); err != nil || rest != "" || !bytes.Equal(got, plain) {
				t.Errorf("%s, lz4 %s: Read = %d bytes, %v, %d bytes left, want %d", name, level, len(got), err, len(rest), len(plain))
			}
		}
	}
}

// TestFrames joins frames and lets something follow.
func TestFrames(t *testing.T) {
	hello, world := sequence("hello, ", 0, 0), sequence("world", 0, 0)
	for name, c := range map[string]struct {
		in, want, rest string
	}{
		"no block":             {frame(), "", ""},
		"a block of nothing":   {frame("\x00"), "", ""},
		"two blocks":           {frame(hello, world), "hello, world", ""},
		"two frames":           {frame(hello) + frame(world), "hello, world", ""},
		"empty frames between": {frame() + frame(hello) + frame() + frame() + frame(world), "hello, world", ""},
		"zeros":                {frame(world) + "\x00\x00\x00\x00\x00", "world", "\x00\x00\x00\x00\x00"},
		"zeros, an archive":    {frame(world) + "\x00\x00\x00\x00070701", "world", "\x00\x00\x00\x00070701"},
		"too few for a size":   {frame(world) + "\x00\x00\x00", "world", "\x00\x00\x00"},
	} {
		got, rest, err := unpacked(c.in)
		if string(got) != c.want || rest != c.rest || err != nil {
			t.Errorf("%s: Read = %q, %v, %q behind it, want %q, %q", name, got, err, rest, c.want, c.rest)
		}
	}
	for name, c := range map[string]struct{ in, want string }{
		"no frame":         {"\x02\x21", "not an LZ4 legacy frame: corrupt"},
		"LZ4 frame":        {"\x04\x22\x4d\x18\x64\x40\xa7", "not an LZ4 legacy frame: corrupt"},
		"cut block":        {frame(hello)[:10], "LZ4 block has 2 of 8 bytes: unexpected EOF: corrupt"},
		"no block":         {frame(hello)[:8], "LZ4 block has 0 of 8 bytes: unexpected EOF: corrupt"},
		"an archive":       {frame(world) + "070701", "LZ4 block of 925906736 bytes, which are more than 8421520: corrupt"},
		"too large by one": {frame() + "\x91\x80\x80\x00", "LZ4 block of 8421521 bytes, which are more than 8421520: corrupt"},
		"broken block":     {frame("\x50"), "the LZ4 data breaks off: corrupt"},
	} {
		if _, _, err := unpacked(c.in); !errors.Is(err, fault.ErrCorrupt) || err.Error() != c.want {
			t.Errorf("%s: Read = %v, want %s", name, err, c.want)
		}
	}
	unreadable := errors.New("unreadable")
	for _, n := range []int{0, 3, 6, 10} {
		r := bufio.NewReader(io.MultiReader(strings.NewReader(frame(hello)[:n]), failing{unreadable}))
		if _, err := io.ReadAll(lz4.NewReader(r)); err != unreadable {
			t.Errorf("after %d bytes: Read = %v, want %v", n, err, unreadable)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestDecodeStart decodes blocks written by hand.
func TestDecodeStart(t *testing.T) {
	for name, c := range map[string]struct {
		src  string
		size int
		want string
		rest int // of src
		ok   bool
	}{
		"literals":             {"\x50hello", 5, "hello", 0, true},
		"literals cut":         {"\x50hello", 3, "hel", 2, true},
		"match":                {"\x32abc\x03\x00\x10x", 10, "abcabcabcx", 0, true},
		"match cut":            {"\x32abc\x03\x00\x10x", 7, "abcabca", 2, true},
		"match at the end":     {"\x32abc\x03\x00\x00", 9, "abcabcabc", 0, true},
		"run":                  {"\x1fa\x01\x00\x02\x10b", 23, "aaaaaaaaaaaaaaaaaaaaaab", 0, true},
		"many literals":        {"\xf0\x01" + "0123456789abcdef", 16, "0123456789abcdef", 0, true},
		"long length":          {"\xf0\xff\x00" + string(make([]byte, 270)), 270, string(make([]byte, 270)), 0, true},
		"too short":            {"\x20ab", 5, "ab", 0, true},
		"empty":                {"", 5, "", 0, true},
		"literals missing":     {"\x50hell", 5, "", 0, false},
		"length missing":       {"\xf0\xff", 5, "", 0, false},
		"distance missing":     {"\x12a\x01", 9, "", 0, false},
		"distance 0":           {"\x12a\x00\x00\x10x", 9, "", 0, false},
		"distance too large":   {"\x12a\x02\x00\x10x", 9, "", 0, false},
		"match length missing": {"\x1fa\x01\x00", 900, "", 0, false},
	} {
		dst := make([]byte, c.size)
		d, s, err := lz4.DecodeStart(dst, []byte(c.src))
		if (err == nil) != c.ok {
			t.Errorf("%s: DecodeStart = %d, %d, %v", name, d, s, err)
		}
		if got := string(dst[:d]); c.ok && (got != c.want || len(c.src)-s != c.rest) {
			t.Errorf("%s: DecodeStart = %q with %d bytes left, want %q with %d", name, got, len(c.src)-s, c.want, c.rest)
		}
	}
}

// TestDistances repeats from every small distance, near and far from the end.
func TestDistances(t *testing.T) {
	const start = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for distance := 1; distance <= len(start); distance++ {
		for _, match := range []int{4, 7, 8, 15, 16, 17, 18, 19, 31, 32, 33, 47, 48, 49, 300} {
			want := []byte(start)
			for range match {
				want = append(want, want[len(want)-distance])
			}
			for _, last := range []string{"12345", strings.Repeat("=", 30), strings.Repeat("=", 100)} {
				if match+len(last) < 12 {
					continue // too close to the end
				}
				src := []byte(sequence(start, distance, match) + sequence(last, 0, 0))
				for _, room := range []int{len(want) + len(last), len(want) + len(last) + 100} {
					dst := make([]byte, room)
					n, err := lz4.Decode(dst, src)
					if diff := cmp.Diff(string(want)+last, string(dst[:n])); diff != "" || err != nil {
						t.Fatalf("distance %d, match %d: Decode = %v (-want +got)\n%s", distance, match, err, diff)
					}
				}
			}
		}
	}
}

// slow is DecodeStart byte by byte.
func slow(dst, src []byte) (d, s int, ok bool) {
	next := func() int {
		if s == len(src) {
			ok = false
			return 0
		}
		s++
		return int(src[s-1])
	}
	number := func(n int) int {
		for b := 255; n >= 15 && b == 255 && ok; n += b {
			b = next()
		}
		return n
	}
	for ok = true; ok && s < len(src); {
		token := next()
		literals := number(token >> 4)
		if !ok || literals > len(src)-s {
			return d, s, false
		}
		for ; literals > 0 && d < len(dst); literals-- {
			dst[d] = byte(next())
			d++
		}
		if d == len(dst) || s == len(src) {
			return d, s, ok
		}
		distance := next() | next()<<8
		match := number(token&15) + 4
		if ok = ok && distance > 0 && distance <= d; !ok {
			return d, s, ok
		}
		for ; match > 0 && d < len(dst); match-- {
			dst[d] = dst[d-distance]
			d++
		}
		if d == len(dst) {
			if s == len(src)-1 && src[s] == 0 {
				s++
			}
			return d, s, ok
		}
	}
	return d, s, ok
}

// FuzzDecode holds both decoders against one that does it byte by byte, and
// against another library.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x32abc\x03\x00\x50xyzxy"), uint16(15))
	f.Add([]byte(sequence(strings.Repeat("abcdefgh", 20), 5, 300)+sequence("", 1, 7)+sequence("12345678901234567890", 0, 0)), uint16(600))
	f.Add(blocks(f, text(f)[:6000], 6000, pierrec.Fast)[0], uint16(6000))
	f.Add(blocks(f, machineCode(f)[:6000], 6000, pierrec.Level9)[0], uint16(5000))
	f.Fuzz(func(t *testing.T, src []byte, size uint16) {
		got, want := make([]byte, size), make([]byte, size)
		d, s, err := lz4.DecodeStart(got, src)
		wantD, wantS, ok := slow(want, src)
		if (err == nil) != ok || ok && (d != wantD || s != wantS || !bytes.Equal(got[:d], want[:d])) {
			t.Fatalf("DecodeStart = %d, %d, %v, want %d, %d, %v", d, s, err, wantD, wantS, ok)
		}
		n, err := lz4.Decode(got, src)
		if err != nil {
			return
		}
		if !ok || n != wantD || wantS != len(src) || !bytes.Equal(got[:n], want[:n]) {
			t.Errorf("Decode = %d, DecodeStart = %d, %d of %d", n, wantD, wantS, len(src))
		}
		// The other library minds a last token that speaks of a match; liblz4
		// does not.
		if other, err := pierrec.UncompressBlock(src, want); err == nil && (other != n || !bytes.Equal(got[:n], want[:n])) {
			t.Errorf("Decode = %d, the other library %d", n, other)
		}
	})
}

// FuzzReader wants no other error than corruption, and no more bytes than a match
// can make of one.
func FuzzReader(f *testing.F) {
	f.Add(frame(sequence("hello, ", 0, 0), sequence("world", 0, 0)))
	f.Add(frame() + frame(sequence("abc", 3, 100)+sequence("12345", 0, 0)) + "\x00\x00\x00\x00")
	f.Fuzz(func(t *testing.T, in string) {
		r := bufio.NewReader(strings.NewReader(in))
		var out bytes.Buffer
		n, err := io.CopyN(&out, lz4.NewReader(r), 32<<20)
		if n > int64(len(in))*256 {
			t.Errorf("Read = %d bytes from %d", n, len(in))
		}
		if err == nil || err == io.EOF {
			return
		}
		if !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("Read = %v, want %v", err, fault.ErrCorrupt)
		}
	})
}
