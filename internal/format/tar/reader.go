package tar

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"sextant/internal/fault"
	"sextant/internal/pages"
	"sextant/internal/span"
)

const (
	// recordsMax is the largest size of an entry's pax records or long name.
	recordsMax = 16 << 20

	// globalMax is the same for all global records together, of which every
	// entry gets a copy.
	globalMax = 64 << 10
)

// Entry is one file of an archive.
type Entry struct {
	Name     string // as it is written, maybe absolute or with ".."
	Type     Typeflag
	Linkname string // of links
	Mode     uint32 // the twelve permission bits
	UID, GID uint32
	ModTime  time.Time
	Size     int64   // of a regular file, with holes
	Data     []Piece // of a regular file, ascending and apart
	Major    uint32  // of a device
	Minor    uint32
	Records  Records // all that are in force for the entry
}

// Reader reads the entries of an archive.
type Reader struct {
	archive io.ReaderAt
	size    int64
	next    int64 // where the next block is
	buf     [BlockSize]byte
	global  Records
	globals int // bytes of global records so far
}

// NewReader returns a reader of an archive of size bytes.
func NewReader(archive io.ReaderAt, size int64) *Reader {
	return &Reader{archive: archive, size: size}
}

// IsHeader reports whether the block, the first of a file, is the header of an
// entry: whether its checksum is right.
func IsHeader(block []byte) bool {
	return len(block) >= BlockSize && !pages.Zero(block[:BlockSize]) && checkSum(block[:BlockSize]) == nil
}

// Next returns the next entry, and io.EOF behind the last one. Errors give the
// offset of the entry and wrap fault.ErrCorrupt or fault.ErrUnsupported, or
// come from reading the archive.
func (r *Reader) Next() (*Entry, error) {
	start := r.next
	e, err := r.readEntry()
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("entry at %d: %w", start, err)
	}
	return e, err
}

// readEntry reads the headers that describe an entry and the entry.
func (r *Reader) readEntry() (*Entry, error) {
	var local Records
	var longName, longLink string
	for first := true; ; first = false {
		block, err := r.block()
		if err == io.EOF && !first {
			err = cutShort(err)
		}
		if err != nil {
			return nil, err
		}
		if err := checkSum(block); err != nil {
			return nil, err
		}
		h := decodeHeader(block)
		switch h.Typeflag {
		case TypeRecords, TypeSunX:
			local, err = r.records(h)
		case TypeGlobal:
			err = r.addGlobal(h)
		case TypeLongName:
			longName, err = r.longText(h)
		case TypeLongLink:
			longLink, err = r.longText(h)
		case TypeVolume:
			_, err = r.data(h, nil)
		default:
			return r.entry(h, block, longName, longLink, join(r.global, local))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", h.Typeflag, err)
		}
	}
}

// block returns the next block, which is valid until the next call, and io.EOF
// at the end.
func (r *Reader) block() ([]byte, error) {
	if r.next >= r.size {
		return nil, io.EOF
	}
	block, err := r.rawBlock()
	if err == nil && pages.Zero(block) {
		return nil, io.EOF
	}
	return block, err
}

// rawBlock is block inside an entry, where zeros and the end mean nothing
// good.
func (r *Reader) rawBlock() ([]byte, error) {
	if r.size-r.next < BlockSize {
		return nil, cutShort(io.EOF)
	}
	if n, err := r.archive.ReadAt(r.buf[:], r.next); n < BlockSize {
		return nil, cutShort(err)
	}
	r.next += BlockSize
	return r.buf[:], nil
}

// cutShort returns err, or what the end of the archive means inside an entry.
func cutShort(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("archive is cut short: %w", fault.ErrCorrupt)
	}
	return err
}

// checkSum returns an error unless the header's checksum is right. Old
// programs took the bytes as signed.
func checkSum(block []byte) error {
	want, err := number(block[checksumFrom:checksumTo])
	if err != nil {
		return fmt.Errorf("checksum %w", err)
	}
	var unsigned, signed int64
	for i, b := range block {
		if i >= checksumFrom && i < checksumTo {
			b = ' '
		}
		unsigned += int64(b)
		signed += int64(int8(b))
	}
	if want != unsigned && want != signed {
		return fmt.Errorf("checksum does not match: %w", fault.ErrCorrupt)
	}
	return nil
}

// data returns where the data of the header's entry is and moves behind it.
// The padding behind the last one may be missing.
func (r *Reader) data(h *Header, records Records) (span.Span, error) {
	size, err := number(h.Size[:])
	if err != nil {
		return span.Span{}, fmt.Errorf("size: %w", err)
	}
	if err := records.number(keySize, &size); err != nil {
		return span.Span{}, err
	}
	if h.Typeflag.headerOnly() {
		size = 0
	}
	data := span.Span{Offset: r.next, Length: size}
	if err := data.Within(r.size); err != nil {
		return span.Span{}, fmt.Errorf("%w: %w", err, cutShort(io.EOF))
	}
	r.next = r.size
	if data.End() <= r.size-BlockSize {
		r.next = span.AlignUp(data.End(), BlockSize)
	}
	return data, nil
}

// load returns the data of the header's entry.
func (r *Reader) load(h *Header) (string, error) {
	data, err := r.data(h, nil)
	if err != nil {
		return "", err
	}
	if data.Length > recordsMax {
		return "", fmt.Errorf("%d bytes are more than %d: %w", data.Length, recordsMax, fault.ErrUnsupported)
	}
	buf := make([]byte, data.Length)
	if n, err := r.archive.ReadAt(buf, data.Offset); n < len(buf) {
		return "", cutShort(err)
	}
	return string(buf), nil
}

func (r *Reader) longText(h *Header) (string, error) {
	s, err := r.load(h)
	return text([]byte(s)), err
}

func (r *Reader) records(h *Header) (Records, error) {
	s, err := r.load(h)
	if err != nil {
		return nil, err
	}
	return parseRecords(s)
}

func (r *Reader) addGlobal(h *Header) error {
	s, err := r.load(h)
	if err != nil {
		return err
	}
	if r.globals += len(s); r.globals > globalMax {
		return fmt.Errorf("more than %d bytes: %w", globalMax, fault.ErrUnsupported)
	}
	records, err := parseRecords(s)
	if err != nil {
		return err
	}
	r.global = join(r.global, records)
	return nil
}

// entry makes an entry of its header and of what was said about it before.
func (r *Reader) entry(h *Header, block []byte, longName, longLink string, records Records) (*Entry, error) {
	e := &Entry{Name: name(h), Type: h.Typeflag, Linkname: text(h.Linkname[:]), Records: records}
	if longName != "" {
		e.Name = longName
	}
	if longLink != "" {
		e.Linkname = longLink
	}
	records.text(keyPath, &e.Name)
	records.text(keyLinkPath, &e.Linkname)
	if err := e.numbers(h); err != nil {
		return nil, fmt.Errorf("%.200q: %w", e.Name, err)
	}
	if err := r.contents(e, h, block); err != nil {
		return nil, fmt.Errorf("%.200q: %w", e.Name, err)
	}
	records.text(keySparseName, &e.Name)
	return e, e.settle()
}

// settle turns what is only another way to say it into the usual one.
func (e *Entry) settle() error {
	switch {
	case e.Type.regular() && e.Type != TypeSparse && strings.HasSuffix(e.Name, "/"):
		e.Type, e.Size, e.Data = TypeDir, 0, nil // as version 7 wrote them, and GNU tar reads all
	case e.Type.regular():
		e.Type = TypeRegular
	case e.Type == TypeDumpDir:
		e.Type = TypeDir
	case !e.Type.headerOnly():
		return fmt.Errorf("%.200q has %s: %w", e.Name, e.Type, fault.ErrUnsupported)
	}
	return nil
}

// name returns the header's name with its prefix.
func name(h *Header) string {
	base := text(h.Name[:])
	if string(h.Magic[:]) != magicUstar {
		return base
	}
	prefix := h.Prefix[:]
	if string(h.Pad[starTrailer-tailOffset-len(h.Prefix):]) == trailerStar {
		prefix = prefix[:starPrefix]
	}
	if p := text(prefix); p != "" {
		return p + "/" + base
	}
	return base
}

// numbers fills in what the header or the records have as a number.
func (e *Entry) numbers(h *Header) error {
	var mode, uid, gid, sec, major, minor int64
	for _, f := range []struct {
		what  string
		field []byte
		dst   *int64
	}{
		{"mode", h.Mode[:], &mode},
		{"uid", h.UID[:], &uid},
		{"gid", h.GID[:], &gid},
		{"mtime", h.ModTime[:], &sec},
		{"major", h.DevMajor[:], &major},
		{"minor", h.DevMinor[:], &minor},
	} {
		if !h.device() && (f.dst == &major || f.dst == &minor) {
			continue
		}
		var err error
		if *f.dst, err = number(f.field); err != nil {
			return fmt.Errorf("%s: %w", f.what, err)
		}
	}
	if err := e.Records.number(keyUID, &uid); err != nil {
		return err
	}
	if err := e.Records.number(keyGID, &gid); err != nil {
		return err
	}
	for _, n := range []int64{uid, gid, major, minor} {
		if n < 0 || n > math.MaxUint32 {
			return fmt.Errorf("%d is no owner and no device number: %w", n, fault.ErrCorrupt)
		}
	}
	e.Mode = uint32(mode) & 0o7777
	e.UID, e.GID, e.Major, e.Minor = uint32(uid), uint32(gid), uint32(major), uint32(minor)
	return e.modTime(sec)
}

func (h *Header) device() bool { return h.Typeflag == TypeChar || h.Typeflag == TypeBlock }

func (e *Entry) modTime(sec int64) (err error) {
	e.ModTime = time.Unix(sec, 0)
	if s := e.Records[keyModTime]; s != "" {
		if e.ModTime, err = paxTime(s); err != nil {
			return fmt.Errorf("mtime: %w", err)
		}
	}
	return nil
}

// contents finds out where the entry's data is.
func (r *Reader) contents(e *Entry, h *Header, block []byte) error {
	var m ranges
	var size int64
	if h.Typeflag == TypeSparse {
		if string(block[257:265]) != magicGNU {
			return fmt.Errorf("sparse file of a foreign kind: %w", fault.ErrUnsupported)
		}
		var err error
		if m, size, err = r.oldSparse(block); err != nil {
			return err
		}
	}
	data, err := r.data(h, e.Records)
	if err != nil || !h.Typeflag.regular() {
		return err
	}
	switch {
	case h.Typeflag == TypeSparse:
	case e.sparse():
		if m, data, err = r.paxSparse(e.Records, data); err != nil {
			return err
		}
		size = data.Length
		if err := e.Records.number(keySparseSize, &size); err != nil {
			return err
		}
		if err := e.Records.number(keySparseRealSize, &size); err != nil {
			return err
		}
	default:
		m, size = ranges{{Length: data.Length}}, data.Length
	}
	e.Size = size
	e.Data, err = m.pieces(data, size)
	return err
}

// sparse reports whether the records say that the file has holes.
func (e *Entry) sparse() bool {
	_, hasMap := e.Records[keySparseMap]
	return hasMap || e.Records[keySparseMajor] != ""
}
