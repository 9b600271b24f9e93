// Package program reads the little of a program that its base asks for: what an
// ELF program runs on, and one section of a PE program, such as the initrd of a
// unified kernel image.
//
//	ELF  ─ header ─ ...
//	PE   ─ DOS header ─ ... ─ PE header ─ optional header ─ sections ─ ... ─ contents ─ symbols ─ names
//
// The formats are the System V ABI, chapter 4, and the PE Format of Microsoft
// with its COFF string table, which objcopy uses for long names of sections.
//
// Left out: all else of both, such as whether the program would run; the names
// behind 10 MB of others that LLVM spells in base 64.
package program
