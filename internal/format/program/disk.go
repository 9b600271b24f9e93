package program

// Class says how wide an ELF program's addresses are.
type Class uint8

// The classes.
const (
	Class32 Class = 1
	Class64 Class = 2
)

// Order is the byte order of an ELF program.
type Order uint8

// The byte orders.
const (
	Little Order = 1
	Big    Order = 2
)

// Machine is the processor of an ELF program.
type Machine uint16

// The machines of the architectures that have partition types, from the
// registry of the ABI and Linux (include/uapi/linux/elf-em.h).
const (
	I386      Machine = 3
	MIPS      Machine = 8
	PARISC    Machine = 15
	PPC       Machine = 20
	PPC64     Machine = 21
	S390      Machine = 22
	ARM       Machine = 40
	IA64      Machine = 50
	X86_64    Machine = 62
	ARC       Machine = 93 // ARCompact
	AArch64   Machine = 183
	TILEGx    Machine = 191
	ARCv2     Machine = 195
	RISCV     Machine = 243
	LoongArch Machine = 258
	Alpha     Machine = 0x9026 // never registered, but the one in use
)

// ELF is the start of an ELF header, e_ident to e_machine. The fields behind
// Version are in the byte order Order.
type ELF struct {
	Magic      [4]byte // 0 "\x7fELF"
	Class      Class   // 4
	Order      Order   // 5
	Version    uint8   // 6 1
	ABI        uint8   // 7
	ABIVersion uint8   // 8
	_          [7]byte // 9
	Type       uint16  // 16
	Machine    Machine // 18
}

const (
	elfMagic   = "\x7fELF"
	elfVersion = 1

	dosMagic = "MZ"
	peMagic  = "PE\x00\x00"

	symbolSize = 18 // bytes of a COFF symbol
)

// dosHeader is the header of MS-DOS, which every PE program begins with.
type dosHeader struct {
	Magic  [2]byte  //  0 "MZ"
	_      [58]byte //  2
	Header uint32   // 60 where the PE header is
}

// peHeader is the PE header: signature and COFF file header. The optional header
// follows, then the sections.
type peHeader struct {
	Magic           [4]byte //  0 "PE\0\0"
	Machine         uint16  //  4
	Sections        uint16  //  6 how many
	Time            uint32  //  8
	Symbols         uint32  // 12 where the symbols are, 0: none
	SymbolCount     uint32  // 16 the names follow the symbols
	OptionalSize    uint16  // 20 bytes of the optional header
	Characteristics uint16  // 22
}

// section is a section header.
type section struct {
	Name            [8]byte //  0 or "/" and a decimal offset into the names
	VirtualSize     uint32  //  8 bytes in memory
	VirtualAddress  uint32  // 12
	Size            uint32  // 16 bytes in the file, more than in memory where it is padded
	Offset          uint32  // 20 where in the file
	Relocations     uint32  // 24
	Lines           uint32  // 28
	RelocationCount uint16  // 32
	LineCount       uint16  // 34
	Characteristics uint32  // 36
}
