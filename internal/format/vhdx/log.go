package vhdx

import (
	stdbytes "bytes"
	"encoding/binary"
	"hash/crc32"
	"io"

	"sextant/internal/pages"
	"sextant/internal/span"
)

// maxPatches bounds what the log can make a reader keep, at 256 MiB of log
// that was not carried out. Hyper-V's logs have 1 MiB.
const maxPatches = 1 << 16

// log is the ring of log entries.
type log struct {
	r    io.ReaderAt
	at   span.Span
	guid guid
}

// sequence is a row of entries with rising sequence numbers.
type sequence struct {
	entries []logEntry
}

// logEntry is a valid entry.
type logEntry struct {
	logHeader
	at int64 // in the log
}

// replayLog makes d.r read what the file would hold after the log was carried
// out.
func (d *Disk) replayLog() error {
	if d.header.LogGUID == (guid{}) {
		return nil
	}
	l := log{d.r, d.regions[1], d.header.LogGUID}
	if l.at.Length == 0 {
		return corrupt("the log is in use but has no room")
	}
	active, err := l.active()
	if err != nil {
		return err
	}
	if len(active.entries) == 0 {
		return corrupt("the log is in use but holds no valid entry; qemu-img check -r all repairs what it can")
	}
	last := active.entries[len(active.entries)-1]
	if last.FlushedFileOffset > uint64(d.fileSize) {
		return corrupt("file has %d bytes, by its log it had %d", d.fileSize, last.FlushedFileOffset)
	}
	if last.LastFileOffset > 1<<62 {
		return corrupt("log asks for a file of %d bytes", last.LastFileOffset)
	}
	p := &patched{r: d.r, size: d.fileSize}
	for _, e := range active.entries {
		if err := p.add(l, e); err != nil {
			return err
		}
	}
	d.r, d.fileSize, d.replayed = p, max(d.fileSize, int64(last.LastFileOffset)), true
	return nil
}

// active finds the sequence of entries that counts (section 2.3.2): the one
// that ends with the largest sequence number, from the entry on that its last
// entry calls the tail.
func (l log) active() (best sequence, err error) {
	for tail := int64(0); ; {
		s, err := l.sequence(tail)
		if err != nil {
			return best, err
		}
		next := tail + logSector
		if n := len(s.entries); n > 0 {
			last := s.entries[n-1]
			next = last.at + int64(last.EntryLength)
			wrapped := next > l.at.Length || last.at < tail
			if s.cut() && (len(best.entries) == 0 || last.SequenceNumber > best.entries[len(best.entries)-1].SequenceNumber) {
				best = s
			}
			if wrapped {
				return best, nil
			}
		}
		if tail = next; tail >= l.at.Length {
			return best, nil
		}
	}
}

// cut drops the entries before the tail. It reports whether the tail is in the
// sequence.
func (s *sequence) cut() bool {
	tail := int64(s.entries[len(s.entries)-1].Tail)
	for i, e := range s.entries {
		if e.at == tail {
			s.entries = s.entries[i:]
			return true
		}
	}
	return false
}

// sequence returns the valid entries from an offset of the log on.
func (l log) sequence(at int64) (s sequence, err error) {
	for first := at; ; {
		e, ok, err := l.entry(at)
		if err != nil || !ok {
			return s, err
		}
		if n := len(s.entries); n > 0 && e.SequenceNumber != s.entries[n-1].SequenceNumber+1 {
			return s, nil
		}
		if len(s.entries) == maxPatches {
			return s, unsupported("log of more than %d entries", maxPatches)
		}
		s.entries = append(s.entries, e)
		at = (at + int64(e.EntryLength)) % l.at.Length
		if at == first {
			return s, nil
		}
	}
}

// sector reads the 4 KiB at an offset that counts on around the ring.
func (l log) sector(b []byte, at int64) error {
	_, err := pages.ReadFull(l.r, b, l.at.Offset+at%l.at.Length)
	return err
}

// entry reads the entry at an offset of the log if it is valid. It reads no
// more than the first sector that does not fit.
func (l log) entry(at int64) (e logEntry, ok bool, err error) {
	b := make([]byte, logSector)
	if err := l.sector(b, at); err != nil {
		return e, false, err
	}
	decode(b, &e.logHeader)
	e.at = at
	length := int64(e.EntryLength)
	switch {
	case string(e.Signature[:]) != "loge", e.LogGUID != l.guid, e.SequenceNumber == 0:
		return e, false, nil
	case length == 0, length%logSector != 0, length > l.at.Length, e.dataAt() > length:
		return e, false, nil
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	clear(b[checksumAt : checksumAt+4])
	sum := crc32.Checksum(b, table)
	data := int64(0) // sectors that the descriptors announce
	for offset := int64(0); offset < length; offset += logSector {
		if offset > 0 {
			if err := l.sector(b, at+offset); err != nil {
				return e, false, err
			}
			sum = crc32.Update(sum, table, b)
		}
		switch {
		case offset < e.dataAt():
			n, ok := e.checkDescriptors(b, offset)
			if data += n; !ok {
				return e, false, nil
			}
		case e.dataAt()+data*logSector != length || !e.isData(b):
			return e, false, nil
		}
	}
	return e, e.dataAt()+data*logSector == length && sum == e.Checksum, nil
}

// dataAt returns where in the entry the data sectors begin.
func (e logEntry) dataAt() int64 {
	sectors := (int64(e.DescriptorCount) + moreDescriptors - firstDescriptors + moreDescriptors - 1) / moreDescriptors
	return max(1, sectors) * logSector
}

// descriptors calls f for the descriptors in the sector at an offset of the
// entry, until f returns false.
func (e logEntry) descriptors(sector []byte, offset int64, f func(descriptor) bool) bool {
	before := offset/logSector*moreDescriptors - (moreDescriptors - firstDescriptors)
	if offset == 0 {
		before, sector = 0, sector[logHeaderSize:]
	}
	for ; len(sector) > 0 && before < int64(e.DescriptorCount); before++ {
		var d descriptor
		decode(sector, &d)
		if sector = sector[descriptorSize:]; !f(d) {
			return false
		}
	}
	return true
}

// checkDescriptors checks the descriptors of a sector and counts those that
// announce data.
func (e logEntry) checkDescriptors(sector []byte, offset int64) (data int64, ok bool) {
	ok = e.descriptors(sector, offset, func(d descriptor) bool {
		kind := string(d.Signature[:])
		if kind == "desc" {
			data++
		}
		return (kind == "desc" || kind == "zero" && d.zeroLength()%logSector == 0) &&
			d.SequenceNumber == e.SequenceNumber && d.FileOffset%logSector == 0
	})
	return data, ok
}

func (d descriptor) zeroLength() uint64 { return binary.LittleEndian.Uint64(d.LeadingBytes[:]) }

// isData reports whether a sector is a data sector of the entry
// (section 2.3.1.4).
func (e logEntry) isData(b []byte) bool {
	high, low := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[logSector-4:])
	return string(b[:4]) == "data" && uint64(high)<<32|uint64(low) == e.SequenceNumber
}

// patched is a file with changes that are not in it.
type patched struct {
	r       io.ReaderAt
	size    int64 // behind which it is zero
	patches []patch
}

// patch is bytes that are zero or one sector of data.
type patch struct {
	span.Span
	data  int64 // where the data sector is in the file, 0 for zeros
	lead  [logDataLead]byte
	trail [logDataTrail]byte
}

// add adds what a log entry says.
func (p *patched) add(l log, e logEntry) error {
	b := make([]byte, logSector)
	data := e.at + e.dataAt()
	for offset := int64(0); offset < e.dataAt(); offset += logSector {
		if err := l.sector(b, e.at+offset); err != nil {
			return err
		}
		fits := e.descriptors(b, offset, func(d descriptor) bool {
			next := patch{Span: span.Span{Offset: int64(d.FileOffset), Length: int64(d.zeroLength())}}
			if string(d.Signature[:]) == "desc" {
				next.Length, next.lead, next.trail = logSector, d.LeadingBytes, d.TrailingBytes
				next.data = l.at.Offset + data%l.at.Length
				data += logSector
			}
			p.patches = append(p.patches, next)
			return next.Within(1<<62) == nil && len(p.patches) <= maxPatches
		})
		if !fits {
			return unsupported("log of more than %d changes, or one outside of any file", maxPatches)
		}
	}
	return nil
}

// ReadAt is io.ReaderAt's. There is no end.
func (p *patched) ReadAt(b []byte, offset int64) (int, error) {
	clear(b)
	if offset < p.size {
		want := b[:min(int64(len(b)), p.size-offset)]
		if n, err := pages.ReadFull(p.r, want, offset); err != nil {
			return n, err
		}
	}
	all := span.Span{Offset: offset, Length: int64(len(b))}
	for _, change := range p.patches {
		if !change.Overlaps(all) {
			continue
		}
		from, to := max(change.Offset, offset), min(change.End(), all.End())
		if err := p.apply(b[from-offset:to-offset], change, from-change.Offset); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// apply fills b with the bytes of a patch from within on.
func (p *patched) apply(b []byte, change patch, within int64) error {
	if change.data == 0 {
		clear(b)
		return nil
	}
	sector := make([]byte, logSector)
	if _, err := pages.ReadFull(p.r, sector, change.data); err != nil {
		return err
	}
	sector = stdbytes.Join([][]byte{change.lead[:], sector[logDataLead : logSector-logDataTrail], change.trail[:]}, nil)
	copy(b, sector[within:])
	return nil
}
