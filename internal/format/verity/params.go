package verity

import (
	"fmt"
	"math"
	"math/bits"

	"sextant/internal/fault"
	"sextant/internal/span"
)

// HashType is the version of the tree's format.
type HashType uint32

const (
	ChromeOS HashType = 0 // salt behind the block, digests packed
	Normal   HashType = 1 // salt before the block, digests at powers of two
)

// String gives the name that cryptsetup uses.
func (t HashType) String() string {
	switch t {
	case ChromeOS:
		return "0 (Chrome OS)"
	case Normal:
		return "1 (normal)"
	}
	return fmt.Sprintf("%d (unknown)", uint32(t))
}

// Limits of cryptsetup's superblock. The kernel sets a lower one when it opens
// a device: data blocks are not larger than a memory page.
const (
	MinBlockSize = 512
	MaxBlockSize = 512 << 10
	MaxSalt      = 256
)

// Params are all that a root hash depends on besides the data. They are what
// the superblock holds.
type Params struct {
	HashType      HashType
	Algorithm     Algorithm
	DataBlockSize int   // bytes, a power of two
	HashBlockSize int   // bytes, a power of two
	DataBlocks    int64 // number of data blocks, at least one
	Salt          []byte

	// UUID names the superblock, in the byte order of its text form. It takes
	// no part in the root hash.
	UUID [16]byte

	// NoSuperblock says that the hash area begins with the tree.
	NoSuperblock bool
}

// Default returns what veritysetup and systemd-repart use for data of the
// given size in bytes, which must be a multiple of 4096: sha256 and blocks of
// 4096 bytes. Salt and UUID are still to be set.
func Default(size int64) Params {
	return Params{
		HashType:      Normal,
		Algorithm:     SHA256,
		DataBlockSize: 4096,
		HashBlockSize: 4096,
		DataBlocks:    size / 4096,
	}
}

// DataSize returns the number of bytes that the tree covers.
func (p Params) DataSize() int64 { return p.DataBlocks * int64(p.DataBlockSize) }

// Level is one level of the tree in the hash area.
type Level struct {
	Offset int64 // bytes from the beginning of the hash area
	Blocks int64 // number of hash blocks
}

// Geometry is where things are in the hash area.
type Geometry struct {
	// Levels are the levels of the tree, the lowest first, which holds the
	// digests of the data blocks.
	Levels []Level

	// PerBlock is how many digests a hash block holds, and Slot the bytes
	// from one to the next.
	PerBlock int64
	Slot     int64

	// Size is the length of the hash area in bytes, superblock included.
	Size int64
}

// Geometry checks p and computes where everything is. Sizes that no device
// can have and an unknown algorithm are errors.
func (p Params) Geometry() (Geometry, error) {
	if err := p.check(); err != nil {
		return Geometry{}, err
	}
	digest := int64(p.Algorithm.Size())
	perBlockBits := bits.Len64(uint64(int64(p.HashBlockSize)/digest)) - 1
	g := Geometry{PerBlock: 1 << perBlockBits}
	g.Slot = int64(p.HashBlockSize) >> perBlockBits
	if p.HashType == ChromeOS {
		g.Slot = digest
	}
	for below := p.DataBlocks; below > 1; {
		below = (below-1)>>perBlockBits + 1
		g.Levels = append(g.Levels, Level{Blocks: below})
	}
	return g, g.place(p)
}

// place gives each level its offset: the top level is first.
func (g *Geometry) place(p Params) error {
	block := int64(p.HashBlockSize)
	next := block
	if p.NoSuperblock {
		next = 0
	}
	for i := len(g.Levels) - 1; i >= 0; i-- {
		g.Levels[i].Offset = next
		if g.Levels[i].Blocks > (math.MaxInt64-next)/block {
			return fmt.Errorf("hash tree of %d data blocks is too large: %w", p.DataBlocks, fault.ErrCorrupt)
		}
		next += g.Levels[i].Blocks * block
	}
	g.Size = next
	return nil
}

// check refuses values that break the format (fault.ErrCorrupt) or that this
// package does not handle (fault.ErrUnsupported).
func (p Params) check() error {
	if p.HashType != Normal && p.HashType != ChromeOS {
		return fmt.Errorf("hash type %d: %w", p.HashType, fault.ErrUnsupported)
	}
	if _, err := p.Algorithm.new(); err != nil {
		return err
	}
	if !validBlockSize(p.DataBlockSize) {
		return fmt.Errorf("data block size %d is not a power of two from 512 to 524288: %w", p.DataBlockSize, fault.ErrCorrupt)
	}
	if !validBlockSize(p.HashBlockSize) {
		return fmt.Errorf("hash block size %d is not a power of two from 512 to 524288: %w", p.HashBlockSize, fault.ErrCorrupt)
	}
	if p.DataBlocks < 1 || p.DataBlocks > math.MaxInt64/int64(p.DataBlockSize) {
		return fmt.Errorf("%d data blocks of %d bytes: %w", p.DataBlocks, p.DataBlockSize, fault.ErrCorrupt)
	}
	if len(p.Salt) > MaxSalt {
		return fmt.Errorf("salt of %d bytes, the limit is %d: %w", len(p.Salt), MaxSalt, fault.ErrCorrupt)
	}
	return nil
}

func validBlockSize(n int) bool {
	return n >= MinBlockSize && n <= MaxBlockSize && bits.OnesCount(uint(n)) == 1
}

// slot gives the bytes of the digest with the given index on a level.
func (g Geometry) slot(p Params, level int, index int64) span.Span {
	block, place := index/g.PerBlock, index%g.PerBlock
	return span.Span{
		Offset: g.Levels[level].Offset + block*int64(p.HashBlockSize) + place*g.Slot,
		Length: g.Slot,
	}
}
