// Package qcow2 reads and writes QEMU's disk images of versions 2 and 3.
//
//	cluster 0            header, header extensions, name of the backing file
//	L1 table             for each 512 MiB (clusters of 64 KiB): where its L2 table is
//	L2 tables            one cluster each: for each cluster of the disk, where it is
//	data clusters        as they are, or compressed and packed behind each other
//	refcount table       where the refcount blocks are
//	refcount blocks      one cluster each: how often each cluster is used
//
// All numbers are big-endian. Everything but compressed data begins at a
// multiple of the cluster size, which is 512 bytes to 2 MiB.
//
// Open reads clusters that are stored, compressed with deflate or zstd, zero
// or missing, and the subclusters of extended L2 entries. It does not need
// refcounts, so those that may be wrong (dirty bit, lazy refcounts) do no harm.
// Bitmaps are no part of the disk and are passed over.
//
// Refused is whatever makes another file part of the disk: a backing file, an
// external data file; and what this package does not do: encryption, internal
// snapshots, features it does not know. An image that its writer marked as
// corrupt is refused too.
//
// Create writes version 3 without any feature: clusters of 64 KiB, refcounts of
// 16 bits that are all one, tables as soon as they are needed and refcounts at
// the end. Clusters lie in the order in which they were first written, so the
// same writes give the same bytes. Clusters that are zero are left out.
//
// Source: docs/interop/qcow2.txt of QEMU.
package qcow2
