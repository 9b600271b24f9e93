package mount

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Attributes of a mount.
type Attributes uint64

// The attributes that are used here.
const (
	ReadOnly Attributes = unix.MOUNT_ATTR_RDONLY
	NoSuid   Attributes = unix.MOUNT_ATTR_NOSUID
	NoDev    Attributes = unix.MOUNT_ATTR_NODEV
	NoExec   Attributes = unix.MOUNT_ATTR_NOEXEC
	NoAtime  Attributes = unix.MOUNT_ATTR_NOATIME
)

// moveBeneath is MOVE_MOUNT_BENEATH of linux/mount.h.
const moveBeneath = 0x200

// Option is a parameter of a file system: a flag where Value is "" and Flag is
// true.
type Option struct {
	Key, Value string
	Flag       bool
}

// New makes a file system and a mount of it that stands nowhere. When the
// kernel refuses, the error holds the lines that it logs about it. A file system
// that is read-only needs the flag "ro" besides the attribute.
func New(fstype, source string, options []Option, attributes Attributes) (*os.File, error) {
	fd, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		if errors.Is(err, unix.ENODEV) {
			return nil, fmt.Errorf("the kernel has no file system %s, or its module is not loaded: %w", fstype, err)
		}
		return nil, fmt.Errorf("open file system %s: %w", fstype, err)
	}
	defer unix.Close(fd)
	if source != "" {
		if err := unix.FsconfigSetString(fd, "source", source); err != nil {
			return nil, refusal(fd, fmt.Sprintf("%s: source %s", fstype, source), err)
		}
	}
	for _, o := range options {
		if err := o.set(fd); err != nil {
			return nil, refusal(fd, fmt.Sprintf("%s: option %s", fstype, o), err)
		}
	}
	if err := unix.FsconfigCreate(fd); err != nil {
		return nil, refusal(fd, "mount "+fstype, err)
	}
	tree, err := unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, int(attributes))
	if err != nil {
		return nil, refusal(fd, "mount "+fstype, err)
	}
	return os.NewFile(uintptr(tree), fstype), nil
}

func (o Option) set(fd int) error {
	if o.Flag {
		return unix.FsconfigSetFlag(fd, o.Key)
	}
	return unix.FsconfigSetString(fd, o.Key, o.Value)
}

// String gives the option as mount(8) takes it.
func (o Option) String() string {
	if o.Flag {
		return o.Key
	}
	return o.Key + "=" + o.Value
}

// refusal adds to an error what the kernel says about it.
func refusal(fd int, what string, err error) error {
	var said []string
	buf := make([]byte, 4096)
	for len(said) < 20 {
		n, readErr := unix.Read(fd, buf)
		if readErr != nil || n <= 0 {
			break
		}
		line := strings.TrimRight(string(buf[:n]), "\n")
		if len(line) > 2 && line[1] == ' ' {
			line = line[2:] // "e ", "w " or "i "
		}
		said = append(said, line)
	}
	if len(said) == 0 {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w: %s", what, err, strings.Join(said, "; "))
}

// Classic mounts with mount(2), which takes attributes and the data of the file
// system together.
func Classic(source, target, fstype string, attributes Attributes, data string) error {
	flags := uintptr(0)
	for _, f := range []struct {
		attribute Attributes
		flag      uintptr
	}{{ReadOnly, unix.MS_RDONLY}, {NoSuid, unix.MS_NOSUID}, {NoDev, unix.MS_NODEV}, {NoExec, unix.MS_NOEXEC}, {NoAtime, unix.MS_NOATIME}} {
		if attributes&f.attribute != 0 {
			flags |= f.flag
		}
	}
	if err := unix.Mount(source, target, fstype, flags, data); err != nil {
		return &os.PathError{Op: "mount " + fstype + " on", Path: target, Err: err}
	}
	return nil
}

// Clone returns a copy of the mount at path that stands nowhere; with all that
// is mounted below it if recursive.
func Clone(path string, recursive bool) (*os.File, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, flags)
	if err != nil {
		return nil, &os.PathError{Op: "clone mount", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// Hold returns a handle of the mount or directory at path, by which it can be
// found when something else covers it.
func Hold(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// Attach puts a tree that stands nowhere on the directory or file target.
func Attach(tree *os.File, target string) error { return attach(tree, target, 0) }

// AttachBeneath puts a tree beneath what is mounted on target, so that it
// appears when that is taken away (Linux 6.5).
func AttachBeneath(tree *os.File, target string) error {
	return attach(tree, target, moveBeneath)
}

func attach(tree *os.File, target string, flags int) error {
	err := unix.MoveMount(int(tree.Fd()), "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH|flags)
	if err != nil {
		return &os.PathError{Op: "attach mount to", Path: target, Err: err}
	}
	return nil
}

// Set adds and removes attributes of one mount, or of all in its tree.
func Set(tree *os.File, recursive bool, add, remove Attributes) error {
	attr := unix.MountAttr{Attr_set: uint64(add), Attr_clr: uint64(remove)}
	if err := setattr(int(tree.Fd()), "", recursive, &attr); err != nil {
		return &os.PathError{Op: "set mount attributes of", Path: tree.Name(), Err: err}
	}
	return nil
}

// MakePrivate keeps what happens in a tree of mounts from others, and what
// happens to others from it.
func MakePrivate(tree *os.File) error {
	if err := setattr(int(tree.Fd()), "", true, &unix.MountAttr{Propagation: unix.MS_PRIVATE}); err != nil {
		return &os.PathError{Op: "make private", Path: tree.Name(), Err: err}
	}
	return nil
}

func setattr(fd int, path string, recursive bool, attr *unix.MountAttr) error {
	flags := uint(0)
	if path == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	return unix.MountSetattr(fd, path, flags, attr)
}

// Detach takes away what is mounted on target, with all that is mounted below.
// Who has files open there keeps them.
func Detach(target string) error {
	if err := unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		return &os.PathError{Op: "unmount", Path: target, Err: err}
	}
	return nil
}

// DetachHeld takes away the mount that Hold or Clone returned, wherever it is
// and whatever covers it. It needs /proc.
func DetachHeld(tree *os.File) error {
	path := "/proc/thread-self/fd/" + strconv.Itoa(int(tree.Fd()))
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
		return &os.PathError{Op: "unmount", Path: tree.Name(), Err: err}
	}
	return nil
}

// NewNamespace gives the calling thread a mount namespace of its own, from
// which nothing gets out. The thread must end when that is no longer wanted.
func NewNamespace() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("new mount namespace: %w", err)
	}
	if err := setattr(unix.AT_FDCWD, "/", true, &unix.MountAttr{Propagation: unix.MS_PRIVATE}); err != nil {
		return fmt.Errorf("make mount namespace private: %w", err)
	}
	return nil
}

// IsPoint reports whether something is mounted on path.
func IsPoint(path string) (bool, error) {
	var x unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, &x)
	if err != nil {
		return false, &os.PathError{Op: "statx", Path: path, Err: err}
	}
	return x.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// ID returns the number that mountinfo has for the mount that path lies on.
func ID(path string) (int, error) {
	var x unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, unix.STATX_MNT_ID, &x)
	if err != nil {
		return 0, &os.PathError{Op: "statx", Path: path, Err: err}
	}
	return int(x.Mnt_id), nil
}

// BeneathWorks reports whether the kernel knows AttachBeneath.
func BeneathWorks() bool {
	// Without a tree to attach, a kernel that knows the flag complains of that.
	err := unix.MoveMount(-1, "", unix.AT_FDCWD, "/", unix.MOVE_MOUNT_F_EMPTY_PATH|moveBeneath)
	return !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS)
}

// Device splits a device number of stat(2).
func Device(dev uint64) (major, minor uint32) { return unix.Major(dev), unix.Minor(dev) }

// Allowed reports whether the calling thread may mount: it has CAP_SYS_ADMIN
// (capabilities(7)).
func Allowed() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData // version 3 has 64 bits in two halves
	err := unix.Capget(&header, &sets[0])
	return err == nil && sets[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// FirstThread reports whether the calling thread is the first of the process.
func FirstThread() bool { return unix.Gettid() == unix.Getpid() }

// IsReadOnly reports whether the file system or mount that path lies on takes no
// changes.
func IsReadOnly(path string) (bool, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return false, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return s.Flags&unix.ST_RDONLY != 0, nil
}

// InDir calls f with path as the working directory of the calling thread, which
// must have one of its own (NewNamespace).
func InDir(path string, f func() error) error {
	old, err := unix.Open(".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open working directory: %w", err)
	}
	defer unix.Close(old)
	if err := unix.Chdir(path); err != nil {
		return &os.PathError{Op: "chdir", Path: path, Err: err}
	}
	return errors.Join(f(), unix.Fchdir(old))
}

// BlockDevice returns the number, major:minor, of the block device that the file
// system of path is on, "" if it is on none.
func BlockDevice(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if unix.Major(st.Dev) == 0 {
		var found bool
		var err error
		if st.Rdev, found, err = sourceDevice(path); err != nil || !found {
			return "", err
		}
		st.Dev = st.Rdev
	}
	return fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)), nil
}

// sourceDevice finds the device of a btrfs, whose files have numbers of no
// device.
func sourceDevice(path string) (dev uint64, found bool, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil || fs.Type != unix.BTRFS_SUPER_MAGIC {
		return 0, false, err
	}
	id, err := ID(path)
	if err != nil {
		return 0, false, err
	}
	table, err := Table()
	if err != nil {
		return 0, false, err
	}
	for _, m := range table {
		var st unix.Stat_t
		if m.ID == id && unix.Stat(m.Source, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFBLK {
			return st.Rdev, true, nil
		}
	}
	return 0, false, nil
}

// Identity tells a file from another that comes in its place.
type Identity struct {
	// MountID is the number of the mount that it lies on, one that is never
	// used again from Linux 6.8 on.
	MountID uint64

	// Handle is a file handle, nil where the file system gives none.
	HandleType int32
	Handle     []byte

	Inode uint64

	// Created and Modified are in µs since 1970, 0 where it is not known.
	Created, Modified uint64
}

// handleFID is AT_HANDLE_FID: a handle that is compared, not opened.
const handleFID = 0x200

// Identify returns the identity of the file or directory at path.
func Identify(path string) (Identity, error) {
	var x unix.Statx_t
	const mask = unix.STATX_INO | unix.STATX_BTIME | unix.STATX_MTIME | unix.STATX_MNT_ID_UNIQUE
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, mask, &x); err != nil {
		return Identity{}, &os.PathError{Op: "statx", Path: path, Err: err}
	}
	if x.Mask&unix.STATX_MNT_ID_UNIQUE == 0 {
		if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, mask&^unix.STATX_MNT_ID_UNIQUE|unix.STATX_MNT_ID, &x); err != nil {
			return Identity{}, &os.PathError{Op: "statx", Path: path, Err: err}
		}
	}
	id := Identity{MountID: x.Mnt_id, Inode: x.Ino, Modified: micro(x.Mtime)}
	if x.Mask&unix.STATX_BTIME != 0 {
		id.Created = micro(x.Btime)
	}
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, path, handleFID)
	if err != nil {
		handle, _, err = unix.NameToHandleAt(unix.AT_FDCWD, path, 0)
	}
	if err == nil {
		id.HandleType, id.Handle = handle.Type(), handle.Bytes()
	}
	return id, nil
}

func micro(t unix.StatxTimestamp) uint64 { return uint64(t.Sec)*1e6 + uint64(t.Nsec)/1e3 }
