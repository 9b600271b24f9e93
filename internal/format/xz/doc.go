// Package xz reads and writes .xz files around the LZMA2 of
// github.com/ulikunitz/xz/lzma.
//
//	stream    header         12 bytes: magic, which check, CRC-32
//	          block          any number
//	          index          0, count, sizes of each block, padding, CRC-32
//	          footer         12 bytes: CRC-32, size of the index, which check, "YZ"
//	padding                  zeros
//	stream    ...
//
//	block     header         8 to 1024 bytes: sizes, filters, padding, CRC-32
//	          LZMA2 chunks   packed, behind up to three filters
//	          padding        to a multiple of four bytes
//	          check          of the unpacked bytes: none, CRC-32, CRC-64 or SHA-256
//
// Numbers are little-endian; those of blocks and the index have seven bits to
// the byte, the lowest first.
//
// The Reader takes one stream after the other, as "xz -d" does, or the first
// alone. It undoes all filters of the format: delta, and the branches of x86,
// PowerPC, IA-64, ARM, ARM-Thumb, SPARC, ARM64 and RISC-V. Whatever the stream
// says about itself is compared with what was read. The memory that is needed
// is one dictionary, of a size that the caller limits, and about 150 KiB; how
// many blocks there are does not matter.
//
// A check of another kind is refused. "xz -d" unpacks such a file with a warning
// and ends with status 2; here is nobody to be warned.
//
// The Writer writes one stream with one block, a dictionary of 8 MiB and a
// CRC-64, the same bytes that the Writer of github.com/ulikunitz/xz gives. That
// package is not used, as it makes a table at each start of a program that
// imports it, takes a dictionary of any size, and knows no filters.
//
// One thing is not looked at, as the LZMA2 decoder hides it: an end marker in a
// chunk, which the encoder of LZMA2 does not write, does no harm here.
//
// Source: The .xz File Format 1.2.1.
package xz
