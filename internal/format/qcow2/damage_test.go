package qcow2_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/format/qcow2"
	"sextant/internal/imagetest/virtual"
)

const (
	corrupt     = "corrupt"
	unsupported = "unsupported"
)

// small returns an image of a disk of 3 MiB with clusters of 2^bits bytes, of
// which the first, the third and the last hold data, and where its L1 table is
// and its first L2 table.
func small(t testing.TB, bits int) (m *virtual.Memory, l1, l2 int) {
	t.Helper()
	m = &virtual.Memory{}
	w, err := qcow2.Create(m, 3<<20, qcow2.Options{ClusterBits: bits})
	if err != nil {
		t.Fatal(err)
	}
	cluster := 1 << bits
	for _, at := range []int{0, 2 * cluster, 3<<20 - cluster} {
		if _, err := w.WriteAt(virtual.Noise(cluster, byte(at)), int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l1 = int(binary.BigEndian.Uint64(m.Bytes[40:]))
	return m, l1, int(binary.BigEndian.Uint64(m.Bytes[l1:]) &^ (1 << 63))
}

func openAll(t testing.TB, m *virtual.Memory) error {
	t.Helper()
	d, err := qcow2.Open(m, m.Size())
	if err != nil {
		return err
	}
	return virtual.ReadAll(t, d, 4<<20)
}

// lie is a number that is put into a good image, and what reading must say.
type lie struct {
	name  string
	at    int
	value any
	kind  string
	text  string
}

func (l lie) check(t *testing.T, err error) {
	t.Helper()
	kind := map[string]error{corrupt: fault.ErrCorrupt, unsupported: fault.ErrUnsupported}[l.kind]
	if !errors.Is(err, kind) || kind == nil && err != nil || kind != nil && !strings.Contains(err.Error(), l.text) {
		t.Errorf("%s: %v, want %s: %s", l.name, err, l.kind, l.text)
	}
}

// TestHeaderLies puts a wrong number into each field of the header.
func TestHeaderLies(t *testing.T) {
	for _, l := range []lie{
		{"magic", 0, uint32(0x514649fc), corrupt, "no qcow2 header"},
		{"version 1", 4, uint32(1), unsupported, "qcow version 1"},
		{"version 4", 4, uint32(4), unsupported, "qcow version 4"},
		{"backing file", 8, uint64(120), unsupported, "backing file"},
		{"clusters of 256 bytes", 20, uint32(8), corrupt, "clusters of 2^8"},
		{"clusters of 4 MiB", 20, uint32(22), unsupported, "clusters of 2^22"},
		{"clusters beyond all", 20, uint32(1 << 31), corrupt, "clusters of"},
		{"other clusters", 20, uint32(13), corrupt, "L1 table"},
		{"size", 24, uint64(1 << 40), corrupt, "too short"},
		{"size beyond all", 24, uint64(1<<64 - 512), unsupported, "disk of"},
		{"AES", 32, uint32(1), unsupported, "encrypted with AES"},
		{"LUKS", 32, uint32(2), unsupported, "encrypted with LUKS"},
		{"other encryption", 32, uint32(3), unsupported, "encrypted with method 3"},
		{"no L1 table", 36, uint32(0), corrupt, "too short"},
		{"long L1 table", 36, uint32(1 << 20), corrupt, "L1 table"},
		{"L1 table beyond all", 36, uint32(1<<32 - 1), unsupported, "L1 table of 34359738360 bytes"},
		{"L1 table on the header", 40, uint64(0), corrupt, "L1 table at 0"},
		{"L1 table aslant", 40, uint64(4097), corrupt, "L1 table at 4097"},
		{"L1 table outside", 40, uint64(1 << 40), corrupt, "L1 table"},
		{"L1 table far outside", 40, uint64(1<<64 - 4096), corrupt, "L1 table"},
		{"refcount table aslant", 48, uint64(4097), corrupt, "refcount table"},
		{"refcount table outside", 48, uint64(1 << 40), corrupt, "refcount table"},
		{"refcount table beyond all", 56, uint32(1<<32 - 1), unsupported, "refcount table"},
		{"snapshots", 60, uint32(3), unsupported, "3 internal snapshots"},
		{"snapshot table without snapshots", 64, uint64(1 << 50), "", ""},
		{"dirty", 72, uint64(1), "", ""},
		{"marked corrupt", 72, uint64(2), corrupt, "marked as damaged"},
		{"external data", 72, uint64(4), unsupported, "another file"},
		{"compression bit alone", 72, uint64(8), corrupt, "compression type 0"},
		{"extended L2 in small clusters", 72, uint64(16), corrupt, "clusters of 2^12"},
		{"unknown feature", 72, uint64(1 << 40), unsupported, "bit 40"},
		{"compatible features", 80, uint64(1<<64 - 1), "", ""},
		{"autoclear features", 88, uint64(1<<64 - 1), "", ""},
		{"refcounts of 128 bits", 96, uint32(7), corrupt, "refcounts of 2^7"},
		{"short header", 100, uint32(96), corrupt, "header length 96"},
		{"odd header", 100, uint32(109), corrupt, "header length 109"},
		{"long header", 100, uint32(1 << 20), corrupt, "longer than a cluster"},
		{"compression alone", 104, uint8(1), corrupt, "compression type 1"},
	} {
		m, _, _ := small(t, 12)
		m.Put(binary.BigEndian, l.at, l.value)
		l.check(t, openAll(t, m))
	}
}

// TestEntryLies puts wrong L1 and L2 entries into good images.
func TestEntryLies(t *testing.T) {
	const used = 1 << 63
	for _, l := range []struct {
		lie
		version2, extended bool
		l1                 bool
	}{
		{lie: lie{"reserved low bits in L1", 0, uint64(used | 1), corrupt, "reserved bits"}, l1: true},
		{lie: lie{"reserved high bits in L1", 0, uint64(used | 1<<60), corrupt, "reserved bits"}, l1: true},
		{lie: lie{"L2 table aslant", 0, uint64(used | 512), corrupt, "no multiple of the cluster size"}, l1: true},
		{lie: lie{"L2 table outside", 0, uint64(used | 1<<40), corrupt, "L2 table"}, l1: true},
		{lie: lie{"L2 table missing", 0, uint64(0), "", ""}, l1: true},
		{lie: lie{"reserved low bits", 0, uint64(used | 1<<14 | 2), corrupt, "reserved bits"}},
		{lie: lie{"reserved high bits", 0, uint64(1<<60 | 1<<14), corrupt, "reserved bits"}},
		{lie: lie{"data aslant", 0, uint64(used | 512), corrupt, "no multiple of the cluster size"}},
		{lie: lie{"data outside", 0, uint64(used | 1<<40), corrupt, "behind the end"}},
		{lie: lie{"data on the header", 0, uint64(used), corrupt, "on the header"}},
		{lie: lie{"zero cluster", 0, uint64(1), "", ""}},
		{lie: lie{"zero cluster with a place outside", 0, uint64(used | 1<<40 | 1), "", ""}},
		{lie: lie{"zero cluster in version 2", 0, uint64(1), corrupt, "version 2 does not have"}, version2: true},
		{lie: lie{"compressed on the header", 0, uint64(1<<62 | 100), corrupt, "outside the file"}},
		{lie: lie{"compressed outside", 0, uint64(1<<62 | 1<<30), corrupt, "outside the file"}},
		{lie: lie{"compressed and used once", 0, uint64(3<<62 | 1<<14), corrupt, "must not have"}},
		{lie: lie{"compressed noise", 0, uint64(1<<62 | 1<<14), corrupt, "compressed data"}},
		{lie: lie{"zero bit with subclusters", 0, uint64(used | 1<<15 | 1), corrupt, "reserved bits"}, extended: true},
		{lie: lie{"both zero and stored", 8, uint64(1<<32 | 1), corrupt, "both zero and stored"}, extended: true},
		{lie: lie{"stored nowhere", 24, uint64(1), corrupt, "stored nowhere"}, extended: true},
		{lie: lie{"compressed with subclusters", 16, uint64(1<<62 | 1<<15), corrupt, "must not have"}, extended: true},
	} {
		bits := 12
		if l.extended {
			bits = 14
		}
		m, l1, l2 := small(t, bits)
		if l.version2 {
			m.Put(binary.BigEndian, 4, uint32(2))
		}
		if l.extended {
			m.Put(binary.BigEndian, 72, uint64(16))
			clear(m.Bytes[l2+8 : l2+1<<bits])
			m.Put(binary.BigEndian, l2+8, uint64(3))
			m.Put(binary.BigEndian, l2+24, uint64(1))
		}
		at := l2 + l.at
		if l.l1 {
			at = l1 + l.at
		}
		m.Put(binary.BigEndian, at, l.value)
		l.check(t, openAll(t, m))
	}
}

// TestNamesUnknownFeatures has a feature that the image itself names.
func TestNamesUnknownFeatures(t *testing.T) {
	m, _, _ := small(t, 12)
	m.Put(binary.BigEndian, 72, uint64(1<<7|1<<9))
	m.Put(binary.BigEndian, 112, uint32(0x12345678)) // another extension first
	m.Put(binary.BigEndian, 116, uint32(3))
	m.Put(binary.BigEndian, 128, uint32(0x6803f857))
	m.Put(binary.BigEndian, 132, uint32(96))
	copy(m.Bytes[136:], "\x00\x07time travel")
	copy(m.Bytes[184:], "\x01\x09another bitmap")
	_, err := qcow2.Open(m, m.Size())
	lie{"features", 0, nil, unsupported, `"time travel", bit 9`}.check(t, err)
}

// TestNamesBackingFile has a backing file, which must be named and not read.
func TestNamesBackingFile(t *testing.T) {
	m, _, _ := small(t, 12)
	m.Put(binary.BigEndian, 8, uint64(512))
	m.Put(binary.BigEndian, 16, uint32(11))
	copy(m.Bytes[512:], "/etc/shadow")
	_, err := qcow2.Open(m, m.Size())
	lie{"backing file", 0, nil, unsupported, `"/etc/shadow"`}.check(t, err)
	m.Put(binary.BigEndian, 16, uint32(1<<31))
	_, err = qcow2.Open(m, m.Size())
	lie{"backing file", 0, nil, unsupported, "cannot be read"}.check(t, err)
}

// TestCutImages cuts an image off everywhere: it is read in part or refused,
// and never wrong.
func TestCutImages(t *testing.T) {
	m, _, _ := small(t, 12)
	whole := m.Bytes
	for cut := 0; cut < len(whole); cut += 511 {
		if err := openAll(t, &virtual.Memory{Bytes: whole[:cut]}); err == nil {
			t.Errorf("cut at %d of %d: no error", cut, len(whole))
		}
	}
}

// TestWriterRefuses has what cannot be made.
func TestWriterRefuses(t *testing.T) {
	for _, test := range []struct {
		size int64
		bits int
	}{{-1, 0}, {1 << 20, 8}, {1 << 20, 22}, {1 << 38, 9}} {
		if _, err := qcow2.Create(&virtual.Memory{}, test.size, qcow2.Options{ClusterBits: test.bits}); err == nil {
			t.Errorf("Create of %d bytes in clusters of 2^%d gives no error", test.size, test.bits)
		}
	}
	m := &virtual.Memory{}
	w, err := qcow2.Create(m, 1<<20, qcow2.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, offset := range []int64{-1, 1<<20 - 1, 1 << 40} {
		if _, err := w.WriteAt([]byte{1, 2}, offset); err == nil {
			t.Errorf("WriteAt %d gives no error", offset)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteAt([]byte{1}, 0); err == nil {
		t.Error("WriteAt after Close gives no error")
	}
}
