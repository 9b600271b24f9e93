// Package vhd reads and writes the virtual hard disks of Virtual PC, Hyper-V
// and Azure.
//
//	fixed:    the disk as it is
//	          footer, 512 bytes
//
//	dynamic:  copy of the footer
//	          dynamic disk header, 1024 bytes
//	          block allocation table: for each block where it is
//	          blocks, each behind a bitmap of its sectors
//	          footer
//
// All numbers are big-endian. Sectors have 512 bytes; a block has 2 MiB unless
// the header says otherwise. A sector whose bit is not set is zero.
//
// There are two ways to tell the size of a disk: the footer's Current Size, as
// Hyper-V and Azure do, and its geometry of cylinders, heads and sectors, as
// Virtual PC did and qemu-img does by default. The geometry can express few
// sizes, so such disks were made larger, and are no whole number of MiB, which
// Azure wants. Which way counts follows from the program that made the disk,
// which the footer names. Open refuses disks whose geometry counts.
//
// Create writes what "qemu-img create -o force_size=on" writes, which is read
// by Current Size everywhere, with data at multiples of 4096 bytes. The time
// stamp and the unique id come from the caller.
//
// Left out: differencing disks, whose other half is in another file.
//
// Source: Virtual Hard Disk Image Format Specification 1.0 (Microsoft, 2006).
package vhd
