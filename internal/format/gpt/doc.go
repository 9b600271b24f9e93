// Package gpt reads and writes GUID Partition Tables, together with the
// protective MBR in front of them.
//
//	LBA 0                 protective MBR: one record of type 0xEE over the disk
//	LBA 1                 primary header
//	LBA 2 ...             partition entries, 128 of 128 bytes
//	FirstUsable           \
//	...                    partitions
//	LastUsable            /
//	LastUsable+1 ...      the same partition entries once more
//	last LBA              backup header
//
// One LBA is one sector of 512, 1024, 2048 or 4096 bytes. The entries take
// 16384 bytes, so FirstUsable is at least 34 with sectors of 512 bytes and 6
// with 4096. Both headers carry a CRC32 of themselves and one of the entries.
//
// Write makes the table and the MBR that libfdisk makes, byte for byte. Read
// takes what others make: other sector sizes, entry sizes and entry counts, a
// damaged primary or backup table, and says in a list of problems what is wrong
// with it. It leaves out the partitions that the kernel and libblkid leave out.
//
// Left out: MBR partitions (a hybrid MBR is a problem on the list, the GPT next
// to it still counts), moving or resizing of partitions.
//
// Source: UEFI Specification 2.10, chapter 5; the attribute bits 59, 60 and 63
// come from the Discoverable Partitions Specification (UAPI.2).
package gpt
