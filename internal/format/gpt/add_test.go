package gpt_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/format/gpt"
	"sextant/internal/testenv"
)

// unsigned writes the table of a deferred signature: the entry is missing, its
// 16 KiB are free. It returns the entry too.
func unsigned(t testing.TB, sectorSize int) (memory, gpt.Partition) {
	t.Helper()
	image, table := signedImage(t, sectorSize)
	sig := table.Partitions[2]
	table.Partitions = table.Partitions[:2]
	if err := gpt.Write(image, int64(len(image)), table); err != nil {
		t.Fatal(err)
	}
	return image, sig
}

// TestAdd checks that adding gives the bytes that writing everything at once
// gives.
func TestAdd(t *testing.T) {
	for _, sectorSize := range []int{512, 4096} {
		want, _ := signedImage(t, sectorSize)
		image, sig := unsigned(t, sectorSize)
		sig.Number = 0
		if err := gpt.Add(image, int64(len(image)), sig); err != nil {
			t.Errorf("Add with sectors of %d = %v", sectorSize, err)
		}
		if !bytes.Equal(image, want) {
			t.Errorf("Add with sectors of %d gives other bytes than Write", sectorSize)
		}
	}
}

func TestAddKeepsOtherEntries(t *testing.T) {
	testenv.Require(t, "sgdisk")
	name := writeFile(t, make([]byte, 8<<20))
	runWriter(t, "", "sgdisk", "-n", "3:2048:4095", "-c", "3:three", "-n", "1:4096:5000", "-A", "1:set:50", name)
	image := readFile(t, name)
	before := slices.Clone(image)
	p := gpt.Partition{Type: gpt.GUID{1}, UUID: gpt.GUID{2}, First: 6000, Last: 6031, Name: "new"}
	if err := gpt.Add(image, int64(len(image)), p); err != nil {
		t.Fatal(err)
	}
	for _, number := range []int{1, 3} {
		slot := 1024 + (number-1)*128
		if !bytes.Equal(image[slot:slot+128], before[slot:slot+128]) {
			t.Errorf("entry %d changed", number)
		}
	}
	got, problems, err := gpt.Read(image, int64(len(image)))
	if err != nil || len(problems) > 0 || len(got.Partitions) != 3 || got.Partitions[1].Number != 2 {
		t.Errorf("Read after Add = %v, %v, %v, want the new partition as number 2", got, problems, err)
	}
}

func TestAddRefuses(t *testing.T) {
	image, sig := unsigned(t, 512)
	before := slices.Clone(image)
	for name, change := range map[string]func(p *gpt.Partition){
		"overlap":       func(p *gpt.Partition) { p.First-- },
		"outside":       func(p *gpt.Partition) { p.Last++ },
		"number in use": func(p *gpt.Partition) { p.Number = 2 },
		"number":        func(p *gpt.Partition) { p.Number = 129 },
		"same UUID":     func(p *gpt.Partition) { p.UUID = gpt.MustParseGUID("b8f97add-e365-f0df-3917-3417794789e8") },
		"no type":       func(p *gpt.Partition) { p.Type = gpt.GUID{} },
	} {
		p := sig
		change(&p)
		if err := gpt.Add(image, int64(len(image)), p); err == nil {
			t.Errorf("Add with wrong %s gives no error", name)
		}
		if !bytes.Equal(image, before) {
			t.Fatalf("Add with wrong %s changed the image", name)
		}
	}
	otherEntries(image)
	if err := gpt.Add(image, int64(len(image)), sig); err == nil {
		t.Error("Add to a table whose copies differ gives no error")
	}
	if err := gpt.Add(make(memory, 1<<20), 1<<20, sig); !errors.Is(err, gpt.ErrNoTable) {
		t.Errorf("Add to nothing = %v, want %v", err, gpt.ErrNoTable)
	}
}

func TestAddToFullTable(t *testing.T) {
	const size = 4 << 20
	table, err := gpt.New(size, 512)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 128 {
		lba := 2048 + uint64(i)
		table.Partitions = append(table.Partitions, gpt.Partition{Type: gpt.GUID{1}, UUID: gpt.GUID{2, byte(i)}, First: lba, Last: lba})
	}
	image := make(memory, size)
	if err := gpt.Write(image, size, table); err != nil {
		t.Fatal(err)
	}
	if err := gpt.Add(image, size, gpt.Partition{Type: gpt.GUID{1}, UUID: gpt.GUID{3}, First: 3000, Last: 3000}); err == nil {
		t.Error("Add to a full table gives no error")
	}
}

func TestAddRepairs(t *testing.T) {
	want, _ := signedImage(t, 512)
	for name, damage := range map[string]func(m memory){
		"primary header":  func(m memory) { clear(m[512:1024]) },
		"primary entries": func(m memory) { clear(m[1024:2048]) },
		"backup header":   func(m memory) { m[len(m)-500]++ },
		"backup entries":  func(m memory) { m[len(m)-512-16384]++ },
	} {
		image, sig := unsigned(t, 512)
		damage(image)
		if err := gpt.Add(image, int64(len(image)), sig); err != nil {
			t.Errorf("Add with damaged %s = %v", name, err)
		}
		if !bytes.Equal(image, want) {
			t.Errorf("Add with damaged %s does not repair it", name)
		}
	}
}

// journal records writes and the order of syncs, to replay a crash.
type journal struct {
	memory
	writes []write
}

type write struct {
	offset int64
	bytes  []byte
	sync   bool
}

func (j *journal) WriteAt(b []byte, offset int64) (int, error) {
	j.writes = append(j.writes, write{offset: offset, bytes: bytes.Clone(b)})
	return j.memory.WriteAt(b, offset)
}

func (j *journal) Sync() error {
	j.writes = append(j.writes, write{sync: true})
	return nil
}

// TestAddSurvivesCrash replays every state that a crash can leave: everything
// before a sync, and of the writes after it any selection, each whole, torn in
// the middle or missing. Each must read as the old or the new table.
func TestAddSurvivesCrash(t *testing.T) {
	for _, damage := range []func(m memory){
		func(memory) {},
		func(m memory) { clear(m[512:1024]) },
		func(m memory) { clear(m[len(m)-512:]) },
	} {
		before, sig := unsigned(t, 512)
		damage(before)
		oldTable, _, err := gpt.Read(before, int64(len(before)))
		if err != nil {
			t.Fatal(err)
		}
		j := &journal{memory: slices.Clone(before)}
		if err := gpt.Add(j, int64(len(before)), sig); err != nil {
			t.Fatal(err)
		}
		newTable, _, err := gpt.Read(j, int64(len(before)))
		if err != nil {
			t.Fatal(err)
		}
		for i, state := range crashes(before, j.writes) {
			got, _, err := gpt.Read(state, int64(len(state)))
			if err != nil || !cmp.Equal(got, oldTable) && !cmp.Equal(got, newTable) {
				t.Fatalf("crash %d: Read = %v, %v", i, got, err)
			}
		}
	}
}

// crashes returns the states that the writes can leave behind.
func crashes(image memory, writes []write) []memory {
	var states []memory
	stable := slices.Clone(image)
	var pending []write
	for _, w := range append(writes, write{sync: true}) {
		if !w.sync {
			pending = append(pending, w)
			continue
		}
		combinations := 1
		for range pending {
			combinations *= 3
		}
		for c := range combinations {
			states = append(states, apply(stable, pending, c))
		}
		for _, p := range pending {
			copy(stable[p.offset:], p.bytes)
		}
		pending = nil
	}
	return states
}

// apply leaves out, tears or makes each write as the digits of c to the base 3
// say.
func apply(image memory, writes []write, c int) memory {
	state := slices.Clone(image)
	for _, w := range writes {
		copy(state[w.offset:], w.bytes[:[]int{0, len(w.bytes) / 300, len(w.bytes)}[c%3]])
		c /= 3
	}
	return state
}
