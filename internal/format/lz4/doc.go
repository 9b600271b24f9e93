// Package lz4 unpacks LZ4: the blocks that EROFS and SquashFS have, and the
// legacy frame of an initramfs.
//
//	block   ─ sequence ─ sequence ─ ... ─ literals
//	sequence  token ─ more of the length ─ literals ─ distance ─ more of the length
//	            4 bits: literals, 4 bits: match - 4; 15: bytes follow, up to one below 255
//
//	frame   ─ magic ─ size ─ block ─ size ─ block ─ ... ─ magic ─ size ─ block ─ ...
//
// The formats are doc/lz4_Block_format.md and the legacy frame of
// doc/lz4_Frame_format.md of LZ4. liblz4 and Linux (lib/decompress_unlz4.c) are
// the measure of what is refused.
//
// Left out: the LZ4 frame (magic 0x184D2204), which neither the file systems have
// nor Linux takes for an initramfs; dictionaries; packing.
package lz4
