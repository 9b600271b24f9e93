package program_test

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/format/program"
	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

const longName = ".a-section-with-a-long-name"

func read(in []byte, name string) ([]byte, error) {
	s, err := program.Section(bytes.NewReader(in), int64(len(in)), name)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(s)
}

// objcopy makes a PE program with three sections in the directory dir.
func objcopy(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	testenv.Require(t, "objcopy")
	for name, content := range map[string]string{"initrd": "\x1f\x8b an initrd of 30 bytes in all", "osrel": "ID=debian\n", "long": "content"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("objcopy", append(args, "uki")...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	made, err := os.ReadFile(filepath.Join(dir, "uki"))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func small(t testing.TB) []byte {
	return objcopy(t, t.TempDir(), "-I", "binary", "-O", "pei-x86-64", "-B", "i386:x86-64", "--rename-section", ".data=.initrd",
		"--add-section", ".osrel=osrel", "--add-section", longName+"=long", "initrd")
}

// TestSection reads what objcopy made.
func TestSection(t *testing.T) {
	in := small(t)
	for name, want := range map[string]string{".initrd": "\x1f\x8b an initrd of 30 bytes in all", ".osrel": "ID=debian\n", longName: "content"} {
		got, err := read(in, name)
		// objcopy makes sections of four bytes each.
		if err != nil || len(got) > len(want)+3 || string(bytes.TrimRight(got, "\x00")) != want {
			t.Errorf("Section(%s) = %q, %v, want %q", name, got, err, want)
		}
	}
	compare(t, in, ".initrd", ".osrel", longName)
	for _, name := range []string{".initr", ".initrd2", "", longName[:9], longName + "x", ".text"} {
		if got, err := read(in, name); err == nil || errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("Section(%q) = %q, %v, want none", name, got, err)
		}
	}
}

// compare holds sections against those of debug/pe, which has what is padding in
// them.
func compare(t *testing.T, in []byte, names ...string) {
	t.Helper()
	other, err := pe.NewFile(bytes.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		section := other.Section(name)
		if section == nil {
			t.Errorf("debug/pe finds no section %s", name)
			continue
		}
		want, err := section.Data()
		if err != nil {
			t.Fatal(err)
		}
		want = want[:min(len(want), int(section.VirtualSize))]
		if got, err := read(in, name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("Section(%s) = %d bytes, %v, debug/pe: %d", name, len(got), err, len(want))
		}
	}
}

// TestStub reads a unified kernel image on systemd's stub, and the stub.
func TestStub(t *testing.T) {
	system := rootfs.Require(t, rootfs.Trixie())
	stub := filepath.Join(system.Tree, "usr/lib/systemd/boot/efi/linuxx64.efi.stub")
	in, err := os.ReadFile(stub)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, in, ".text", ".rodata", ".data", ".sbat", ".sdmagic", ".reloc")
	if got, err := read(in, ".initrd"); err == nil {
		t.Errorf("Section(.initrd) = %q of the stub alone", got)
	}
	in = objcopy(t, t.TempDir(), "--add-section", ".osrel=osrel", "--change-section-vma", ".osrel=0x200000000",
		"--add-section", ".initrd=initrd", "--change-section-vma", ".initrd=0x200010000", stub)
	compare(t, in, ".text", ".initrd", ".osrel")
}

// image makes a program of one section by hand. change changes its headers.
func image(t testing.TB, change func(*pe.FileHeader, *pe.SectionHeader32)) []byte {
	t.Helper()
	b := make([]byte, 64, 1<<10)
	copy(b, "MZ")
	b[60] = 64
	b = append(b, "PE\x00\x00"...)
	h := pe.FileHeader{Machine: pe.IMAGE_FILE_MACHINE_AMD64, NumberOfSections: 1}
	s := pe.SectionHeader32{VirtualSize: 5, SizeOfRawData: 8, PointerToRawData: 512}
	copy(s.Name[:], ".initrd")
	change(&h, &s)
	for _, v := range []any{h, make([]byte, h.SizeOfOptionalHeader), s} {
		var err error
		if b, err = binary.Append(b, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	return append(b[:512], "contents\x0c\x00\x00\x00initrd\x00\x00"...)
}

func TestSizes(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*pe.FileHeader, *pe.SectionHeader32)
		want   string
	}{
		"padding is none of it":      {func(*pe.FileHeader, *pe.SectionHeader32) {}, "conte"},
		"zeros in memory":            {func(_ *pe.FileHeader, s *pe.SectionHeader32) { s.VirtualSize = 1 << 31 }, "contents"},
		"nothing in memory":          {func(_ *pe.FileHeader, s *pe.SectionHeader32) { s.VirtualSize = 0 }, ""},
		"nothing in the file":        {func(_ *pe.FileHeader, s *pe.SectionHeader32) { s.SizeOfRawData, s.PointerToRawData = 0, 0 }, ""},
		"padding behind the end":     {func(_ *pe.FileHeader, s *pe.SectionHeader32) { s.SizeOfRawData = 1 << 20 }, "conte"},
		"an optional header between": {func(h *pe.FileHeader, _ *pe.SectionHeader32) { h.SizeOfOptionalHeader = 240 }, "conte"},
	} {
		in := image(t, c.change)
		if got, err := read(in, ".initrd"); err != nil || string(got) != c.want {
			t.Errorf("%s: Section = %q, %v, want %q", name, got, err, c.want)
		}
	}
}

func TestSectionBroken(t *testing.T) {
	same := func(*pe.FileHeader, *pe.SectionHeader32) {}
	whole := image(t, same)
	far := func(change func(*pe.FileHeader, *pe.SectionHeader32)) []byte {
		return image(t, func(h *pe.FileHeader, s *pe.SectionHeader32) {
			copy(s.Name[:], "/4\x00\x00\x00\x00\x00")
			h.PointerToSymbolTable = 520
			change(h, s)
		})
	}
	patched := func(at int, text string) []byte {
		b := bytes.Clone(whole)
		copy(b[at:], text)
		return b
	}
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"empty":              {nil, "DOS header: bytes 0-64 lie outside 0-0: corrupt"},
		"cut in the first":   {whole[:63], "DOS header: bytes 0-64 lie outside 0-63: corrupt"},
		"no program":         {patched(0, "ZM"), "not a PE program: corrupt"},
		"far header":         {patched(60, "\xff\xff\xff\xff"), "PE header: bytes 4294967295-4294967319 lie outside 0-532: corrupt"},
		"program of MS-DOS":  {patched(64, "NE"), "a program of MS-DOS, not a PE program: corrupt"},
		"many sections":      {image(t, func(h *pe.FileHeader, _ *pe.SectionHeader32) { h.NumberOfSections = 0xffff }), "table of 65535 sections: bytes 88-2621488 lie outside 0-532: corrupt"},
		"far sections":       {image(t, func(h *pe.FileHeader, _ *pe.SectionHeader32) { h.SizeOfOptionalHeader = 1 })[:128], "table of 1 sections: bytes 89-129 lie outside 0-128: corrupt"},
		"far content":        {image(t, func(_ *pe.FileHeader, s *pe.SectionHeader32) { s.PointerToRawData = 1<<32 - 1 }), "section .initrd: bytes 4294967295-4294967300 lie outside 0-532: corrupt"},
		"content too long":   {image(t, func(_ *pe.FileHeader, s *pe.SectionHeader32) { s.VirtualSize, s.SizeOfRawData = 21, 21 }), "section .initrd: bytes 512-533 lie outside 0-532: corrupt"},
		"far names":          {far(func(h *pe.FileHeader, _ *pe.SectionHeader32) { h.NumberOfSymbols = 1<<32 - 1 }), "name of section 1: bytes 77309411830-77309411834 lie outside 0-532: corrupt"},
		"name behind others": {far(func(_ *pe.FileHeader, s *pe.SectionHeader32) { copy(s.Name[:], "/12") }), "name of section 1: lies at 12 of 12 bytes of names: corrupt"},
	} {
		wanted := ".initrd"
		if strings.Contains(name, "name") {
			wanted = longName
		}
		if _, err := read(c.in, wanted); !errors.Is(err, fault.ErrCorrupt) || err.Error() != c.want {
			t.Errorf("%s: Section = %v, want %s", name, err, c.want)
		}
	}
}

// FuzzSection reads no more than there is.
func FuzzSection(f *testing.F) {
	f.Add(image(f, func(*pe.FileHeader, *pe.SectionHeader32) {}))
	f.Add(image(f, func(h *pe.FileHeader, s *pe.SectionHeader32) { h.SizeOfOptionalHeader, s.VirtualSize = 1, 0 }))
	f.Add(image(f, func(h *pe.FileHeader, s *pe.SectionHeader32) {
		h.PointerToSymbolTable, s.Name = 520, [8]uint8{'/', '4'}
	}))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, name := range []string{".initrd", longName} {
			got, err := read(in, name)
			if len(got) > len(in) || err != nil && got != nil {
				t.Errorf("Section(%s) = %d bytes of %d, %v", name, len(got), len(in), err)
			}
		}
	})
}
