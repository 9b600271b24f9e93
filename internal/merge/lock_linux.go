package merge

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// locked runs f while no other run of ours does. The lock is on the directory
// that the workspace covers, so there is nothing to leave behind.
func (r *run) locked(f func() error) error {
	dir, err := r.openWorkspace()
	if err != nil {
		return err
	}
	defer dir.Close()
	err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		r.opts.log(Warning, "Another merge is running, waiting for it.")
		err = r.wait(dir)
	}
	if err != nil {
		return &os.PathError{Op: "lock", Path: workspace, Err: err}
	}
	r.lock = dir
	defer r.close()
	return f()
}

// openWorkspace opens the directory on the host, which the first run after boot
// makes.
func (r *run) openWorkspace() (*os.File, error) {
	err := r.k.mkdir(workspace, 0o700)
	if missing(err) {
		if err = r.k.mkdirAll(filepath.Dir(workspace), 0o755); err == nil {
			err = r.k.mkdir(workspace, 0o700)
		}
	}
	if err != nil {
		return nil, err
	}
	// Not by package os, which asks the poller about it in five more calls.
	fd, err := syscall.Open(workspace, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: workspace, Err: err}
	}
	return os.NewFile(uintptr(fd), workspace), nil
}

// wait waits for the lock, or for the end of the context.
func (r *run) wait(dir *os.File) error {
	got := make(chan error, 1)
	go func() {
		for {
			if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
				got <- err
				return
			}
		}
	}()
	select {
	case err := <-got:
		return err
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
