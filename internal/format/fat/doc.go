// Package fat reads and edits the file systems FAT12, FAT16 and FAT32, as the
// EFI system partition has one. It mounts nothing and needs no privileges.
//
//	sector 0      boot sector with the BIOS parameter block (BPB)
//	sector 1, 6   FAT32: FSInfo, and a copy of the boot sector
//	reserved ...  the FAT: one entry of 12, 16 or 32 bits for each cluster, that
//	              names the next one of its file; usually twice
//	then          FAT12 and FAT16: the root directory, of fixed size
//	then          clusters, numbered from 2: files and directories
//
// A directory is an array of 32-byte entries. Each file has one with a short
// name of 8+3 bytes, and before it up to 20 that hold its long name in UTF-16,
// bound to the short one by a checksum. A file has no owner, no permissions but
// one bit, no links and no holes.
//
// Open reads the boot sector and gives an io/fs view; Tree gives the whole as a
// tree; Check walks every structure to its end. They take bytes that nobody
// vouches for: chains of clusters that loop, leave the volume or end early are
// fault.ErrCorrupt, and memory is bounded by what is read.
//
// Edit opens a file system for changes. It writes the contents of new files to
// clusters that are free, keeps all else in memory and writes that in Commit:
// without Commit the file system is what it was.
//
// Which of the three it is, Linux tells by where the BPB has the size of the FAT
// and by the number of clusters, and so does this package: Microsoft's rule
// takes a FAT32 of less than 65525 clusters for something else, but mkfs.fat
// makes them for small EFI system partitions. Short names outside ASCII are
// taken as code page 437, Linux's default. Times, that have no zone, are UTC.
//
// Left out: exFAT, which is another format; sectors above 4096 bytes, which
// Linux does not mount either; disks of DOS 1 without BPB; FAT on Atari; the
// extended attributes of OS/2.
//
// Source: Microsoft Extensible Firmware Initiative FAT32 File System
// Specification 1.03 (2000), "the specification" below; Linux fs/fat for what
// has to be accepted; UEFI 2.10, 13.3.
package fat
