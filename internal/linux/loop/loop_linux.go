package loop

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// tries is how often a free device may be taken by others before that is a
// fault.
const tries = 100

// Options say what the device shows of the file.
type Options struct {
	Offset int64 // bytes
	Size   int64 // bytes, 0 for all behind the offset
	Sector int   // bytes of a logical block, 512 if 0

	// Writable lets the device write to the file, which is open for that.
	Writable bool
}

// Device is a block device, read-only unless asked otherwise. It stays until it is closed by all who
// have it open or mounted.
type Device struct{ *os.File }

// Open makes a device of an open file. It does not look for partitions.
func Open(file *os.File, opts Options) (*Device, error) {
	control, err := unix.Open("/dev/loop-control", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		err = &os.PathError{Op: "open", Path: "/dev/loop-control", Err: err}
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
			err = fmt.Errorf("the kernel has no loop devices, or the module loop is not loaded: %w", err)
		}
		return nil, err
	}
	defer unix.Close(control)
	config := unix.LoopConfig{Fd: uint32(file.Fd()), Size: uint32(opts.Sector)}
	config.Info.Offset, config.Info.Sizelimit = uint64(opts.Offset), uint64(opts.Size)
	config.Info.Flags = unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR
	if opts.Writable {
		config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	}
	copy(config.Info.File_name[:len(config.Info.File_name)-1], file.Name())
	for range tries {
		d, err := open(control, &config)
		if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENXIO) {
			return d, err
		}
	}
	return nil, fmt.Errorf("loop device of %s: others took %d free devices: %w", file.Name(), tries, unix.EBUSY)
}

// open configures the next free device. EBUSY says that somebody else did.
func open(control int, config *unix.LoopConfig) (*Device, error) {
	number, err := unix.IoctlRetInt(control, unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, fmt.Errorf("find a free loop device: %w", err)
	}
	path := "/dev/loop" + strconv.Itoa(number)
	access := unix.O_RDONLY
	if config.Info.Flags&unix.LO_FLAGS_READ_ONLY == 0 {
		access = unix.O_RDWR
	}
	fd, err := unix.Open(path, access|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	if err := unix.IoctlLoopConfigure(fd, config); err != nil {
		unix.Close(fd)
		return nil, &os.PathError{Op: "configure", Path: path, Err: err}
	}
	return &Device{os.NewFile(uintptr(fd), path)}, nil
}
