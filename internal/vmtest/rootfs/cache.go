package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Rootfs is one root filesystem in the cache.
type Rootfs struct {
	Release Release
	Tree    string // directory; to be read only
	Disk    string // ext4 image of Tree; to be read only
}

// CacheDir returns the directory for everything that tests keep.
func CacheDir() (string, error) {
	if dir := os.Getenv("SEXTANT_TEST_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the test cache: %w", err)
	}
	return filepath.Join(dir, "sextant-test"), nil
}

// Open returns the cached root filesystem of r; the error is fs.ErrNotExist
// where it has not been built.
func Open(r Release) (Rootfs, error) {
	cache, err := CacheDir()
	if err != nil {
		return Rootfs{}, err
	}
	dir := r.dir(cache)
	if _, err := os.Stat(dir); err != nil {
		return Rootfs{}, fmt.Errorf("open root filesystem %s: %w", r, err)
	}
	return Rootfs{Release: r, Tree: filepath.Join(dir, "tree"), Disk: filepath.Join(dir, "disk.img")}, nil
}

// Build returns the root filesystem of r and builds it first where it is not
// in the cache. Processes that build the same one wait for each other.
func Build(ctx context.Context, r Release) (Rootfs, error) {
	if cached, err := Open(r); err == nil {
		return cached, nil
	}
	cache, err := CacheDir()
	if err != nil {
		return Rootfs{}, err
	}
	if err := errors.Join(os.MkdirAll(filepath.Join(cache, "rootfs"), 0o755), os.MkdirAll(filepath.Join(cache, "logs"), 0o755)); err != nil {
		return Rootfs{}, fmt.Errorf("build root filesystem %s: %w", r, err)
	}
	unlock, err := lock(filepath.Join(cache, "rootfs", r.Suite+".lock"))
	if err != nil {
		return Rootfs{}, fmt.Errorf("build root filesystem %s: %w", r, err)
	}
	defer unlock()
	if cached, err := Open(r); err == nil {
		return cached, nil // another process built it while we waited
	}
	if err := build(ctx, r, cache); err != nil {
		return Rootfs{}, fmt.Errorf("build root filesystem %s: %w", r, err)
	}
	return Open(r)
}

// build makes tree and disk under a temporary name. The lock is held.
func build(ctx context.Context, r Release, cache string) error {
	tmp := filepath.Join(cache, "rootfs", ".build-"+r.Suite)
	if err := os.RemoveAll(tmp); err != nil { // of a build that was killed
		return err
	}
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	log, err := os.Create(filepath.Join(cache, "logs", "rootfs-"+r.Suite+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	tree, disk := filepath.Join(tmp, "tree"), filepath.Join(tmp, "disk.img")
	if err := run(ctx, log, "mmdebstrap", append(r.mmdebstrap(), tree)...); err != nil {
		return err
	}
	if err := makeDisk(ctx, log, r, tree, disk); err != nil {
		return err
	}
	return os.Rename(tmp, r.dir(cache))
}

func makeDisk(ctx context.Context, log *os.File, r Release, tree, disk string) error {
	if err := os.WriteFile(disk, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(disk, diskSize); err != nil {
		return err
	}
	return run(ctx, log, "mkfs.ext4", append(r.mkfs(), "-d", tree, disk)...)
}

func run(ctx context.Context, log *os.File, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w; see %s", name, err, log.Name())
	}
	return nil
}

// lock waits for the exclusive lock on path. The kernel gives it back when the
// process ends, however it ends.
func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f.Close, nil
}
