// Package squashfs reads SquashFS 4.0 file systems, as an io/fs.FS and as a
// tree.Tree, checks them to the last block, and prints their bytes with what
// they mean. It does not write them.
//
//	 0  superblock                                        96 bytes
//	96  compressor options              one metadata block, may be missing
//	    data blocks and fragment blocks                   byte aligned
//	    inode table                     metadata blocks
//	    directory table                 metadata blocks
//	    fragment table    ┐
//	    export table      │ lookup tables: metadata blocks with entries,
//	    id table          │ then an index of 8-byte pointers to these; the
//	    xattr table       ┘ superblock points to the index
//	    padding to 4096                                   not counted
//
// A metadata block holds up to 8192 bytes and is stored behind a 2-byte header
// with its size. What crosses its end goes on in the next one. Inodes and
// directory entries point into a table with a Ref: where the block starts on
// disk, and where to begin in its unpacked bytes.
//
// A file is a row of blocks of the file system's block size, one after the
// other on disk; their sizes follow the inode, 0 for a hole. What is left at
// the end can lie in a fragment block, together with the ends of other files.
//
// Compressors: gzip (zlib), xz with all its filters, lz4 and zstd. An image with
// lzo or lzma is told from a broken one, but not read.
//
// Nothing is allocated by a number from the image before that number is
// checked. Unpacked blocks are kept in caches of together 41 MiB at most.
// A directory that two entries lead to is an error, as it would let a walk go
// on for ever; so is a tree of more than 4 Mi entries.
//
// Sources: Linux fs/squashfs (squashfs_fs.h and the checks made at mount), the
// format description at https://dr-emann.github.io/squashfs/, and what
// mksquashfs 4.5 and 4.6 write.
package squashfs
