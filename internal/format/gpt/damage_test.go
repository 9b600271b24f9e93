package gpt_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/fault"
	"sextant/internal/format/gpt"
)

// editHeader changes a header and makes its checksum right again.
func editHeader(image memory, offset int64, edit func(h []byte)) {
	h := image[offset:][:512]
	edit(h)
	size := binary.LittleEndian.Uint32(h[12:])
	if size < 92 || size > 512 {
		size = 92
	}
	copy(h[16:20], []byte{0, 0, 0, 0})
	binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h[:size]))
}

// editEntries changes the entries of both copies and makes all checksums right
// again.
func editEntries(image memory, edit func(entries []byte)) {
	last := int64(len(image)) - 512
	for _, c := range []struct{ header, entries int64 }{{512, 1024}, {last, last - 16384}} {
		entries := image[c.entries:][:16384]
		edit(entries)
		editHeader(image, c.header, func(h []byte) {
			binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(entries))
		})
	}
}

func put32(at int, v uint32) func([]byte) {
	return func(b []byte) { binary.LittleEndian.PutUint32(b[at:], v) }
}

func put64(at int, v uint64) func([]byte) {
	return func(b []byte) { binary.LittleEndian.PutUint64(b[at:], v) }
}

func TestProblems(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(m memory)
		place  gpt.Place
		text   string
	}{
		"no MBR":                {func(m memory) { clear(m[:512]) }, gpt.PlaceMBR, "no signature"},
		"no protective record":  {func(m memory) { m[446+4] = 0x83 }, gpt.PlaceMBR, "no protective record;"},
		"two protective":        {func(m memory) { copy(m[462:478], m[446:462]) }, gpt.PlaceMBR, "2 protective records"},
		"hybrid MBR":            {func(m memory) { m[462+4] = 0x0C }, gpt.PlaceMBR, "record 2 of type 0x0c, a hybrid"},
		"bootable":              {func(m memory) { m[446] = 0x80 }, gpt.PlaceMBR, "boot indicator"},
		"MBR starts at 2":       {func(m memory) { m[446+8] = 2 }, gpt.PlaceMBR, "begins at LBA 2"},
		"MBR covers too little": {func(m memory) { m[446+12]-- }, gpt.PlaceMBR, "covers 2255 sectors"},
		"primary signature":     {func(m memory) { m[512] = 'e' }, gpt.PlacePrimary, "no signature"},
		"primary wiped":         {func(m memory) { clear(m[512:1024]) }, gpt.PlacePrimary, "no signature"},
		"primary revision":      {func(m memory) { m[512+10] = 2 }, gpt.PlacePrimary, "revision"},
		"primary checksum":      {func(m memory) { m[512+16]++ }, gpt.PlacePrimary, "checksum"},
		"primary header size":   {func(m memory) { editHeader(m, 512, put32(12, 513)) }, gpt.PlacePrimary, "header size 513"},
		"primary LBA":           {func(m memory) { editHeader(m, 512, put64(24, 2)) }, gpt.PlacePrimary, "claims to be at LBA 2"},
		"primary entries":       {func(m memory) { m[1024]++ }, gpt.PlacePrimaryEntries, "checksum"},
		"first usable":          {func(m memory) { editHeader(m, 512, put64(40, 1)) }, gpt.PlacePrimary, "usable range"},
		"last usable":           {func(m memory) { editHeader(m, 512, put64(48, 1<<63)) }, gpt.PlacePrimary, "usable range"},
		"usable upside down":    {func(m memory) { editHeader(m, 512, put64(40, 3000)) }, gpt.PlacePrimary, "usable range"},
		"entries far away":      {func(m memory) { editHeader(m, 512, put64(72, 1<<62)) }, gpt.PlacePrimary, "outside the image"},
		"entries at the end":    {func(m memory) { editHeader(m, 512, put64(72, 2256)) }, gpt.PlacePrimary, "lie outside"},
		"entries in usable":     {func(m memory) { editHeader(m, 512, put64(72, 34)) }, gpt.PlacePrimary, "in the usable range"},
		"entries on the header": {func(m memory) { editHeader(m, 512, put64(72, 1)) }, gpt.PlacePrimary, "on a header"},
		"entry size":            {func(m memory) { editHeader(m, 512, put32(84, 129)) }, gpt.PlacePrimary, "entry size 129"},
		"entry size zero":       {func(m memory) { editHeader(m, 512, put32(84, 0)) }, gpt.PlacePrimary, "entry size 0"},
		"too many entries":      {func(m memory) { editHeader(m, 512, put32(80, 1<<31)) }, gpt.PlacePrimary, "unsupported"},
		"reserved":              {func(m memory) { editHeader(m, 512, put32(20, 1)) }, gpt.PlacePrimary, "reserved"},
		"behind the header":     {func(m memory) { m[1023] = 1 }, gpt.PlacePrimary, "behind the header"},
		"backup position":       {func(m memory) { editHeader(m, 512, put64(32, 2255)) }, gpt.PlacePrimary, "said to be at LBA 2255"},
		"backup wiped":          {func(m memory) { clear(m[len(m)-512:]) }, gpt.PlaceBackup, "no signature"},
		"backup entries":        {func(m memory) { m[len(m)-512-16384]++ }, gpt.PlaceBackupEntries, "checksum"},
		"backup points away":    {func(m memory) { editHeader(m, int64(len(m)-512), put64(32, 7)) }, gpt.PlaceBackup, "position of the other header"},
		"backup GUID":           {func(m memory) { editHeader(m, int64(len(m)-512), func(h []byte) { h[60]++ }) }, gpt.PlaceBackup, "disk GUID"},
		"other entries":         {otherEntries, gpt.PlaceBackup, "entries differs"},
		"name":                  {func(m memory) { editEntries(m, func(e []byte) { e[57] = 0xD8 }) }, gpt.PlacePartition, "UTF-16"},
		"same UUID":             {func(m memory) { editEntries(m, func(e []byte) { copy(e[128+16:128+32], e[16:32]) }) }, gpt.PlacePartition, "has the UUID of partition 1"},
		"overlap":               {func(m memory) { editEntries(m, func(e []byte) { put64(128+32, 2175)(e) }) }, gpt.PlacePartition, "overlaps partition 1"},
		"overlap of the third":  {func(m memory) { editEntries(m, func(e []byte) { put64(40, 2200)(e); put64(128+40, 2180)(e) }) }, gpt.PlacePartition, "overlaps partition 1"},
		"partition outside":     {func(m memory) { editEntries(m, func(e []byte) { put64(40, 1<<63)(e) }) }, gpt.PlacePartition, "left out"},
		"partition in table":    {func(m memory) { editEntries(m, func(e []byte) { put64(32, 33)(e) }) }, gpt.PlacePartition, "left out"},
		"partition turned":      {func(m memory) { editEntries(m, func(e []byte) { put64(32, 2176)(e) }) }, gpt.PlacePartition, "left out"},
	} {
		image, _ := signedImage(t, 512)
		test.damage(image)
		table, problems, err := gpt.Read(image, int64(len(image)))
		if err != nil {
			t.Errorf("%s: Read = %v", name, err)
			continue
		}
		first := gpt.Problem{}
		if len(problems) > 0 {
			first = problems[0]
		}
		if first.Place != test.place || !strings.Contains(first.Text, test.text) {
			t.Errorf("%s: first problem is %q, want %s: %s", name, first, test.place, test.text)
		}
		if !errors.Is(gpt.Err(problems), fault.ErrCorrupt) {
			t.Errorf("%s: Err(problems) = %v", name, gpt.Err(problems))
		}
		for _, p := range table.Partitions {
			if err := table.Span(p).Within(int64(len(image))); err != nil {
				t.Errorf("%s: partition %d: %v", name, p.Number, err)
			}
		}
		if err := gpt.Describe(io.Discard, image, int64(len(image))); err != nil {
			t.Errorf("%s: Describe = %v", name, err)
		}
	}
}

// otherEntries makes the backup valid but different.
func otherEntries(m memory) {
	last := int64(len(m)) - 512
	entries := m[last-16384:][:16384]
	entries[48]++
	editHeader(m, last, put32(88, crc32.ChecksumIEEE(entries)))
}

// TestEveryFlippedByteIsFound changes each byte of the MBR's records, of both
// headers and of all entries.
func TestEveryFlippedByteIsFound(t *testing.T) {
	image, want := signedImage(t, 512)
	last := len(image) - 512
	check := func(from, to int) {
		for i := from; i < to; i++ {
			image[i] ^= 0x21
			got, problems, err := gpt.Read(image, int64(len(image)))
			if err != nil || len(problems) == 0 {
				t.Fatalf("flipped byte %d: Read = %v, %v", i, problems, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("flipped byte %d (-want +got):\n%s", i, diff)
			}
			image[i] ^= 0x21
		}
	}
	check(446+8, 512) // all but boot code and CHS addresses
	check(512, 1024+4*128)
	check(last-16384, last-16384+4*128)
	check(last, len(image))
}

func TestBothCopiesDamaged(t *testing.T) {
	image, _ := signedImage(t, 512)
	image[1024]++
	image[len(image)-512-16384]++
	if _, _, err := gpt.Read(image, int64(len(image))); !errors.Is(err, fault.ErrCorrupt) || errors.Is(err, gpt.ErrNoTable) {
		t.Errorf("Read = %v, want %v", err, fault.ErrCorrupt)
	}
	clear(image[512:1024])
	clear(image[len(image)-512:])
	if _, _, err := gpt.Read(image, int64(len(image))); !errors.Is(err, gpt.ErrNoTable) {
		t.Errorf("Read = %v, want %v", err, gpt.ErrNoTable)
	}
	if _, _, err := gpt.Read(memory{}, 0); !errors.Is(err, gpt.ErrNoTable) {
		t.Errorf("Read of nothing = %v, want %v", err, gpt.ErrNoTable)
	}
}

// TestTwoSectorSizes has a header for either size, which systemd refuses.
func TestTwoSectorSizes(t *testing.T) {
	image, _ := signedImage(t, 512)
	copy(image[4096:], image[512:604])
	if _, _, err := gpt.Read(image, int64(len(image))); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Read = %v, want %v", err, fault.ErrCorrupt)
	}
}

// TestGrownImage has the backup table somewhere before the end, as after
// truncate --size=+1M.
func TestGrownImage(t *testing.T) {
	small, want := signedImage(t, 512)
	image := append(small, make(memory, 1<<20)...)
	got, problems, err := gpt.Read(image, int64(len(image)))
	if err != nil || len(problems) != 2 {
		t.Fatalf("Read = %v, %v, want one problem for the MBR and one for the backup", problems, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

// TestCutImage has lost its end, so the last partition lies outside.
func TestCutImage(t *testing.T) {
	image, _ := signedImage(t, 512)
	if _, _, err := gpt.Read(image[:len(image)-20000], int64(len(image)-20000)); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Read = %v, want %v", err, fault.ErrCorrupt)
	}
}

// TestNoEntries has right checksums over a table with no entries at all.
func TestNoEntries(t *testing.T) {
	image, _ := signedImage(t, 512)
	for _, offset := range []int64{512, int64(len(image)) - 512} {
		editHeader(image, offset, func(h []byte) { put32(80, 0)(h); put32(88, 0)(h) })
	}
	table, problems, err := gpt.Read(image, int64(len(image)))
	if err != nil || len(table.Partitions) != 0 || len(problems) != 2 {
		t.Errorf("Read = %v, %v, %v, want an empty table", table, problems, err)
	}
}

// TestLongEntries has entries of 256 bytes, which the specification allows and
// Linux does not take.
func TestLongEntries(t *testing.T) {
	image, want := signedImage(t, 512)
	long := make([]byte, 16384)
	for i := range 3 {
		copy(long[i*256:], image[1024+i*128:][:128])
	}
	for _, c := range []struct{ header, entries int64 }{{512, 1024}, {int64(len(image)) - 512, int64(len(image)) - 512 - 16384}} {
		copy(image[c.entries:], long)
		editHeader(image, c.header, func(h []byte) { put32(80, 64)(h); put32(84, 256)(h); put32(88, crc32.ChecksumIEEE(long))(h) })
	}
	got, problems, err := gpt.Read(image, int64(len(image)))
	if err != nil || len(problems) != 2 {
		t.Fatalf("Read = %v, %v, want one problem for each copy", problems, err)
	}
	want.Entries = 64
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

// resealAll makes the checksums of every header right that is at a place where
// one can be, as far as its numbers can be followed.
func resealAll(image memory) {
	size := int64(len(image))
	for _, sectorSize := range []int64{512, 1024, 2048, 4096} {
		for _, offset := range []int64{sectorSize, size - sectorSize} {
			if offset < 0 || offset+512 > size {
				continue
			}
			h := image[offset:][:512]
			if string(h[:8]) != "EFI PART" {
				continue
			}
			at := binary.LittleEndian.Uint64(h[72:]) * uint64(sectorSize)
			length := uint64(binary.LittleEndian.Uint32(h[80:])) * uint64(binary.LittleEndian.Uint32(h[84:]))
			if at <= uint64(size) && length <= uint64(size)-at {
				put32(88, crc32.ChecksumIEEE(image[at:at+length]))(h)
			}
			editHeader(image, offset, func([]byte) {})
		}
	}
}
