package verity_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/fault"
	"sextant/internal/format/verity"
	"sextant/internal/golden"
)

func section(t testing.TB, f *os.File) *io.SectionReader {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return io.NewSectionReader(f, 0, info.Size())
}

func sectionOf(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}

// small has three levels in little space: 16 digests per block.
func small() verity.Params {
	return verity.Params{
		HashType: verity.Normal, Algorithm: verity.SHA256,
		DataBlockSize: 512, HashBlockSize: 512, DataBlocks: 300, Salt: salt(32),
	}
}

// build returns a hash area that was full of noise before, and the root hash.
func build(t testing.TB, data []byte, p verity.Params) (hash area, root []byte) {
	t.Helper()
	g, err := p.Geometry()
	if err != nil {
		t.Fatal(err)
	}
	hash = make(area, g.Size)
	source := rand.NewChaCha8([32]byte{4})
	if _, err := source.Read(hash); err != nil {
		t.Fatal(err)
	}
	root, err = verity.Build(context.Background(), hash, bytes.NewReader(data), p)
	if err != nil {
		t.Fatal(err)
	}
	return hash, root
}

func verify(t testing.TB, data, hash []byte, p verity.Params, root []byte) *verity.Report {
	t.Helper()
	report, err := verity.Verify(context.Background(), sectionOf(data), sectionOf(hash), p, root)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestOrderDoesNotMatter adds blocks from many goroutines, in pieces of all
// sizes and in random order.
func TestOrderDoesNotMatter(t *testing.T) {
	p := verity.Default(5000 * 4096)
	p.Salt = salt(32)
	data := noise(p)
	want, wantRoot := build(t, data, p)

	got := make(area, len(want))
	builder, err := verity.NewBuilder(got, p)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(5, 6))
	var pieces [][2]int64
	for first := int64(0); first < p.DataBlocks; {
		count := min(p.DataBlocks-first, random.Int64N(2000))
		pieces = append(pieces, [2]int64{first, count})
		first += count
	}
	random.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
	var group sync.WaitGroup
	for _, piece := range pieces {
		group.Go(func() {
			if err := builder.Add(piece[0], data[piece[0]*4096:][:piece[1]*4096]); err != nil {
				t.Errorf("Add(%d, %d blocks) = %v", piece[0], piece[1], err)
			}
		})
	}
	group.Wait()
	root, err := builder.Finish(context.Background())
	if err != nil || !bytes.Equal(root, wantRoot) || !bytes.Equal(got, want) {
		t.Errorf("Finish = %x, %v, want %x and the same bytes", root, err, wantRoot)
	}
}

func TestBuilderRefuses(t *testing.T) {
	ctx := context.Background()
	p := small()
	builder, err := verity.NewBuilder(nowhere{}, p)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		first int64
		bytes int
	}{{-1, 512}, {300, 512}, {299, 1024}, {0, 511}, {0, 301 * 512}, {1 << 62, 512}} {
		if err := builder.Add(test.first, make([]byte, test.bytes)); err == nil {
			t.Errorf("Add(%d, %d bytes) gives no error", test.first, test.bytes)
		}
	}
	if err := builder.Add(0, make([]byte, 299*512)); err != nil {
		t.Fatal(err)
	}
	if root, err := builder.Finish(ctx); err == nil {
		t.Errorf("Finish with a block missing = %x", root)
	}
	p.HashType = verity.ChromeOS
	if _, err := verity.NewBuilder(nowhere{}, p); err == nil {
		t.Error("NewBuilder with hash type 0 gives no error")
	}
	if _, err := verity.Build(ctx, nowhere{}, bytes.NewReader(make([]byte, 1000)), small()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Build of short data = %v, want %v", err, io.ErrUnexpectedEOF)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := verity.Build(canceled, nowhere{}, bytes.NewReader(make([]byte, small().DataSize())), small()); !errors.Is(err, context.Canceled) {
		t.Errorf("Build after cancel = %v, want %v", err, context.Canceled)
	}
}

// full is a hash area on a disk that is full behind a number of bytes.
type full struct {
	area
	limit int64
}

var errFull = errors.New("no space left")

func (f full) WriteAt(b []byte, offset int64) (int, error) {
	if offset+int64(len(b)) > f.limit {
		return 0, errFull
	}
	return f.area.WriteAt(b, offset)
}

func TestFullDisk(t *testing.T) {
	p := small()
	hash, root := build(t, noise(p), p)
	for limit := int64(0); limit < int64(len(hash)); limit += 61 {
		target := full{make(area, len(hash)), limit}
		if _, err := verity.Build(context.Background(), target, bytes.NewReader(noise(p)), p); !errors.Is(err, errFull) {
			t.Fatalf("Build with room for %d of %d bytes = %v, want %v", limit, len(hash), err, errFull)
		}
	}
	target := full{make(area, len(hash)), int64(len(hash))}
	if got, err := verity.Build(context.Background(), target, bytes.NewReader(noise(p)), p); err != nil || !bytes.Equal(got, root) {
		t.Errorf("Build = %x, %v, want %x", got, err, root)
	}
}

// TestMemory builds and checks trees of very different sizes and compares what
// was allocated on the way.
func TestMemory(t *testing.T) {
	allocated := func(size int64) uint64 {
		p := verity.Default(size)
		g, err := p.Geometry()
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := verity.Build(context.Background(), nowhere{}, nowhere{}, p); err != nil {
			t.Fatal(err)
		}
		data, hash := io.NewSectionReader(nowhere{}, 0, size), io.NewSectionReader(nowhere{}, 0, g.Size)
		if _, err := verity.Verify(context.Background(), data, hash, p, make([]byte, 32)); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	small, large := allocated(256<<20), allocated(4<<30)
	// Each level has buffers of up to 256 KiB per goroutine, and Verify one bit
	// for each hash block: 1 KiB for 4 GiB.
	if large > small+1<<20 {
		t.Errorf("%d bytes allocated for 256 MiB, %d for 4 GiB", small, large)
	}
}

func TestParams(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*verity.Params)
		want   error
	}{
		"hash type":            {func(p *verity.Params) { p.HashType = 2 }, fault.ErrUnsupported},
		"algorithm":            {func(p *verity.Params) { p.Algorithm = "crc32" }, fault.ErrUnsupported},
		"no algorithm":         {func(p *verity.Params) { p.Algorithm = "" }, fault.ErrUnsupported},
		"data block size":      {func(p *verity.Params) { p.DataBlockSize = 1000 }, fault.ErrCorrupt},
		"data block too small": {func(p *verity.Params) { p.DataBlockSize = 256 }, fault.ErrCorrupt},
		"hash block zero":      {func(p *verity.Params) { p.HashBlockSize = 0 }, fault.ErrCorrupt},
		"hash block too large": {func(p *verity.Params) { p.HashBlockSize = 1 << 20 }, fault.ErrCorrupt},
		"no data":              {func(p *verity.Params) { p.DataBlocks = 0 }, fault.ErrCorrupt},
		"negative":             {func(p *verity.Params) { p.DataBlocks = -5 }, fault.ErrCorrupt},
		"more than 2^63 bytes": {func(p *verity.Params) { p.DataBlocks = 1 << 60 }, fault.ErrCorrupt},
		"salt":                 {func(p *verity.Params) { p.Salt = make([]byte, 257) }, fault.ErrCorrupt},
	} {
		p := small()
		test.change(&p)
		if _, err := p.Geometry(); !errors.Is(err, test.want) {
			t.Errorf("Geometry with wrong %s = %v, want %v", name, err, test.want)
		}
	}
	p := small()
	p.DataBlocks = 1<<54 - 1
	if g, err := p.Geometry(); err != nil || g.Size < p.DataBlocks*32 {
		t.Errorf("Geometry of 2^63 bytes = %v, %v", g, err)
	}
}

func TestGeometry(t *testing.T) {
	for blocks, want := range map[int64]int64{ // size of the hash area in blocks
		1: 1, 2: 2, 128: 2, 129: 4, 128 * 128: 1 + 1 + 128, 128*128 + 1: 1 + 1 + 2 + 129,
	} {
		if g, err := verity.Default(blocks * 4096).Geometry(); err != nil || g.Size != want*4096 {
			t.Errorf("hash area of %d blocks has %d bytes, %v, want %d blocks", blocks, g.Size, err, want)
		}
	}
}

func TestNoSuperblock(t *testing.T) {
	p := small()
	data := noise(p)
	with, root := build(t, data, p)
	p.NoSuperblock = true
	without, got := build(t, data, p)
	if !bytes.Equal(root, got) || !bytes.Equal(with[512:], without) {
		t.Error("the tree depends on the superblock")
	}
	if err := verify(t, data, without, p, root).Err(); err != nil {
		t.Errorf("Verify = %v", err)
	}
}

// TestEveryFlippedByteIsFound changes one byte after the other. The superblock
// of a hash area is only guarded by its reserved bytes, and by what the
// parameters in it do to the root hash.
func TestEveryFlippedByteIsFound(t *testing.T) {
	p := small()
	p.DataBlocks = 40
	data := noise(p)
	hash, root := build(t, data, p)
	for i := range data {
		data[i] ^= 0x10
		report := verify(t, data, hash, p, root)
		want := []verity.Finding{{Kind: verity.BadData, Block: int64(i) / 512, Offset: int64(i) / 512 * 512}}
		if diff := cmp.Diff(want, report.Findings); diff != "" {
			t.Fatalf("flipped byte %d of the data (-want +got):\n%s", i, diff)
		}
		data[i] ^= 0x10
	}
	for i := 512; i < len(hash); i++ {
		hash[i] ^= 0x10
		if report := verify(t, data, hash, p, root); !errors.Is(report.Err(), fault.ErrUntrusted) {
			t.Fatalf("flipped byte %d of the tree: %v", i, report.Err())
		}
		hash[i] ^= 0x10
	}
	for i := range verity.SuperblockSize {
		if i >= 16 && i < 32 {
			continue // the UUID is free
		}
		hash[i] ^= 0x10
		if err := readAndVerify(data, hash, root); err == nil {
			t.Errorf("flipped byte %d of the superblock is not found", i)
		}
		hash[i] ^= 0x10
	}
}

func readAndVerify(data, hash, root []byte) error {
	p, err := verity.ReadSuperblock(bytes.NewReader(hash), int64(len(hash)))
	if err != nil {
		return err
	}
	report, err := verity.Verify(context.Background(), sectionOf(data), sectionOf(hash), p, root)
	if err != nil {
		return err
	}
	return report.Err()
}

func TestReport(t *testing.T) {
	p := small() // 300 data blocks, levels of 19, 2 and 1 blocks
	data := noise(p)
	hash, root := build(t, data, p)
	g, err := p.Geometry()
	if err != nil {
		t.Fatal(err)
	}
	data[5*512]++                       // data block 5
	data[40*512]++                      // cannot be judged
	hash[g.Levels[0].Offset+2*512+7]++  // digests of data blocks 32 to 47
	hash[g.Levels[1].Offset+1*512+31]++ // digests of hash blocks 16 to 18
	got := verify(t, data, hash, p, root)
	want := &verity.Report{
		RootMatches: true, BadData: 1, BadHash: 2, UncheckedData: 16 + 300 - 256,
		Findings: []verity.Finding{
			{Kind: verity.BadHash, Level: 1, Block: 1, Offset: g.Levels[1].Offset + 512},
			{Kind: verity.BadHash, Level: 0, Block: 2, Offset: g.Levels[0].Offset + 1024},
			{Kind: verity.BadData, Block: 5, Offset: 5 * 512},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Verify (-want +got):\n%s", diff)
	}

	root[0]++
	got = verify(t, data, hash, p, root)
	if diff := cmp.Diff(&verity.Report{UncheckedData: 300}, got); diff != "" {
		t.Errorf("Verify with another root hash (-want +got):\n%s", diff)
	}
	if !errors.Is(got.Err(), fault.ErrUntrusted) {
		t.Errorf("Err() = %v, want %v", got.Err(), fault.ErrUntrusted)
	}
}

// TestManyBadBlocks has more bad blocks than a report lists.
func TestManyBadBlocks(t *testing.T) {
	p := small()
	p.DataBlocks = 5000
	data := noise(p)
	hash, root := build(t, data, p)
	for i := range data {
		data[i] ^= 1
	}
	report := verify(t, data, hash, p, root)
	if report.BadData != 5000 || len(report.Findings) != verity.MaxFindings {
		t.Errorf("Verify counts %d and lists %d bad blocks, want 5000 and %d", report.BadData, len(report.Findings), verity.MaxFindings)
	}
	for i, f := range report.Findings {
		if f.Block != int64(i) {
			t.Fatalf("Findings[%d] is block %d", i, f.Block)
		}
	}
}

// TestPadding has a tree in which everything matches, but whose unused bytes
// are not zero. veritysetup refuses it too.
func TestPadding(t *testing.T) {
	for name, p := range map[string]verity.Params{
		"behind the last digest": small(),
		"between digests":        {HashType: verity.Normal, Algorithm: verity.SHA384, DataBlockSize: 512, HashBlockSize: 512, DataBlocks: 8},
	} {
		data := noise(p)
		hash, _ := build(t, data, p)
		g, err := p.Geometry()
		if err != nil {
			t.Fatal(err)
		}
		last := g.Levels[0].Offset + g.Levels[0].Blocks*512 - 1
		hash[last] = 1
		root := rebuildAbove(t, hash, p, g)
		report := verify(t, data, hash, p, root)
		if report.BadPadding != 1 || !errors.Is(report.Err(), fault.ErrCorrupt) {
			t.Errorf("padding %s: %+v, %v", name, report, report.Err())
		}
	}
}

// rebuildAbove makes the upper levels for a lowest level that was changed, as
// a tree over that level's blocks, and returns the root hash.
func rebuildAbove(t *testing.T, hash area, p verity.Params, g verity.Geometry) []byte {
	t.Helper()
	upper := p
	upper.NoSuperblock = true
	upper.DataBlockSize = p.HashBlockSize
	upper.DataBlocks = g.Levels[0].Blocks
	lowest := hash[g.Levels[0].Offset:][:upper.DataSize()]
	levels, root := build(t, lowest, upper)
	copy(hash[512:], levels)
	return root
}

func TestVerifyRefusesShortInput(t *testing.T) {
	p := small()
	data := noise(p)
	hash, root := build(t, data, p)
	for _, test := range []struct{ data, hash int }{{len(data) - 1, len(hash)}, {len(data), len(hash) - 1}, {0, len(hash)}, {len(data), 0}} {
		_, err := verity.Verify(context.Background(), sectionOf(data[:test.data]), sectionOf(hash[:test.hash]), p, root)
		if !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("Verify of %d and %d bytes = %v, want %v", test.data, test.hash, err, fault.ErrCorrupt)
		}
	}
	if _, err := verity.ReadSuperblock(bytes.NewReader(hash), int64(len(hash)-1)); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("ReadSuperblock of a short hash area = %v, want %v", err, fault.ErrCorrupt)
	}
}

func TestDescribe(t *testing.T) {
	p := small()
	copy(p.UUID[:], "0123456789abcdef")
	hash, _ := build(t, noise(p), p)
	var got bytes.Buffer
	if err := verity.Describe(&got, bytes.NewReader(hash), int64(len(hash))); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "testdata/superblock.txt", got.String())
}

// FuzzReadSuperblock reads whatever comes and verifies what was read against
// the same bytes.
func FuzzReadSuperblock(f *testing.F) {
	for _, p := range []verity.Params{
		{HashType: verity.Normal, Algorithm: verity.SHA256, DataBlockSize: 512, HashBlockSize: 512, DataBlocks: 1},
		{HashType: verity.Normal, Algorithm: verity.SHA512, DataBlockSize: 512, HashBlockSize: 512, DataBlocks: 9, Salt: salt(4)},
	} {
		hash, root := build(f, noise(p), p)
		f.Add([]byte(hash), noise(p), root)
	}
	f.Fuzz(func(t *testing.T, hash, data, root []byte) {
		p, err := verity.ReadSuperblock(bytes.NewReader(hash), int64(len(hash)))
		if err != nil {
			if !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) {
				t.Errorf("ReadSuperblock = %v", err)
			}
			return
		}
		if err := verity.Describe(io.Discard, bytes.NewReader(hash), int64(len(hash))); err != nil {
			t.Errorf("Describe = %v", err)
		}
		report, err := verity.Verify(context.Background(), sectionOf(data), sectionOf(hash), p, root)
		if err != nil || report.Err() != nil {
			return
		}
		// What verifies is what we would have built, but for hash type 0.
		if p.HashType == verity.ChromeOS {
			return
		}
		g, err := p.Geometry()
		if err != nil {
			t.Fatal(err)
		}
		again, rootAgain := build(t, data, p)
		if !bytes.Equal(rootAgain, root) || !bytes.Equal(again, hash[:g.Size]) {
			t.Error(fmt.Errorf("verified, but Build makes root %x instead of %x", rootAgain, root))
		}
	})
}
