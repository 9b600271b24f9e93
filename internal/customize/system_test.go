package customize_test

import (
	"testing"

	"sextant/internal/customize"
	"sextant/internal/dps"
	"sextant/internal/format/program"
)

// TestArchitectures finds a program for every architecture, and no other
// architecture for a width or byte order that it does not have.
func TestArchitectures(t *testing.T) {
	got := make(map[dps.Architecture]int)
	for machine := range program.Machine(0xffff) {
		for _, class := range []program.Class{program.Class32, program.Class64} {
			for _, order := range []program.Order{program.Little, program.Big} {
				got[customize.ArchitectureFor(program.ELF{Machine: machine, Class: class, Order: order})]++
			}
		}
	}
	for _, a := range dps.Architectures() {
		want := 1
		switch a {
		case dps.ARC: // two machines
			want = 8
		case dps.Alpha, dps.ARM, dps.ARM64, dps.IA64, dps.PARISC, dps.PPC, dps.TILEGx, dps.X86, dps.X86_64:
			want = 4 // the machine alone decides
		}
		if got[a] != want {
			t.Errorf("%s has %d kinds of programs, want %d", a, got[a], want)
		}
	}
	for _, c := range []struct {
		machine program.Machine
		class   program.Class
		order   program.Order
		want    dps.Architecture
	}{
		{program.X86_64, program.Class64, program.Little, dps.X86_64},
		{program.X86_64, program.Class32, program.Little, dps.X86_64},
		{program.PPC64, program.Class64, program.Little, dps.PPC64LE},
		{program.PPC64, program.Class64, program.Big, dps.PPC64},
		{program.MIPS, program.Class32, program.Little, dps.MIPSLE},
		{program.MIPS, program.Class64, program.Big, dps.MIPS64},
		{program.S390, program.Class64, program.Big, dps.S390X},
		{program.RISCV, program.Class64, program.Little, dps.RISCV64},
		{program.RISCV, program.Class64, program.Big, ""},
	} {
		if got := customize.ArchitectureFor(program.ELF{Machine: c.machine, Class: c.class, Order: c.order}); got != c.want {
			t.Errorf("architecture of machine %d, class %d, order %d = %q, want %q", c.machine, c.class, c.order, got, c.want)
		}
	}
}
