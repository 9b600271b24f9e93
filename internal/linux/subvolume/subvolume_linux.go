package subvolume

import (
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rootInode is the inode number of every subvolume (BTRFS_FIRST_FREE_OBJECTID).
const rootInode = 256

// getInfo is BTRFS_IOC_GET_SUBVOL_INFO, since Linux 4.18.
const getInfo = 2<<30 | unsafe.Sizeof(info{})<<16 | 0x94<<8 | 60

// info is struct btrfs_ioctl_get_subvol_info_args of linux/btrfs.h.
type info struct {
	Tree             uint64      //   0
	Name             [256]byte   //   8
	Parent           uint64      // 264
	Dir              uint64      // 272
	Generation       uint64      // 280
	Flags            uint64      // 288
	UUIDs            [3][16]byte // 296
	Transactions     [4]uint64   // 344
	Changed, Created stamp       // 376, 392
	Sent, Received   stamp       // 408, 424
	Reserved         [8]uint64   // 440
}

// stamp is struct btrfs_ioctl_timespec, with the padding of 64-bit systems.
type stamp struct {
	Seconds     uint64
	Nanoseconds uint32
	_           uint32
}

// Look returns the facts about the directory at path, which is no link.
func Look(path string) (Facts, error) {
	var x unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BTIME|unix.STATX_INO|unix.STATX_TYPE, &x); err != nil {
		return Facts{}, &os.PathError{Op: "statx", Path: path, Err: err}
	}
	var f Facts
	if x.Mask&unix.STATX_BTIME != 0 {
		f.Birth = time.Unix(x.Btime.Sec, int64(x.Btime.Nsec))
	}
	if x.Ino != rootInode {
		return f, nil
	}
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return Facts{}, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	if s.Type != unix.BTRFS_SUPER_MAGIC {
		return f, nil
	}
	f.Subvolume = true
	return f, f.fill(path)
}

// fill asks btrfs for the times of the subvolume.
func (f *Facts) fill(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	var i info
	if _, _, no := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), getInfo, uintptr(unsafe.Pointer(&i))); no != 0 {
		return &os.PathError{Op: "read subvolume", Path: path, Err: no}
	}
	f.Birth = i.Created.time()
	f.Changed = i.Changed.time()
	return nil
}

func (s stamp) time() time.Time {
	if s.Seconds == 0 && s.Nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s.Seconds), int64(s.Nanoseconds))
}
