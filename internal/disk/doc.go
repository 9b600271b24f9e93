// Package disk opens, makes and copies disk images, whatever contains them.
//
//	Open    file ─> Disk: which container it is, what is on the disk, its bytes and where they are
//	Create  name, format, size ─> Output: a disk of zeros, written at any place, that appears with Commit
//	Copy    Disk ─> Output: what is not zero
//
// A container is raw, qcow2, vhd (dynamic), vhd-fixed or vhdx, in the words of
// Image Customizer's --output-image-format. A raw file can hold a disk with a
// partition table, a bare file system or an archive; a directory can stand for
// a root file system.
//
// No container makes another file be read: backing files, external data files
// and parents are refused.
//
// # The same bytes for the same inputs
//
// Formats that want unique ids (vhd, vhdx) get them from a checksum over all
// that was written and where, the size and the time that Create is given; time
// stamps (vhd) are that time. Copy writes in the order of the disk, whatever
// the number of processors.
package disk
