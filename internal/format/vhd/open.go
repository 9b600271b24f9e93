package vhd

import (
	"fmt"
	"io"
	"slices"

	"sextant/internal/fault"
	"sextant/internal/pages"
	"sextant/internal/span"
)

// Disk is a disk that is open for reading. Goroutines may share it.
type Disk struct {
	r        io.ReaderAt
	fileSize int64
	f        footer
	h        dynamicHeader
	tables   *pages.Cache // block allocation table and bitmaps
}

const (
	tablePage  = 4096
	tablePages = 512
)

// Has reports whether the fileSize bytes of r are a VHD, damaged or not: they
// begin or end with a footer's cookie.
func Has(r io.ReaderAt, fileSize int64) (bool, error) {
	for _, offset := range []int64{0, fileSize - FooterSize, fileSize - oldFooterSize} {
		b := make([]byte, len(Cookie))
		if offset < 0 || offset+int64(len(b)) > fileSize {
			continue
		}
		if _, err := r.ReadAt(b, offset); err != nil && err != io.EOF {
			return false, err
		}
		if string(b) == Cookie {
			return true, nil
		}
	}
	return false, nil
}

// Open opens the disk in the first fileSize bytes of r. What breaks the format
// wraps fault.ErrCorrupt, what is refused wraps fault.ErrUnsupported and says
// why.
func Open(r io.ReaderAt, fileSize int64) (*Disk, error) {
	d := &Disk{r: r, fileSize: fileSize}
	end, err := d.readFooter()
	if err != nil {
		return nil, err
	}
	if err := d.checkFooter(); err != nil {
		return nil, err
	}
	if d.f.Kind == Fixed {
		err = d.checkFixed(end)
	} else {
		err = d.readDynamicHeader()
	}
	if err != nil {
		return nil, err
	}
	d.tables = pages.OfFile(r, fileSize, tablePage, tablePages)
	return d, nil
}

// Size returns the bytes of the disk.
func (d *Disk) Size() int64 { return int64(d.f.CurrentSize) }

// Kind returns whether the disk is fixed or dynamic.
func (d *Disk) Kind() Kind { return d.f.Kind }

func corrupt(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, fault.ErrCorrupt)...)
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, fault.ErrUnsupported)...)
}

// readFooter reads the footer at the end, or its copy at the beginning where
// that is damaged, and returns where the footer at the end begins. Two that do
// not say the same are one too many, as two programs would see two disks.
func (d *Disk) readFooter() (end int64, err error) {
	var found []footer
	end = -1
	for _, offset := range []int64{d.fileSize - FooterSize, d.fileSize - oldFooterSize, 0} {
		f, ok, err := d.footerAt(offset)
		if err != nil {
			return 0, err
		}
		if !ok {
			continue
		}
		if found = append(found, f); end < 0 {
			end = offset
		}
	}
	switch {
	case len(found) == 0:
		return 0, corrupt("no undamaged VHD footer")
	case len(found) > 1 && found[0].identity() != found[1].identity():
		return 0, corrupt("the footer and its copy say different things")
	}
	d.f = found[0]
	return end, nil
}

// identity is what the copies of a footer must have in common.
func (f footer) identity() [6]uint64 {
	return [6]uint64{f.DataOffset, f.CurrentSize, uint64(f.Kind), uint64(f.Version)}
}

// footerAt reads the footer at an offset if there is an undamaged one.
func (d *Disk) footerAt(offset int64) (f footer, ok bool, err error) {
	b := make([]byte, FooterSize)
	length := min(FooterSize, d.fileSize-offset)
	if offset < 0 || length < oldFooterSize {
		return f, false, nil
	}
	if _, err := d.r.ReadAt(b[:length], offset); err != nil && err != io.EOF {
		return f, false, err
	}
	decode(b, &f)
	return f, string(f.Cookie[:]) == Cookie && checksum(b, footerChecksum) == f.Checksum, nil
}

// byGeometry are the programs whose disks have the size of their geometry:
// Virtual PC, Virtual Server, and qemu-img without force_size.
func byGeometry() []string { return []string{"vpc ", "vs  ", "qemu"} }

func (d *Disk) checkFooter() error {
	f := d.f
	creator := string(f.CreatorApplication[:])
	switch {
	case f.Version != version1:
		return unsupported("VHD of version %#x", f.Version)
	case f.Kind == Differencing:
		return unsupported("a differencing VHD, whose parent is in another file; merge them first")
	case f.Kind != Fixed && f.Kind != Dynamic:
		return corrupt("VHD of type %d", f.Kind)
	case f.CurrentSize%SectorSize != 0:
		return corrupt("disk of %d bytes, which are no whole sectors", f.CurrentSize)
	case f.CurrentSize > MaxSize:
		return unsupported("disk of %d bytes, a VHD has at most %d", f.CurrentSize, int64(MaxSize))
	case slices.Contains(byGeometry(), creator):
		return unsupported("the size of this VHD (made by %q) is that of its disk geometry, not its Current Size, so it is no whole number of MiB; "+
			"with qemu-img give -o force_size=on when it is made", creator)
	}
	return nil
}

func (d *Disk) checkFixed(end int64) error {
	if end != d.Size() {
		return corrupt("fixed VHD of %d bytes with its footer at %d", d.Size(), end)
	}
	return nil
}

// readDynamicHeader reads and checks the header that only dynamic disks have.
func (d *Disk) readDynamicHeader() error {
	at := span.Span{Offset: int64(d.f.DataOffset), Length: dynamicHeaderSize}
	if err := at.Within(d.fileSize); err != nil {
		return corrupt("dynamic disk header: %w", err)
	}
	b := make([]byte, dynamicHeaderSize)
	if _, err := d.r.ReadAt(b, at.Offset); err != nil && err != io.EOF {
		return err
	}
	decode(b, &d.h)
	h := d.h
	switch {
	case string(h.Cookie[:]) != dynamicCookie:
		return corrupt("no dynamic disk header at %d", at.Offset)
	case checksum(b, dynamicChecksum) != h.Checksum:
		return corrupt("dynamic disk header: checksum does not match")
	case h.HeaderVersion != version1:
		return unsupported("dynamic disk header of version %#x", h.HeaderVersion)
	case h.BlockSize < SectorSize || h.BlockSize&(h.BlockSize-1) != 0:
		return corrupt("blocks of %d bytes", h.BlockSize)
	case int64(h.MaxTableEntries) < d.blocks():
		return corrupt("table of %d blocks is too short for a disk of %d bytes, which takes %d", h.MaxTableEntries, d.Size(), d.blocks())
	case h.TableOffset%SectorSize != 0:
		return corrupt("block allocation table at %d, which is no multiple of the sector size", h.TableOffset)
	}
	table := span.Span{Offset: int64(h.TableOffset), Length: d.blocks() * 4}
	if err := table.Within(d.fileSize); err != nil {
		return corrupt("block allocation table: %w", err)
	}
	return nil
}

// blocks returns the number of blocks that the disk takes.
func (d *Disk) blocks() int64 {
	return (d.Size() + int64(d.h.BlockSize) - 1) / int64(d.h.BlockSize)
}

// bitmapSize returns the bytes of the bitmap before each block.
func bitmapSize(blockSize int64) int64 {
	return span.AlignUp((blockSize/SectorSize+7)/8, SectorSize)
}
