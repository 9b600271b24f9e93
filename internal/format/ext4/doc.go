// Package ext4 reads, checks and edits the ext2, ext3 and ext4 file systems. It
// mounts nothing and needs no privileges.
//
//	byte 1024    superblock
//	then         group descriptors, one for each block group
//	each group   [superblock copy, descriptor copies, room for more descriptors]
//	             block bitmap: one bit for each cluster of the group
//	             inode bitmap: one bit for each inode of the group
//	             inode table
//	             data blocks: file contents, directories, extent trees, xattrs
//
// With flex_bg the bitmaps and tables of several groups lie together in the
// first of them; with meta_bg the descriptors lie in the groups they describe;
// with bigalloc a cluster is several blocks, otherwise it is one.
//
// An inode finds its blocks through a tree of extents, at most five levels
// deep, or as in ext2 and ext3 through three levels of block pointers. A small
// file or directory can lie in the inode itself. A directory is an array of
// entries in each of its blocks; an index over the hashes of the names can be
// hidden in blocks that look empty. Extended attributes lie behind the inode's
// fields, in one block that inodes may share, or, when large, in inodes of
// their own.
//
// Open reads the superblock and gives an io/fs view; Tree gives the whole as a
// tree; Check walks every structure to its end. Wherever the format carries a
// checksum, reading verifies it. All of them take bytes that nobody vouches
// for: they need memory in proportion to what is read, never to what a field
// claims, and answer a broken structure with fault.ErrCorrupt.
//
// Edit replays a journal that was not emptied, and gives an Editor: it puts and
// removes files as the kernel would, holds all changes but the content of files
// in memory, and writes them with Commit. It allocates first fit, near the
// directory, in runs as long as there are. Copies of superblock and descriptors
// stay as they are, as they do under the kernel. It refuses, before a byte is
// written, file systems with features that it does not keep right: bigalloc,
// shared_blocks, read-only, journals on other devices that are not empty, fast
// commits, and all that it does not know; and files in encrypted and case-folded
// directories, new attributes that need inodes of their own, changes to files
// that have such, and immutable files.
//
// Left out: for readers, replay of a journal that was not emptied (Dirty tells;
// what is read is then the state before the journal), contents and names of
// encrypted files (fault.ErrUnsupported), file systems whose features have a bit
// we do not know or that are a journal alone, and the order of names in
// case-folded directories, which depends on Unicode tables; for the Editor, new
// inline data: what it makes lies in blocks.
//
// Source: Linux Documentation/filesystems/ext4, fs/ext4, fs/jbd2 and fs/quota; e2fsprogs
// lib/ext2fs for what mke2fs and e2fsck make of it.
package ext4
