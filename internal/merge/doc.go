// Package merge lays extensions over the directories of a running system, and
// takes them away again:
//
//	candidates ─ mount, judge ─> layers ─ overlay ─> tree ─ swap ─> hierarchy
//	└── in a mount namespace of its own, on a tmpfs ──┘   └─ on the host ─┘
//
// Everything is built where nobody sees it, below /run/systemd/sysext of a thread
// with a mount namespace of its own. What comes out is a tree of mounts that
// stands nowhere: the overlay, with copies of what others have mounted below the
// old one. On the host it takes one step per hierarchy:
//
//	swapIn       nothing of ours is there    attach, then unmount what it covers of others
//	swapOver     an old overlay is there     attach beneath it, then take that away (Linux 6.5)
//	swapClassic  the upper directory is its  park the mounts of others, take the old one away,
//	             or the kernel is older      build the new one, attach it, unpark
//	peel         none shall be there         park the mounts of others, take it away, unpark
//
// Each step has its way back, which runs if a later one fails. What a run leaves
// that is killed can be told from what is mounted, and the next run puts it right
// first (recover): mounts parked in /run/systemd/sysext/parked, two of our
// overlays on one another, a mount of others both on our overlay and beneath it,
// a work directory of no overlay, and for the moment in which a device of
// dm-verity is made, a file /run/systemd/sysext/verity.NAME. Loop devices and
// finished dm-verity devices vanish with whoever has them open.
//
// The lock is on the directory /run/systemd/sysext.
//
// Images always get loop devices. Mounting a file directly, as EROFS can from
// Linux 6.12 on, is faster still, but it counts as one of the two file systems
// that may be stacked, so no overlay could be laid over the merged directory.
//
// What is mounted, and the files in the dot directory, are those of systemd 262
// (src/sysext/sysext.c), so that it can refresh and unmerge what we merged.
//
// Left out: .mstack directories, encrypted images, and the measurement of root
// hashes into the TPM that systemd makes from 260 on.
package merge
