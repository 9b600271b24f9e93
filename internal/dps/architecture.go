package dps

import (
	"fmt"
	"runtime"
	"strings"
)

// Architecture is a processor architecture, by the name that systemd and mkosi
// give it.
type Architecture string

// The architectures of the specification.
const (
	Alpha       Architecture = "alpha"
	ARC         Architecture = "arc"
	ARM         Architecture = "arm"
	ARM64       Architecture = "arm64"
	IA64        Architecture = "ia64"
	LoongArch64 Architecture = "loongarch64"
	MIPS        Architecture = "mips"
	MIPS64      Architecture = "mips64"
	MIPSLE      Architecture = "mips-le"
	MIPS64LE    Architecture = "mips64-le"
	PARISC      Architecture = "parisc"
	PPC         Architecture = "ppc"
	PPC64       Architecture = "ppc64"
	PPC64LE     Architecture = "ppc64-le"
	RISCV32     Architecture = "riscv32"
	RISCV64     Architecture = "riscv64"
	S390        Architecture = "s390"
	S390X       Architecture = "s390x"
	TILEGx      Architecture = "tilegx"
	X86         Architecture = "x86"
	X86_64      Architecture = "x86-64"
)

// names are the other names of an architecture.
type names struct {
	architecture Architecture

	goarch string // of Go and of OCI images; empty if Go has no port
	uname  string // machine field of uname(2), empty if the kernel has no port

	// aliases are what systemd takes in the name of a partition type.
	aliases []string

	// fdisk is how util-linux writes it.
	fdisk string
}

func architectureNames() []names {
	return []names{
		{Alpha, "", "alpha", nil, "Alpha"},
		{ARC, "", "arc", nil, "ARC"},
		{ARM, "arm", "armv7l", []string{"armv7l"}, "ARM"},
		{ARM64, "arm64", "aarch64", []string{"aarch64"}, "ARM-64"},
		{IA64, "", "ia64", nil, "IA-64"},
		{LoongArch64, "loong64", "loongarch64", []string{"loong64"}, "LoongArch-64"},
		{MIPS, "mips", "mips", nil, "MIPS-32 BE"},
		{MIPS64, "mips64", "mips64", nil, "MIPS-64 BE"},
		{MIPSLE, "mipsle", "mips", []string{"mipsel"}, "MIPS-32 LE"},
		{MIPS64LE, "mips64le", "mips64", []string{"mips64el"}, "MIPS-64 LE"},
		{PARISC, "", "parisc", []string{"hppa"}, "HPPA/PARISC"},
		{PPC, "ppc", "ppc", nil, "PPC"},
		{PPC64, "ppc64", "ppc64", nil, "PPC64"},
		{PPC64LE, "ppc64le", "ppc64le", []string{"ppc64le", "ppc64el"}, "PPC64LE"},
		{RISCV32, "riscv", "riscv32", nil, "RISC-V-32"},
		{RISCV64, "riscv64", "riscv64", nil, "RISC-V-64"},
		{S390, "s390", "s390", nil, "S390"},
		{S390X, "s390x", "s390x", nil, "S390X"},
		{TILEGx, "", "tilegx", nil, "TILE-Gx"},
		{X86, "386", "i686", []string{"i386", "i486", "i586", "i686"}, "x86"},
		{X86_64, "amd64", "x86_64", []string{"x86_64", "amd64"}, "x86-64"},
	}
}

// Architectures lists all architectures in the order of systemd's table.
func Architectures() []Architecture {
	var all []Architecture
	for _, n := range architectureNames() {
		all = append(all, n.architecture)
	}
	return all
}

// ParseArchitecture takes the name of systemd and mkosi, or one of the aliases
// that systemd takes in partition types (aarch64, amd64, i686, ...).
func ParseArchitecture(name string) (Architecture, error) {
	for _, n := range architectureNames() {
		if name == string(n.architecture) {
			return n.architecture, nil
		}
	}
	for _, n := range architectureNames() {
		for _, alias := range n.aliases {
			if name == alias {
				return n.architecture, nil
			}
		}
	}
	return "", fmt.Errorf("unknown architecture %q", name)
}

// FromGo returns the architecture that Go and OCI images call goarch.
func FromGo(goarch string) (Architecture, bool) {
	for _, n := range architectureNames() {
		if n.goarch == goarch && goarch != "" {
			return n.architecture, true
		}
	}
	return "", false
}

// FromUname returns the architecture of a machine as uname(2) names it. The
// two byte orders of MIPS have the same name there; it counts as big-endian,
// as in systemd.
func FromUname(machine string) (Architecture, bool) {
	for _, n := range architectureNames() {
		if n.uname == machine {
			return n.architecture, true
		}
	}
	switch {
	case strings.HasPrefix(machine, "armv") && !strings.HasSuffix(machine, "b"):
		return ARM, true
	case machine == "i386", machine == "i486", machine == "i586":
		return X86, true
	case machine == "riscv":
		return RISCV64, true
	case machine == "parisc64":
		// systemd tells it from parisc, but has no partition types for it.
		return PARISC, true
	}
	return "", false
}

// Native returns the architecture that this program was built for.
func Native() Architecture {
	a, ok := FromGo(runtime.GOARCH)
	if !ok {
		panic("internal error: no architecture for GOARCH=" + runtime.GOARCH)
	}
	return a
}

// Go returns the name in Go and in OCI images, "" if it has none.
func (a Architecture) Go() string { return a.names().goarch }

// Uname returns the usual machine name in uname(2), which os-release files and
// package managers use as well.
func (a Architecture) Uname() string { return a.names().uname }

// Secondary returns the 32-bit architecture that machines of architecture a run
// too; systemd calls its partitions root-secondary and usr-secondary.
func (a Architecture) Secondary() (Architecture, bool) {
	switch a {
	case X86_64:
		return X86, true
	case ARM64:
		return ARM, true
	}
	return "", false
}

func (a Architecture) names() names {
	for _, n := range architectureNames() {
		if n.architecture == a {
			return n
		}
	}
	return names{}
}
