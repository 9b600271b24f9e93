package tar

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sextant/internal/tree"
)

// The names in headers whose real name stands in a record.
const (
	recordsName = "././@PaxHeader"
	longName    = "././@LongName"
	sparseName  = "./GNUSparseFile.0/file"
)

// outEntry is an entry to be written: the fields of its header, and the records
// for what these cannot hold.
type outEntry struct {
	h       Header
	name    string
	records []byte
}

func newEntry(name string, flag Typeflag, node *tree.Inode) *outEntry {
	e := &outEntry{h: Header{Typeflag: flag}, name: name}
	copy(e.h.Magic[:], magicUstar)
	copy(e.h.Version[:], "00")
	octal(e.h.Mode[:], int64(node.Mode.Perm()))
	e.number(e.h.UID[:], keyUID, int64(node.UID))
	e.number(e.h.GID[:], keyGID, int64(node.GID))
	octal(e.h.Size[:], 0)
	e.modTime(node.ModTime)
	if node.Mode.IsDevice() && flag != TypeLink {
		deviceNumber(e.h.DevMajor[:], node.Device.Major)
		deviceNumber(e.h.DevMinor[:], node.Device.Minor)
	}
	return e
}

// linkTo sets the target of a link and returns the entry.
func (e *outEntry) linkTo(target string) *outEntry {
	e.text(e.h.Linkname[:], keyLinkPath, target, longName)
	return e
}

func (e *outEntry) size(n int64) { e.number(e.h.Size[:], keySize, n) }

// holes says that the data begins with a map. The name moves to a record of its
// own, so that a program that knows no sparse files does not take the data for
// the file.
func (e *outEntry) holes(size int64) {
	e.record(keySparseMajor, "1")
	e.record(keySparseMinor, "0")
	e.record(keySparseName, e.name)
	e.record(keySparseRealSize, strconv.FormatInt(size, 10))
	e.name = sparseName
}

func (e *outEntry) xattrs(node *tree.Inode) {
	for _, x := range node.Xattrs {
		e.record("SCHILY.xattr."+escapeKey(x.Name), string(x.Value))
	}
}

// escapeKey writes "=", which would end the key, as GNU tar does (its
// src/xheader.c).
func escapeKey(name string) string {
	return strings.NewReplacer("%", "%25", "=", "%3D").Replace(name)
}

// modTime sets the time: in the header whole seconds that fit, in a record all
// others.
func (e *outEntry) modTime(t time.Time) {
	sec := t.Unix()
	octal(e.h.ModTime[:], min(max(sec, 0), octalMax(len(e.h.ModTime))))
	if t.Nanosecond() != 0 || sec < 0 || sec > octalMax(len(e.h.ModTime)) {
		e.record(keyModTime, formatTime(t))
	}
}

// formatTime writes a time as pax does, without zeros at the end.
func formatTime(t time.Time) string {
	sec, nsec, sign := t.Unix(), int64(t.Nanosecond()), ""
	if sec < 0 {
		sign = "-"
		if sec = -sec; nsec > 0 {
			sec, nsec = sec-1, 1_000_000_000-nsec
		}
	}
	text := fmt.Sprintf("%s%d.%09d", sign, sec, nsec)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}

// text puts a name into its field, or into a record where it is too long for
// that.
func (e *outEntry) text(field []byte, key, value, instead string) {
	if len(value) <= len(field) {
		copy(field, value)
		return
	}
	copy(field, instead)
	e.record(key, value)
}

// number puts a number into its field, or into a record where it is too large
// for that.
func (e *outEntry) number(field []byte, key string, n int64) {
	if n <= octalMax(len(field)) {
		octal(field, n)
		return
	}
	octal(field, 0)
	e.record(key, strconv.FormatInt(n, 10))
}

// deviceNumber puts a number into a field for which there is no record: in
// base 256 if it is too large for digits.
func deviceNumber(field []byte, n uint32) {
	if int64(n) <= octalMax(len(field)) {
		octal(field, int64(n))
		return
	}
	clear(field)
	field[0] = 0x80
	binary.BigEndian.PutUint32(field[len(field)-4:], n)
}

// octalMax returns the largest number for a field: a digit is three bits, and
// the last byte is a NUL.
func octalMax(length int) int64 { return 1<<(3*(length-1)) - 1 }

func octal(field []byte, n int64) {
	copy(field, fmt.Sprintf("%0*o\x00", len(field)-1, n))
}

// record adds "LENGTH KEY=VALUE\n", in which the length counts its own digits.
func (e *outEntry) record(key, value string) {
	rest := len(" ") + len(key) + len("=") + len(value) + len("\n")
	length := rest
	for length != rest+len(strconv.Itoa(length)) {
		length = rest + len(strconv.Itoa(length))
	}
	e.records = fmt.Appendf(e.records, "%d %s=%s\n", length, key, value)
}

// header writes the records, if there are any, and the header.
func (a *archiver) header(e *outEntry) error {
	e.text(e.h.Name[:], keyPath, e.name, longName)
	if len(e.records) > 0 {
		if err := a.records(e.records); err != nil {
			return err
		}
	}
	return a.write(e.h.encode())
}

// records writes the entry that holds the records of the one that follows.
func (a *archiver) records(records []byte) error {
	x := newEntry(recordsName, TypeRecords, &tree.Inode{Mode: 0o644, ModTime: time.Unix(0, 0)})
	copy(x.h.Name[:], x.name)
	octal(x.h.Size[:], int64(len(records)))
	if err := a.write(x.h.encode()); err != nil {
		return err
	}
	if err := a.write(records); err != nil {
		return err
	}
	return a.pad(BlockSize)
}

// encode returns the block with its checksum: six digits, a NUL and a space.
func (h *Header) encode() []byte {
	copy(h.Checksum[:], "        ")
	block, err := binary.Append(nil, binary.LittleEndian, h)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[checksumFrom:checksumTo], fmt.Sprintf("%06o\x00 ", sum))
	return block
}
