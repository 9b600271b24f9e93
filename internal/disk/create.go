package disk

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"sextant/internal/atomic"
	"sextant/internal/fault"
	"sextant/internal/format/qcow2"
	"sextant/internal/format/vhd"
	"sextant/internal/format/vhdx"
	"sextant/internal/span"
)

// Options say how a disk is made.
type Options struct {
	Perm fs.FileMode // of the file; zero: 0644

	// Time is what time stamps say; SOURCE_DATE_EPOCH gives the same bytes
	// each time.
	Time time.Time

	// SectorSize of the disk, 512 or 4096; zero: 512. Only raw, qcow2 and
	// vhdx can hold disks with sectors of 4096.
	SectorSize int
}

// Output is a disk that is being made: zeros that can be read and written at
// any place, by one goroutine after the other. It appears under its name with
// Commit; without that it leaves nothing.
type Output struct {
	Format Format

	file *atomic.File
	size int64
	opts Options
	writer
	sum     fingerprint
	flusher flusher
}

// writer is what the writers of the formats have in common. Place says where in
// the file bytes go that the caller will write there; Close writes what makes
// the file a disk image.
type writer interface {
	io.ReaderAt
	io.WriterAt
	Place(p []byte, offset int64) ([]span.Mapped, error)
	Close() error
}

// Create starts a disk of at least size bytes in a file that will be at path.
// Size says how many it has: vhd-fixed rounds up to whole MiB, which Azure
// wants, vhd and vhdx to whole sectors.
func Create(path string, format Format, size int64, opts Options) (*Output, error) {
	if opts.Perm == 0 {
		opts.Perm = 0o644
	}
	if opts.SectorSize == 0 {
		opts.SectorSize = 512
	}
	f, err := atomic.Create(path, opts.Perm)
	if err != nil {
		return nil, err
	}
	o := &Output{Format: format, file: f, size: size, opts: opts, flusher: flusher{file: f.File}}
	if err := o.create(); err != nil {
		f.Discard()
		return nil, fmt.Errorf("create %s: %s: %w", path, format, err)
	}
	return o, nil
}

func (o *Output) create() (err error) {
	if o.size < 0 || o.size > 1<<62 {
		return fmt.Errorf("disk of %d bytes: %w", o.size, fault.ErrUnsupported)
	}
	if o.opts.SectorSize != 512 && (o.Format == VHD || o.Format == VHDFixed) {
		return fmt.Errorf("a disk with sectors of %d bytes, a VHD has sectors of 512; vhdx can hold it: %w", o.opts.SectorSize, fault.ErrUnsupported)
	}
	switch o.Format {
	case Raw:
		o.writer, err = rawOutput{o.file.File, o.size}, o.file.Truncate(o.size)
	case QCOW2:
		o.writer, err = qcow2.Create(o.file, o.size, qcow2.Options{})
	case VHD:
		o.size = span.AlignUp(o.size, vhd.SectorSize)
		o.writer, err = vhd.Create(o.file, o.size, vhd.Options{Kind: vhd.Dynamic, Time: o.opts.Time, Identity: o.vhdIdentity})
	case VHDFixed:
		o.size = span.AlignUp(max(o.size, 1), 1<<20)
		o.writer, err = vhd.Create(o.file, o.size, vhd.Options{Kind: vhd.Fixed, Time: o.opts.Time, Identity: o.vhdIdentity})
	case VHDX:
		o.size = span.AlignUp(o.size, int64(o.opts.SectorSize))
		o.writer, err = vhdx.Create(o.file, o.size, vhdx.Options{SectorSize: int64(o.opts.SectorSize), Identity: o.vhdxIdentity})
	default:
		return fmt.Errorf("format %q: %w", o.Format, fault.ErrUnsupported)
	}
	return err
}

// Size returns the bytes of the disk.
func (o *Output) Size() int64 { return o.size }

// File returns the file of a raw disk, whose bytes are the disk's.
func (o *Output) File() *os.File {
	if o.Format != Raw {
		panic("internal error: a " + string(o.Format) + " is no file with the bytes of the disk")
	}
	return o.file.File
}

// WriteAt is io.WriterAt's.
func (o *Output) WriteAt(p []byte, offset int64) (int, error) {
	o.sum.add(o.checksum(p), span.Span{Offset: offset, Length: int64(len(p))})
	n, err := o.writer.WriteAt(p, offset)
	o.flusher.wrote(int64(n))
	return n, err
}

// write is bytes that go to offset of a disk, with their checksum.
type write struct {
	offset   int64
	bytes    []byte
	checksum uint32
}

// place gives writes their places in the file, and leaves it to the caller to
// carry them out.
func (o *Output) place(list []write) (places []span.Mapped, err error) {
	for _, w := range list {
		o.sum.add(w.checksum, span.Span{Offset: w.offset, Length: int64(len(w.bytes))})
		more, err := o.writer.Place(w.bytes, w.offset)
		if err != nil {
			return nil, err
		}
		places = append(places, more...)
	}
	return places, nil
}

// Commit makes the file whole, brings it to stable storage and gives it its
// name. Nothing can be written after it.
func (o *Output) Commit() error {
	err := o.writer.Close()
	o.flusher.wait()
	if err != nil {
		o.file.Discard()
		return fmt.Errorf("write %s: %s: %w", o.file.Path(), o.Format, err)
	}
	return o.file.Commit()
}

// Discard drops what was written. It does nothing after Commit.
func (o *Output) Discard() {
	o.flusher.wait()
	o.file.Discard()
}

// rawOutput is a disk that is the file.
type rawOutput struct {
	f    *os.File
	size int64
}

func (r rawOutput) ReadAt(p []byte, offset int64) (int, error) { return r.f.ReadAt(p, offset) }

func (r rawOutput) WriteAt(p []byte, offset int64) (int, error) {
	if err := (span.Span{Offset: offset, Length: int64(len(p))}).Within(r.size); err != nil {
		return 0, err
	}
	return r.f.WriteAt(p, offset)
}

func (r rawOutput) Place(p []byte, offset int64) ([]span.Mapped, error) {
	s := span.Span{Offset: offset, Length: int64(len(p))}
	return []span.Mapped{{Span: s, At: offset}}, s.Within(r.size)
}

func (rawOutput) Close() error { return nil }

// fingerprint is a checksum over all writes and their places, in order.
type fingerprint struct {
	mu    sync.Mutex
	sum   uint32
	bytes uint64
}

// checksum returns what add takes; 0 for formats that have no ids.
func (o *Output) checksum(p []byte) uint32 {
	if o.Format == Raw || o.Format == QCOW2 {
		return 0
	}
	return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli))
}

// add adds a write of bytes with a checksum. It is apart from the bytes so that
// checksums can be taken in any order.
func (f *fingerprint) add(checksum uint32, at span.Span) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b [12]byte
	binary.LittleEndian.PutUint64(b[:], uint64(at.Offset))
	binary.LittleEndian.PutUint32(b[8:], checksum)
	f.sum = crc32.Update(f.sum, crc32.MakeTable(crc32.Castagnoli), b[:])
	f.bytes += uint64(at.Length)
}

// identity returns an id that depends on what was written, the size, the time
// and what it is for, in the form of a UUID (RFC 9562, version 8).
func (o *Output) identity(what string) (id [16]byte) {
	o.sum.mu.Lock()
	defer o.sum.mu.Unlock()
	text := fmt.Sprintf("sextant disk %s %s %d %d %08x %d", o.Format, what, o.size, o.opts.Time.Unix(), o.sum.sum, o.sum.bytes)
	hash := sha256.Sum256([]byte(text))
	copy(id[:], hash[:])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

func (o *Output) vhdIdentity() [16]byte { return o.identity("disk") }

func (o *Output) vhdxIdentity(what string) vhdx.GUID { return o.identity(what) }
