package dm

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	controlPath = "/dev/mapper/control"

	// headerSize is that of struct dm_ioctl, and what offsets count from.
	headerSize = int(unsafe.Sizeof(unix.DmIoctl{}))

	// maxReply is the largest table that is read back, in bytes.
	maxReply = 64 << 10

	sectorSize = 512
)

// udevFlags go to udev's rules in the upper half of the event number: what
// libdevmapper's DM_UDEV_FLAGS call PRIMARY_SOURCE, DISABLE_OTHER_RULES,
// DISABLE_DISK_RULES and DISABLE_SUBSYSTEM_RULES. The lower half, a semaphore
// that udev raises when it is done, is not used.
const udevFlags = (0x40 | 0x8 | 0x4 | 0x2) << 16

// Table is one target that is the whole device.
type Table struct {
	Target string // verity
	Size   int64  // bytes, a multiple of 512
	Params string
}

// Status is what the kernel says about a device.
type Status struct {
	UUID     string
	Node     string // /dev/dm-3
	Open     int    // how many have it open
	Deferred bool   // it goes when the last of them closes it
	Active   bool   // it has a table in use
}

// request is the header of a call, and what follows it.
type request struct {
	header unix.DmIoctl
	data   []byte
}

func newRequest(name string) (*request, error) {
	r := &request{}
	if len(name) >= len(r.header.Name) || name == "" || strings.ContainsAny(name, "/\x00") {
		return nil, fmt.Errorf("device mapper name %q: %w", name, unix.EINVAL)
	}
	r.header.Version = [3]uint32{unix.DM_VERSION_MAJOR, 0, 0}
	copy(r.header.Name[:], name)
	return r, nil
}

// call makes the ioctl and returns what comes back behind the header.
func (r *request) call(command uint, what string) (*unix.DmIoctl, []byte, error) {
	buf := make([]byte, max(headerSize+len(r.data), headerSize+512))
	if command == unix.DM_TABLE_STATUS {
		buf = make([]byte, headerSize+maxReply)
	}
	r.header.Data_size, r.header.Data_start = uint32(len(buf)), uint32(headerSize)
	header := (*unix.DmIoctl)(unsafe.Pointer(&buf[0]))
	*header = r.header
	copy(buf[headerSize:], r.data)
	control, err := unix.Open(controlPath, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, absent(&os.PathError{Op: "open", Path: controlPath, Err: err})
	}
	defer unix.Close(control)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(control), uintptr(command), uintptr(unsafe.Pointer(&buf[0])))
	if errno != 0 {
		return nil, nil, fmt.Errorf("%s device mapper device %s: %w", what, cString(r.header.Name[:]), errno)
	}
	return header, buf[headerSize:], nil
}

// absent tells what it means that the control device cannot be opened: a node may
// be there where the kernel has nothing behind it.
func absent(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("the kernel has no device mapper, or its module dm-mod is not loaded: %w", err)
	}
	return err
}

// Create makes a device without a table. EBUSY says that the name is taken.
func Create(name, uuid string) error {
	r, err := newRequest(name)
	if err != nil {
		return err
	}
	if len(uuid) >= len(r.header.Uuid) {
		return fmt.Errorf("device mapper UUID %q: %w", uuid, unix.EINVAL)
	}
	copy(r.header.Uuid[:], uuid)
	_, _, err = r.call(unix.DM_DEV_CREATE, "create")
	return err
}

// Load gives a device a read-only table, which counts from Resume on.
func Load(name string, table Table) error {
	r, err := newRequest(name)
	if err != nil {
		return err
	}
	spec := unix.DmTargetSpec{Length: uint64(table.Size / sectorSize)}
	if len(table.Target) >= len(spec.Target_type) {
		return fmt.Errorf("device mapper target %q: %w", table.Target, unix.EINVAL)
	}
	copy(spec.Target_type[:], table.Target)
	const specSize = unsafe.Sizeof(spec)
	size := (int(specSize) + len(table.Params) + 1 + 7) &^ 7
	spec.Next = uint32(size)
	r.data = make([]byte, size)
	copy(r.data, unsafe.Slice((*byte)(unsafe.Pointer(&spec)), specSize))
	copy(r.data[specSize:], table.Params)
	r.header.Target_count, r.header.Flags = 1, unix.DM_READONLY_FLAG
	_, _, err = r.call(unix.DM_TABLE_LOAD, "load table of")
	return err
}

// Resume makes the table that was loaded the one in use.
func Resume(name string) error {
	r, err := newRequest(name)
	if err != nil {
		return err
	}
	r.header.Flags, r.header.Event_nr = unix.DM_READONLY_FLAG, udevFlags
	_, _, err = r.call(unix.DM_DEV_SUSPEND, "resume")
	return err
}

// Remove takes a device away. If it is open that is EBUSY; or, if deferred, it
// goes when nobody has it open any more. One that is not there is no error.
func Remove(name string, deferred bool) error {
	r, err := newRequest(name)
	if err != nil {
		return err
	}
	if deferred {
		r.header.Flags = unix.DM_DEFERRED_REMOVE
	}
	r.header.Event_nr = udevFlags
	_, _, err = r.call(unix.DM_DEV_REMOVE, "remove")
	if errors.Is(err, unix.ENXIO) {
		return nil
	}
	return err
}

// Look returns the status of a device; found is false if there is none.
func Look(name string) (status Status, found bool, err error) {
	r, err := newRequest(name)
	if err != nil {
		return status, false, err
	}
	h, _, err := r.call(unix.DM_DEV_STATUS, "look at")
	if errors.Is(err, unix.ENXIO) {
		return status, false, nil
	}
	if err != nil {
		return status, false, err
	}
	return Status{
		UUID: cString(h.Uuid[:]), Node: fmt.Sprintf("/dev/dm-%d", unix.Minor(h.Dev)), Open: int(h.Open_count),
		Deferred: h.Flags&unix.DM_DEFERRED_REMOVE != 0, Active: h.Flags&unix.DM_ACTIVE_PRESENT_FLAG != 0,
	}, true, nil
}

// ReadTable returns the first target of the table in use.
func ReadTable(name string) (Table, error) {
	r, err := newRequest(name)
	if err != nil {
		return Table{}, err
	}
	r.header.Flags = unix.DM_STATUS_TABLE_FLAG
	h, data, err := r.call(unix.DM_TABLE_STATUS, "read table of")
	if err != nil {
		return Table{}, err
	}
	var spec unix.DmTargetSpec
	const specSize = int(unsafe.Sizeof(spec))
	if h.Flags&unix.DM_BUFFER_FULL_FLAG != 0 || h.Target_count == 0 || len(data) < specSize {
		return Table{}, fmt.Errorf("table of device mapper device %s: %w", name, unix.ENODATA)
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&spec)), specSize), data)
	return Table{
		Target: cString(spec.Target_type[:]), Size: int64(spec.Length) * sectorSize,
		Params: cString(data[specSize:]),
	}, nil
}

func cString(b []byte) string {
	text, _, _ := strings.Cut(string(b), "\x00")
	return text
}
