package program_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/format/program"
)

// TestReal compares with debug/elf on the programs of this machine.
func TestReal(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob("/usr/bin/[a-d]*")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, path := range append(paths, self) {
		if checkELF(t, path) {
			read++
		}
	}
	if first, _ := os.ReadFile(self); read == 0 && bytes.HasPrefix(first, []byte(elf.ELFMAG)) {
		t.Errorf("%s is an ELF program, and none was read", self)
	}
}

// checkELF reports whether the file is an ELF program.
func checkELF(t *testing.T, path string) bool {
	f, err := os.Open(path)
	if err != nil {
		t.Log(err)
		return false
	}
	defer f.Close()
	want, refused := elf.NewFile(f)
	got, err := program.ReadELF(f)
	switch {
	case refused != nil:
		return false
	case err != nil:
		t.Errorf("%s: ReadELF = %v, debug/elf takes it", path, err)
	case got.Class != program.Class(want.Class) || got.Order != program.Order(want.Data) || got.Machine != program.Machine(want.Machine) || got.Type != uint16(want.Type):
		t.Errorf("%s: ReadELF = %+v, debug/elf: %+v", path, got, want.FileHeader)
	}
	return true
}

// header makes a program of nothing but its header.
func header(t testing.TB, class elf.Class, order elf.Data, machine elf.Machine) []byte {
	t.Helper()
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(class), byte(order), byte(elf.EV_CURRENT)}
	var b []byte
	var err error
	written := binary.ByteOrder(binary.LittleEndian)
	if order == elf.ELFDATA2MSB {
		written = binary.BigEndian
	}
	if class == elf.ELFCLASS64 {
		b, err = binary.Append(nil, written, elf.Header64{Ident: ident, Type: uint16(elf.ET_DYN), Machine: uint16(machine), Version: 1})
	} else {
		b, err = binary.Append(nil, written, elf.Header32{Ident: ident, Type: uint16(elf.ET_DYN), Machine: uint16(machine), Version: 1})
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadELF(t *testing.T) {
	for machine, want := range map[elf.Machine]program.Machine{
		elf.EM_386: program.I386, elf.EM_MIPS: program.MIPS, elf.EM_PARISC: program.PARISC, elf.EM_PPC: program.PPC, elf.EM_PPC64: program.PPC64,
		elf.EM_S390: program.S390, elf.EM_ARM: program.ARM, elf.EM_IA_64: program.IA64, elf.EM_X86_64: program.X86_64,
		elf.EM_ARC_COMPACT: program.ARC, elf.EM_AARCH64: program.AArch64, elf.EM_TILEGX: program.TILEGx, elf.EM_ARC_COMPACT2: program.ARCv2,
		elf.EM_RISCV: program.RISCV, elf.EM_LOONGARCH: program.LoongArch, elf.EM_ALPHA: program.Alpha,
	} {
		for _, class := range []elf.Class{elf.ELFCLASS32, elf.ELFCLASS64} {
			for _, order := range []elf.Data{elf.ELFDATA2LSB, elf.ELFDATA2MSB} {
				b := header(t, class, order, machine)
				if _, err := elf.NewFile(bytes.NewReader(b)); err != nil {
					t.Fatalf("%v %v %v: debug/elf: %v", class, order, machine, err)
				}
				got, err := program.ReadELF(bytes.NewReader(b))
				if err != nil || got.Machine != want || got.Class != program.Class(class) || got.Order != program.Order(order) {
					t.Errorf("%v %v %v: ReadELF = %+v, %v", class, order, machine, got, err)
				}
			}
		}
	}
}

func TestReadELFBroken(t *testing.T) {
	whole := header(t, elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_X86_64)
	patched := func(at int, value byte) []byte {
		b := bytes.Clone(whole)
		b[at] = value
		return b
	}
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"empty":      {nil, "ELF header has 0 of 20 bytes: corrupt"},
		"cut":        {whole[:19], "ELF header has 19 of 20 bytes: corrupt"},
		"script":     {[]byte("#!/bin/sh\nexec true\n"), "not an ELF program: corrupt"},
		"no class":   {patched(4, 0), "ELF class 0: corrupt"},
		"class 3":    {patched(4, 3), "ELF class 3: corrupt"},
		"no order":   {patched(5, 0), "ELF byte order 0: corrupt"},
		"order 3":    {patched(5, 3), "ELF byte order 3: corrupt"},
		"no version": {patched(6, 0), "ELF version 0: corrupt"},
	} {
		_, err := program.ReadELF(bytes.NewReader(c.in))
		if !errors.Is(err, fault.ErrCorrupt) || err.Error() != c.want {
			t.Errorf("%s: ReadELF = %v, want %s", name, err, c.want)
		}
		if _, err := elf.NewFile(bytes.NewReader(c.in)); err == nil {
			t.Errorf("%s: debug/elf takes it", name)
		}
	}
}

func FuzzReadELF(f *testing.F) {
	f.Add(header(f, elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_X86_64))
	f.Add(header(f, elf.ELFCLASS32, elf.ELFDATA2MSB, elf.EM_PPC))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := program.ReadELF(bytes.NewReader(in))
		if err != nil && (!errors.Is(err, fault.ErrCorrupt) || got != program.ELF{}) {
			t.Errorf("ReadELF = %+v, %v", got, err)
		}
		if want, refused := elf.NewFile(bytes.NewReader(in)); refused == nil && (err != nil || got.Machine != program.Machine(want.Machine)) {
			t.Errorf("ReadELF = %+v, %v, debug/elf: %+v", got, err, want.FileHeader)
		}
	})
}
