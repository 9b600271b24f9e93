// Package erofs writes and reads EROFS images, the read-only file system that
// systemd's extension images use by default.
//
// # Writing
//
// An image is planned first and made later. Plan gives every inode, xattr and
// block its place, from what the tree knows, without reading a file. The
// Layout it returns never changes, so that any part of the image can be
// rendered on its own, in any order, by any number of goroutines, each with an
// Image: the bytes are the same, and nothing of the image is kept in memory.
//
//	block 0   1024 bytes nothing │ superblock │ root │ more inodes
//	          directory blocks of the root, if it is large
//	          xattrs that several inodes share
//	group     inodes, each with its xattrs and the end of its data │ directory blocks │ data
//	group     ...
//
// A group is about as much as one segment of 512 KiB. Its inodes are packed so
// that their blocks are nearly full, and lie in front of the data, so a file is
// mostly opened once, for its data and the end of it, which stands behind the
// inode. Groups follow the directories: names of one directory next to each
// other, then what is in its subdirectories, as "ls -lR" reads them.
//
// What is written uses nothing newer than Linux 5.15, where chunks came: images
// with holes in files need that feature (CHUNKED_FILE), others none. The tests
// mount with 6.1, 6.12 and the kernel they run on. Two things are that way
// because kernels differ. A compact inode, of 32 instead of 64 bytes, is used
// only for a file with exactly the build time: its time means that in older
// kernels, and is relative to it in those with 48-bit addresses. And a symbolic
// link's target stands behind its inode only if both are in the same block.
//
// # Reading
//
// Open gives an fs.FS, Tree all files as a tree, Check everything that is
// wrong in the structures and in compressed data, Describe all structures byte by
// byte. The layouts of a file's data are types that
// implement content. For compressed data that is a sequence of pclusters, which
// a finder gets from what stands behind the inode:
//
//	map header │ gap │ full index │ full index │ ... │ inline pcluster
//	map header │ pack of compact indexes │ ... │ inline pcluster
//	map header │ extent │ extent │ ...
//	place in the packed inode
//
// A pcluster is at most 1 MiB that decode to at most 12 MiB. Those that are not
// read as a whole are kept in a cache of 16 MiB.
//
// Two inodes have no name. The content of the packed inode is fragments, ends of
// files or whole ones. That of the metabox is inodes, with what belongs to them;
// the highest bit of an inode's number says that it is there.
//
// Left out: further devices, and for writing also compression, 48-bit addresses,
// long xattr prefixes and the xattr name filter, which no kernel needs.
//
// The format is Linux's fs/erofs/erofs_fs.h, with Documentation/filesystems/erofs.rst.
package erofs
