package vhdx

import (
	"encoding/binary"
	"fmt"
	"io"

	"sextant/internal/fault"
	"sextant/internal/pages"
	"sextant/internal/span"
)

// Disk is a disk that is open for reading. Goroutines may share it.
type Disk struct {
	r        io.ReaderAt // the file as the log makes it
	fileSize int64       // also
	replayed bool        // the log had something in it

	header   header
	regions  []span.Span // which no payload block may touch, the first MiB and the log among them
	bat      span.Span
	metadata span.Span

	parameters fileParameters
	size       int64
	sectorSize int64
	tables     *pages.Cache // the BAT
}

const (
	tablePage  = 4096
	tablePages = 512
)

// Open opens the disk in the first fileSize bytes of r. What breaks the format
// wraps fault.ErrCorrupt, what is refused wraps fault.ErrUnsupported and says
// why.
func Open(r io.ReaderAt, fileSize int64) (*Disk, error) {
	d := &Disk{r: r, fileSize: fileSize}
	for _, step := range []func() error{d.readHeaders, d.replayLog, d.readRegions, d.readMetadata, d.checkBAT} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	d.tables = pages.OfFile(d.r, d.fileSize, tablePage, tablePages)
	return d, nil
}

// Size returns the bytes of the disk.
func (d *Disk) Size() int64 { return d.size }

// SectorSize returns the bytes of a logical sector, 512 or 4096.
func (d *Disk) SectorSize() int64 { return d.sectorSize }

// Fixed reports whether all blocks are to be in the file.
func (d *Disk) Fixed() bool { return d.parameters.Flags&leaveBlocksAllocated != 0 }

func corrupt(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, fault.ErrCorrupt)...)
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, fault.ErrUnsupported)...)
}

// read reads bytes that must be in the file.
func (d *Disk) read(what string, at span.Span) ([]byte, error) {
	if err := at.Within(d.fileSize); err != nil {
		return nil, corrupt("%s: %w", what, err)
	}
	b := make([]byte, at.Length)
	if _, err := pages.ReadFull(d.r, b, at.Offset); err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return b, nil
}

// readHeaders finds the header that counts.
func (d *Disk) readHeaders() error {
	id, err := d.read("file identifier", span.Span{Length: int64(len(Signature))})
	if err != nil {
		return err
	}
	if string(id) != Signature {
		return corrupt("no VHDX file identifier")
	}
	first, ok1, err := d.readHeader(header1At)
	if err != nil {
		return err
	}
	second, ok2, err := d.readHeader(header2At)
	if err != nil {
		return err
	}
	switch {
	case !ok1 && !ok2:
		return corrupt("both headers are damaged")
	case ok1 && ok2 && first.SequenceNumber == second.SequenceNumber && first != second:
		return corrupt("two headers with the sequence number %d", first.SequenceNumber)
	case !ok2 || ok1 && first.SequenceNumber >= second.SequenceNumber:
		d.header = first
	default:
		d.header = second
	}
	return d.checkHeader()
}

func (d *Disk) readHeader(offset int64) (h header, ok bool, err error) {
	b, err := d.read("header", span.Span{Offset: offset, Length: headerSize})
	if err != nil {
		return h, false, err
	}
	decode(b, &h)
	ok = string(h.Signature[:]) == "head" && checksum(b) == h.Checksum
	h.Checksum = 0 // reserved bytes may differ
	return h, ok, nil
}

func (d *Disk) checkHeader() error {
	h := d.header
	log := span.Span{Offset: int64(h.LogOffset), Length: int64(h.LogLength)}
	switch {
	case h.Version != 1:
		return unsupported("VHDX of version %d", h.Version)
	case h.LogVersion != 0:
		return unsupported("VHDX log of version %d", h.LogVersion)
	case h.LogOffset < align || h.LogOffset%align != 0 || h.LogLength%align != 0:
		return corrupt("log at %s, which is not in whole MiB behind the first", log)
	}
	if err := log.Within(d.fileSize); err != nil {
		return corrupt("log: %w", err)
	}
	d.regions = []span.Span{{Length: align}, log}
	return nil
}

// readRegions finds the regions of BAT and metadata.
func (d *Disk) readRegions() error {
	table, err := d.regionTable()
	if err != nil {
		return err
	}
	var h regionHeader
	decode(table, &h)
	if h.EntryCount > maxRegions {
		return corrupt("region table of %d entries", h.EntryCount)
	}
	for i := range int(h.EntryCount) {
		var e regionEntry
		decode(table[16+i*32:], &e)
		if err := d.addRegion(e); err != nil {
			return fmt.Errorf("region %d: %w", i+1, err)
		}
	}
	if d.bat.Length == 0 || d.metadata.Length == 0 {
		return corrupt("no region for the BAT or none for the metadata")
	}
	return nil
}

// regionTable returns the first region table that is not damaged.
func (d *Disk) regionTable() ([]byte, error) {
	for _, offset := range []int64{regionTable1At, regionTable2At} {
		b, err := d.read("region table", span.Span{Offset: offset, Length: regionTable})
		if err != nil {
			return nil, err
		}
		var h regionHeader
		decode(b, &h)
		if string(h.Signature[:]) == "regi" && checksum(b) == h.Checksum {
			return b, nil
		}
	}
	return nil, corrupt("both region tables are damaged")
}

func (d *Disk) addRegion(e regionEntry) error {
	at := span.Span{Offset: int64(e.Offset), Length: int64(e.Length)}
	if at.Offset < align || at.Offset%align != 0 || at.Length%align != 0 || at.Length == 0 {
		return corrupt("bytes %s are not in whole MiB behind the first", at)
	}
	if err := at.Within(d.fileSize); err != nil {
		return corrupt("%w", err)
	}
	for _, other := range d.regions {
		if at.Overlaps(other) {
			return corrupt("bytes %s overlap %s", at, other)
		}
	}
	d.regions = append(d.regions, at)
	known := map[guid]*span.Span{batRegion(): &d.bat, metadataRegion(): &d.metadata}[e.GUID]
	switch {
	case known == nil && e.Required&1 != 0:
		return unsupported("a required region that is not known")
	case known == nil:
		return nil
	case known.Length != 0:
		return corrupt("the same region twice")
	}
	*known = at
	return nil
}

// readMetadata reads the metadata items.
func (d *Disk) readMetadata() error {
	b, err := d.read("metadata table", span.Span{Offset: d.metadata.Offset, Length: metadataTable})
	if err != nil {
		return err
	}
	var h metadataHeader
	decode(b, &h)
	if string(h.Signature[:]) != "metadata" || h.EntryCount > maxItems {
		return corrupt("no metadata table")
	}
	found := make(map[guid]metadataEntry)
	for i := range int(h.EntryCount) {
		var e metadataEntry
		decode(b[32+i*32:], &e)
		_, twice := found[e.Item]
		switch {
		case e.Flags&itemUser == 0 && twice:
			return corrupt("the same metadata item twice")
		case !knownItem(e.Item) && e.Flags&itemRequired != 0:
			return unsupported("a required metadata item that is not known")
		}
		if e.Flags&itemUser == 0 {
			found[e.Item] = e
		}
	}
	return d.readItems(found)
}

func knownItem(item guid) bool {
	switch item {
	case fileParametersItem(), diskSizeItem(), diskIDItem(), logicalSectorItem(), physicalSectorItem(), parentLocatorItem():
		return true
	}
	return false
}

// readItems reads the items that say what the disk is.
func (d *Disk) readItems(found map[guid]metadataEntry) error {
	parameters, err := d.item(found, "file parameters", fileParametersItem(), 8)
	if err != nil {
		return err
	}
	decode(parameters, &d.parameters)
	size, err := d.item(found, "disk size", diskSizeItem(), 8)
	if err != nil {
		return err
	}
	sector, err := d.item(found, "logical sector size", logicalSectorItem(), 4)
	if err != nil {
		return err
	}
	d.size, d.sectorSize = int64(binary.LittleEndian.Uint64(size)), int64(binary.LittleEndian.Uint32(sector))
	block := d.parameters.BlockSize
	switch {
	case d.parameters.Flags&hasParent != 0:
		return unsupported("a differencing VHDX, whose parent is in another file; merge them first")
	case block < MinBlockSize || block > MaxBlockSize || block&(block-1) != 0:
		return corrupt("blocks of %d bytes", block)
	case d.sectorSize != 512 && d.sectorSize != 4096:
		return corrupt("sectors of %d bytes", d.sectorSize)
	case d.size < 0 || d.size > MaxSize:
		return corrupt("disk of %d bytes, a VHDX has at most %d", uint64(d.size), int64(MaxSize))
	case d.size%d.sectorSize != 0:
		return corrupt("disk of %d bytes, which are no whole sectors of %d", d.size, d.sectorSize)
	}
	return nil
}

func (d *Disk) item(found map[guid]metadataEntry, what string, item guid, length int64) ([]byte, error) {
	e, ok := found[item]
	at := span.Span{Offset: int64(e.Offset), Length: int64(e.Length)}
	switch {
	case !ok:
		return nil, corrupt("no metadata item for the %s", what)
	case at.Length != length || at.Offset < metadataTable:
		return nil, corrupt("%s: %d bytes at %d of the metadata", what, at.Length, at.Offset)
	}
	if err := at.Within(d.metadata.Length); err != nil {
		return nil, corrupt("%s: %w", what, err)
	}
	at.Offset += d.metadata.Offset
	return d.read(what, at)
}

// blockSize returns the bytes of a payload block.
func (d *Disk) blockSize() int64 { return int64(d.parameters.BlockSize) }

// chunkRatio returns the number of payload blocks in a chunk.
func chunkRatio(blockSize, sectorSize int64) int64 { return sectorsPerChunk * sectorSize / blockSize }

// batEntries returns the number of BAT entries that a disk needs: its payload
// blocks, and a sector bitmap block behind each full chunk but the last.
func batEntries(size, blockSize, sectorSize int64) int64 {
	blocks := (size + blockSize - 1) / blockSize
	if blocks == 0 {
		return 0
	}
	return blocks + (blocks-1)/chunkRatio(blockSize, sectorSize)
}

// batIndex returns where in the BAT the entry of a payload block is.
func batIndex(block, blockSize, sectorSize int64) int64 {
	return block + block/chunkRatio(blockSize, sectorSize)
}

func (d *Disk) checkBAT() error {
	need := batEntries(d.size, d.blockSize(), d.sectorSize)
	if need*8 > d.bat.Length {
		return corrupt("BAT of %d bytes is too short for %d entries", d.bat.Length, need)
	}
	return nil
}
