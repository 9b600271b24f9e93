package tar

import "fmt"

// BlockSize is the unit in which everything is stored.
const BlockSize = 512

// Typeflag says what an entry is.
type Typeflag byte

// The types of entries. Those from TypeGlobal on describe the entry that
// follows or the archive, and never come out of Reader.Next.
const (
	TypeRegularV7  Typeflag = 0   // version 7's regular file
	TypeRegular    Typeflag = '0' //
	TypeLink       Typeflag = '1' // hard link to an earlier entry
	TypeSymlink    Typeflag = '2' //
	TypeChar       Typeflag = '3' //
	TypeBlock      Typeflag = '4' //
	TypeDir        Typeflag = '5' //
	TypeFIFO       Typeflag = '6' //
	TypeContiguous Typeflag = '7' // a regular file
	TypeDumpDir    Typeflag = 'D' // GNU: a directory, its data a list of names
	TypeSparse     Typeflag = 'S' // GNU: a regular file with holes

	TypeGlobal   Typeflag = 'g' // pax records for all that follows
	TypeRecords  Typeflag = 'x' // pax records for the next entry
	TypeSunX     Typeflag = 'X' // Solaris' word for TypeRecords
	TypeLongName Typeflag = 'L' // GNU: the next entry's name
	TypeLongLink Typeflag = 'K' // GNU: the next entry's link name
	TypeVolume   Typeflag = 'V' // GNU: the archive's label
)

// String returns the word for the type.
func (t Typeflag) String() string {
	words := map[Typeflag]string{
		TypeRegularV7: "file", TypeRegular: "file", TypeContiguous: "file", TypeSparse: "file",
		TypeLink: "hard link", TypeSymlink: "symlink", TypeChar: "char", TypeBlock: "block",
		TypeDir: "dir", TypeDumpDir: "dir", TypeFIFO: "fifo",
		TypeGlobal: "global records", TypeRecords: "records", TypeSunX: "records",
		TypeLongName: "long name", TypeLongLink: "long link name", TypeVolume: "volume label",
	}
	if w, ok := words[t]; ok {
		return w
	}
	return fmt.Sprintf("type %q", byte(t))
}

// headerOnly reports whether entries of the type have no data whatever their
// size field says.
func (t Typeflag) headerOnly() bool { return t >= TypeLink && t <= TypeFIFO }

// regular reports whether an entry of the type is a regular file.
func (t Typeflag) regular() bool {
	return t == TypeRegular || t == TypeRegularV7 || t == TypeContiguous || t == TypeSparse
}

// Header is the block before each entry. Numbers are octal text, or base 256
// where the first byte has its highest bit set.
type Header struct {
	Name     [100]byte // 0
	Mode     [8]byte   // 100
	UID      [8]byte   // 108
	GID      [8]byte   // 116
	Size     [12]byte  // 124  of the data in the archive
	ModTime  [12]byte  // 136  seconds since 1970
	Checksum [8]byte   // 148  sum of all bytes, this field taken as spaces
	Typeflag Typeflag  // 156
	Linkname [100]byte // 157
	Magic    [6]byte   // 257  "ustar\0", GNU "ustar "
	Version  [2]byte   // 263  "00", GNU " \0"
	Uname    [32]byte  // 265
	Gname    [32]byte  // 297
	DevMajor [8]byte   // 329
	DevMinor [8]byte   // 337
	Prefix   [155]byte // 345  what comes before Name and a slash; see StarPrefix, GNUTail
	Pad      [12]byte  // 500
}

// decodeHeader reads the block field by field. binary.Decode takes its bytes
// one by one, which takes 20 times as long.
func decodeHeader(block []byte) *Header {
	h := &Header{Typeflag: Typeflag(block[156])}
	split(block, h.Name[:], h.Mode[:], h.UID[:], h.GID[:], h.Size[:], h.ModTime[:], h.Checksum[:])
	split(block[157:], h.Linkname[:], h.Magic[:], h.Version[:], h.Uname[:], h.Gname[:], h.DevMajor[:], h.DevMinor[:],
		h.Prefix[:], h.Pad[:])
	return h
}

// split fills the fields with what is in block, one after the other.
func split(block []byte, fields ...[]byte) {
	for _, f := range fields {
		block = block[copy(f, block):]
	}
}

// The values of Magic and Version, and star's at offset 508.
const (
	magicUstar   = "ustar\x00"
	magicGNU     = "ustar  \x00"
	trailerStar  = "tar\x00"
	starTrailer  = 508
	starPrefix   = 131 // bytes of Prefix that star uses as such
	tailOffset   = 345 // of Prefix and GNUTail
	checksumFrom = 148
	checksumTo   = 156
)

// GNUTail stands in the place of Prefix in headers with GNU's magic.
type GNUTail struct {
	AccessTime [12]byte       // 345
	ChangeTime [12]byte       // 357
	Offset     [12]byte       // 369  in a multi-volume archive
	LongNames  [4]byte        // 381  no longer used
	Unused     byte           // 385
	Sparse     [4]SparseEntry // 386
	IsExtended byte           // 482  a SparseBlock follows
	RealSize   [12]byte       // 483  with holes
	Pad        [17]byte       // 495
}

// SparseEntry is one range that has data. Both numbers are empty behind the
// last one.
type SparseEntry struct {
	Offset   [12]byte // 0
	NumBytes [12]byte // 12
}

// SparseBlock continues the list of ranges.
type SparseBlock struct {
	Sparse     [21]SparseEntry // 0
	IsExtended byte            // 504
	Pad        [7]byte         // 505
}
