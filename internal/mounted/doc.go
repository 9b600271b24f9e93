// Package mounted changes a file system through the kernel: one of a kind that
// sextant does not write itself, XFS or btrfs, in a part of a disk image.
//
//	file ── loop device ── mount without a place ── os.Root ── Editor
//
// The mount stands nowhere: no path leads to it, no other program sees it, and
// it ends with the process. Changes go through os.Root, so that no symbolic link
// of the image leads out of it.
//
// It takes root, /proc and Linux 5.12; to anybody else Edit is
// fault.ErrUnsupported, and says so. Unlike the editors of formats it changes the
// file at once: an image that was not committed is of no use, and the file must
// be a copy. The kernel reads what the image says with all its rights: an image
// that somebody wants to break it with can. Nor do the same changes give the same
// bytes, as the kernel puts its own times and numbers in.
//
// A btrfs is mounted with its default subvolume, or the one that Options name.
// As a base and its copy have the same UUID, it takes a kernel that can mount
// both at once (temp_fsid, Linux 6.7): older ones take the copy for the base.
//
// Source: Linux Documentation/filesystems/xfs and btrfs; mount_setattr(2) and
// fsmount(2).
package mounted
