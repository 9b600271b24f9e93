// Package vhdx reads and writes the virtual hard disks of Hyper-V since 2012.
//
//	0 KiB                file identifier
//	64, 128 KiB          two headers, of which the one with the larger sequence number counts
//	192, 256 KiB         two equal region tables: where the BAT and the metadata are
//	1 MiB and up         log, metadata, block allocation table (BAT), in any order
//	                     payload blocks of 1 to 256 MiB
//
// All numbers are little-endian; headers, region tables and log entries carry
// a CRC-32C. The BAT has an entry for each payload block, and one for a sector
// bitmap behind those of each chunk of 2^23 sectors; only differencing disks
// have such bitmaps.
//
// Changes to the metadata went through the log. After a crash it holds some
// that are not in their places yet; Open finds them there and reads them as if
// they were in place. It never writes.
//
// Create writes dynamic and fixed disks with an empty log. Blocks lie in the
// order in which they were first written, unique ids come from the caller, so
// the same writes give the same bytes. Blocks that are zero are left out of
// dynamic disks. The block size is 1 MiB up to disks of 128 GiB and grows with
// them, so that the BAT stays at 1 MiB.
//
// Left out: differencing disks, whose other half is in another file.
//
// Source: [MS-VHDX] Virtual Hard Disk v2 (VHDX) File Format, revision 8.0.
package vhdx
