package image_test

import (
	"crypto/x509"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"sextant/internal/image"
	"sextant/internal/imagetest"
	"sextant/internal/imagetest/disk"
	"sextant/internal/keys"
	"sextant/internal/span"
	"sextant/internal/testenv"
)

const (
	// million is how many bits TestMillionBits changes.
	million = 1_000_000

	// atOnce is how many places it damages before it verifies.
	atOnce = 4096

	// treeBlock is the size of the blocks of data and hash tree.
	treeBlock = 4096
)

// large is a signed image of 60 MiB.
type large struct {
	disk.Disk
	opts   image.Options
	silent []span.Span // bytes that mean nothing to anyone
}

func newLarge(t *testing.T) large {
	t.Helper()
	signer := disk.Generate(t, keys.ECDSAP256, "signer")
	b := disk.Content("tool")
	b.Content("usr/share/random", 0o644, imagetest.Noise{Seed: 1, Length: 60<<20 + 5})
	m := disk.Recipe{Files: b.Tree, Signature: disk.SignedBy(t, signer)}.Make(t)
	hash, _ := m.Part(2)
	part, end := m.Part(3)
	return large{m, image.Options{Certificates: []*x509.Certificate{signer.Certificate}, Now: disk.Now()},
		slices.Concat(slices.Collect(maps.Values(meaningless(hash))), slices.Collect(maps.Values(partly(t, m.Bytes[part:end], part))))}
}

// TestMillionBits changes a million random bits of an image of 60 MiB. In the
// data, and in the lowest level of the hash tree, it changes one bit in each of
// many blocks, verifies once, and wants every one of these blocks to be counted;
// in the gap before the first partition every byte. All other bits are changed
// alone; as each costs a hash of the whole image, only every tenth is without
// SEXTANT_TEST_LONG.
func TestMillionBits(t *testing.T) {
	m := newLarge(t)
	data, _ := m.Part(1)
	hash, _ := m.Part(2)
	blocks := m.dataBlocks()
	// Behind superblock and top block.
	leaves := span.Span{Offset: hash + 2*treeBlock, Length: (blocks + 127) / 128 * treeBlock}
	inData, inLeaves, inGap, alone := newPlaces(), newPlaces(), newPlaces(), []int64{}
	source := rand.New(rand.NewPCG(1, 2))
	for range million {
		bit := source.Int64N(8 * int64(len(m.Bytes)))
		switch at := bit / 8; {
		case at >= data && at < data+blocks*treeBlock:
			inData.add((at-data)/treeBlock, bit)
		case at >= leaves.Offset && at < leaves.End():
			inLeaves.add((at-leaves.Offset)/treeBlock, bit)
		case at >= 34*512 && at < data:
			inGap.add(at, bit)
		case !slices.ContainsFunc(m.silent, func(s span.Span) bool { return at >= s.Offset && at < s.End() }):
			alone = append(alone, bit)
		}
	}
	t.Logf("%d bits in the data, %d in the lowest level of the tree, %d before the first partition, %d elsewhere",
		inData.size, inLeaves.size, inGap.size, len(alone))
	for _, h := range []*places{inData, inLeaves, inGap} {
		m.allCounted(t, h)
	}
	for i, bit := range alone {
		if i%10 > 0 && !testenv.Long() {
			continue
		}
		m.flip(bit)
		if reported, err := look(t, m.Bytes, m.opts); err != nil || !reported {
			t.Errorf("bit %d of byte %d: reported %t, %v", bit%8, bit/8, reported, err)
		}
		m.flip(bit)
	}
	if found := verify(t, m.Bytes, m.opts); worse(found) {
		t.Errorf("all bits changed back: %v", found.Findings)
	}
}

// dataBlocks is how many blocks the hash tree covers.
func (m large) dataBlocks() int64 {
	start, end := m.Part(1)
	return (end - start) / treeBlock
}

func (m large) flip(bit int64) { m.Bytes[bit/8] ^= 1 << (bit % 8) }

// allCounted changes one bit of each of many places until no bit is left, and
// wants as many to be reported.
func (m large) allCounted(t *testing.T, h *places) {
	t.Helper()
	for bits := h.take(); len(bits) > 0; bits = h.take() {
		for _, bit := range bits {
			m.flip(bit)
		}
		if got := m.counted(t); got != len(bits) {
			t.Errorf("%d places damaged, the first by bit %d: %d reported", len(bits), bits[0], got)
		}
		for _, bit := range bits {
			m.flip(bit)
		}
	}
}

// counted returns how many blocks verify says are bad, and how many bytes that
// should be zeros.
func (m large) counted(t *testing.T) (count int) {
	t.Helper()
	more := regexp.MustCompile(`^(\d+) (more of kind (data|hash) block$|of the bytes .* are not zero)`)
	one := regexp.MustCompile(`^(data|hash) block .* does not match$`)
	for _, f := range verify(t, m.Bytes, m.opts).Findings {
		if match := more.FindStringSubmatch(f.Text); match != nil {
			n, err := strconv.Atoi(match[1])
			if err != nil {
				t.Fatal(err)
			}
			count += n
		} else if one.MatchString(f.Text) {
			count++
		}
	}
	return count
}

// places hold bits by the place they are in.
type places struct {
	bits map[int64][]int64
	size int
}

func newPlaces() *places { return &places{bits: make(map[int64][]int64)} }

func (h *places) add(place, bit int64) {
	h.bits[place] = append(h.bits[place], bit)
	h.size++
}

// take removes a bit of each of up to atOnce places.
func (h *places) take() (bits []int64) {
	for place, list := range h.bits {
		bits = append(bits, list[0])
		if h.bits[place] = list[1:]; len(list) == 1 {
			delete(h.bits, place)
		}
		if len(bits) == atOnce {
			break
		}
	}
	return bits
}
