package vhd_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"sextant/internal/fault"
	"sextant/internal/format/vhd"
	"sextant/internal/imagetest/virtual"
)

// small returns a disk of 5 MiB whose first and last sectors hold data.
func small(t testing.TB, kind vhd.Kind) *virtual.Memory {
	t.Helper()
	m := &virtual.Memory{}
	w, err := vhd.Create(m, 5<<20, vhd.Options{Kind: kind, Time: time.Unix(1<<30, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, 5<<20 - 512} {
		if _, err := w.WriteAt(virtual.Noise(512, byte(at)), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return m
}

// seal makes the checksum of a structure right again.
func seal(b []byte, at int) {
	clear(b[at : at+4])
	sum := uint32(0)
	for _, c := range b {
		sum += uint32(c)
	}
	binary.BigEndian.PutUint32(b[at:], ^sum)
}

func openAll(t testing.TB, m *virtual.Memory) error {
	t.Helper()
	d, err := vhd.Open(m, m.Size())
	if err != nil {
		return err
	}
	return virtual.ReadAll(t, d, 8<<20)
}

// lie is a number that is put into a good disk, and what reading must say.
type lie struct {
	name  string
	at    int
	value any
	kind  error
	text  string
}

func (l lie) check(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, l.kind) || l.kind != nil && !strings.Contains(err.Error(), l.text) {
		t.Errorf("%s: %v, want %v: %s", l.name, err, l.kind, l.text)
	}
}

// TestFooterLies puts a wrong number into each field of both footers.
func TestFooterLies(t *testing.T) {
	for _, l := range []lie{
		{"cookie", 0, uint8('C'), fault.ErrCorrupt, "no undamaged VHD footer"},
		{"features", 8, uint32(3), nil, ""},
		{"version", 12, uint32(0x20000), fault.ErrUnsupported, "version 0x20000"},
		{"no header", 16, uint64(1<<64 - 1), fault.ErrCorrupt, "dynamic disk header"},
		{"header on the footer", 16, uint64(0), fault.ErrCorrupt, "no dynamic disk header at 0"},
		{"header outside", 16, uint64(1 << 40), fault.ErrCorrupt, "dynamic disk header"},
		{"Virtual PC", 28, uint32(0x76706320), fault.ErrUnsupported, "force_size=on"},
		{"Virtual Server", 28, uint32(0x76732020), fault.ErrUnsupported, "force_size=on"},
		{"qemu-img without force_size", 28, uint32(0x71656d75), fault.ErrUnsupported, "force_size=on"},
		{"Hyper-V", 28, uint32(0x77696e20), nil, ""},
		{"Azure", 28, uint32(0x77610000), nil, ""},
		{"original size", 40, uint64(1), nil, ""},
		{"odd size", 48, uint64(5<<20 - 1), fault.ErrCorrupt, "no whole sectors"},
		{"size", 48, uint64(8 << 20), fault.ErrCorrupt, "too short for a disk"},
		{"size beyond all", 48, uint64(1 << 62), fault.ErrUnsupported, "at most"},
		{"negative size", 48, uint64(1<<64 - 512), fault.ErrUnsupported, "at most"},
		{"geometry", 56, uint32(0), nil, ""},
		{"differencing", 60, uint32(4), fault.ErrUnsupported, "parent"},
		{"type", 60, uint32(5), fault.ErrCorrupt, "type 5"},
		{"fixed", 60, uint32(2), fault.ErrCorrupt, "its footer at"},
	} {
		m := small(t, vhd.Dynamic)
		for _, at := range []int{0, len(m.Bytes) - 512} {
			m.Put(binary.BigEndian, at+l.at, l.value)
			seal(m.Bytes[at:at+512], 64)
		}
		l.check(t, openAll(t, m))
	}
}

// TestHeaderLies puts a wrong number into each field of the dynamic disk
// header, and into the block allocation table behind it.
func TestHeaderLies(t *testing.T) {
	for _, l := range []lie{
		{"cookie", 0, uint8('C'), fault.ErrCorrupt, "no dynamic disk header"},
		{"table aslant", 16, uint64(1537), fault.ErrCorrupt, "no multiple of the sector size"},
		{"table outside", 16, uint64(1 << 40), fault.ErrCorrupt, "block allocation table"},
		{"table far outside", 16, uint64(1<<64 - 512), fault.ErrCorrupt, "block allocation table"},
		{"version", 24, uint32(0x20000), fault.ErrUnsupported, "version 0x20000"},
		{"short table", 28, uint32(2), fault.ErrCorrupt, "table of 2 blocks"},
		{"long table", 28, uint32(1<<32 - 1), nil, ""},
		{"blocks of 0", 32, uint32(0), fault.ErrCorrupt, "blocks of 0 bytes"},
		{"blocks of 256", 32, uint32(256), fault.ErrCorrupt, "blocks of 256 bytes"},
		{"odd blocks", 32, uint32(3 << 20), fault.ErrCorrupt, "blocks of"},
		{"small blocks", 32, uint32(512), fault.ErrCorrupt, "too short"},
		{"large blocks", 32, uint32(1 << 31), fault.ErrCorrupt, "block 0"},
		{"block on the footer", 1024, uint32(0), fault.ErrCorrupt, "footer's copy"},
		{"block outside", 1024, uint32(1 << 20), fault.ErrCorrupt, "block 0"},
		{"block far outside", 1028, uint32(1<<32 - 2), fault.ErrCorrupt, "block 1"},
		{"block missing", 1024, uint32(1<<32 - 1), nil, ""},
	} {
		m := small(t, vhd.Dynamic)
		m.Put(binary.BigEndian, 512+l.at, l.value)
		seal(m.Bytes[512:512+1024], 36)
		l.check(t, openAll(t, m))
	}
	m := small(t, vhd.Dynamic)
	m.Bytes[600]++
	lie{"checksum", 0, nil, fault.ErrCorrupt, "checksum"}.check(t, openAll(t, m))
}

// TestFooterCopies damages one of the footers, or makes them differ.
func TestFooterCopies(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(b []byte)
		kind   error
	}{
		"the copy":    {func(b []byte) { b[100]++ }, nil},
		"the footer":  {func(b []byte) { b[len(b)-100]++ }, nil},
		"the end":     {func(b []byte) { clear(b[len(b)-512:]) }, nil},
		"both":        {func(b []byte) { b[100]++; b[len(b)-100]++ }, fault.ErrCorrupt},
		"other sizes": {func(b []byte) { b[54]--; seal(b[:512], 64) }, fault.ErrCorrupt},
	} {
		m := small(t, vhd.Dynamic)
		test.damage(m.Bytes)
		if err := openAll(t, m); !errors.Is(err, test.kind) {
			t.Errorf("damaged %s: %v, want %v", name, err, test.kind)
		}
	}
}

// TestOldFooter has one byte less, as programs before Virtual PC 2004 wrote it.
func TestOldFooter(t *testing.T) {
	m := small(t, vhd.Fixed)
	m.Bytes = m.Bytes[:len(m.Bytes)-1]
	if has, err := vhd.Has(m, m.Size()); !has || err != nil {
		t.Errorf("Has = %v, %v", has, err)
	}
	if err := openAll(t, m); err != nil {
		t.Errorf("Open = %v", err)
	}
}

// TestFixedOfAnotherSize has bytes too many or too few before the footer.
func TestFixedOfAnotherSize(t *testing.T) {
	m := small(t, vhd.Fixed)
	for _, b := range [][]byte{m.Bytes[512:], append(make([]byte, 512), m.Bytes...)} {
		m := &virtual.Memory{Bytes: b}
		lie{"size", 0, nil, fault.ErrCorrupt, "its footer at"}.check(t, openAll(t, m))
	}
}

// TestSectorBitmap has sectors that are not set, which are zero.
func TestSectorBitmap(t *testing.T) {
	m := small(t, vhd.Dynamic)
	block := int(binary.BigEndian.Uint32(m.Bytes[1536:])) * 512
	copy(m.Bytes[block+512:], bytes.Repeat([]byte{1}, 64<<10))
	m.Bytes[block] = 0b10100000
	clear(m.Bytes[block+1 : block+512])
	m.Bytes[block+10] = 0x01
	want := make([]byte, 64<<10)
	for _, sector := range []int{0, 2, 87} {
		copy(want[sector*512:], bytes.Repeat([]byte{1}, 512))
	}
	d, err := vhd.Open(m, m.Size())
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("ReadAt = %v, and not the three sectors", err)
	}
	var found []int64
	for m := range d.Segments() {
		found = append(found, m.Offset/512, m.Length/512)
	}
	if want := []int64{0, 1, 2, 1, 87, 1}; len(found) < 6 || !bytes.Equal(cast(found[:6]), cast(want)) {
		t.Errorf("Segments = %v, want %v first", found, want)
	}
}

func cast(list []int64) (b []byte) {
	for _, n := range list {
		b = append(b, byte(n))
	}
	return b
}

// TestSameBytes checks that the time and the id are all that two disks of the
// same writes can differ in.
func TestSameBytes(t *testing.T) {
	a, b := small(t, vhd.Dynamic), small(t, vhd.Dynamic)
	if !bytes.Equal(a.Bytes, b.Bytes) {
		t.Error("the same writes give other bytes")
	}
}

// TestWriterRefuses has what cannot be made.
func TestWriterRefuses(t *testing.T) {
	for _, test := range []struct {
		size int64
		kind vhd.Kind
	}{{-512, vhd.Dynamic}, {1000, vhd.Dynamic}, {vhd.MaxSize + 512, vhd.Fixed}, {2 << 40, vhd.Dynamic}, {512, vhd.Differencing}, {512, 0}} {
		if _, err := vhd.Create(&virtual.Memory{}, test.size, vhd.Options{Kind: test.kind}); err == nil {
			t.Errorf("Create of %d bytes, %s, gives no error", test.size, test.kind)
		}
	}
}
