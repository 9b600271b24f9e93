package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sextant/internal/format/verity"
)

// usage is what one run took.
type usage struct {
	Wall, CPU time.Duration
	Peak      int64 // bytes; the largest process of those that were waited for
}

// tool is what bench runs itself as, in the chroot as well.
func tool(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("tool needs a name and arguments")
	}
	switch args[0] {
	case "time":
		return timed(ctx, args[1:])
	case "merge":
		return timedMerge(ctx, args[1:])
	case "hashtree":
		return hashTree(ctx, args[1], args[2])
	case "read":
		return readAll(args[1])
	case "hash":
		return hashAll(args[1])
	case "write":
		return writeAll(args[1], args[2])
	}
	return fmt.Errorf("unknown tool %s", args[0])
}

// timed runs a command and writes its usage to the file that is named first.
func timed(ctx context.Context, args []string) error {
	cmd := exec.CommandContext(ctx, args[1], args[2:]...)
	cmd.Stderr = os.Stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", args[1], err)
	}
	u := usage{Wall: time.Since(start), CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	u.Peak = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	text, err := json.Marshal(u)
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], text, 0o644)
}

// hashTree builds a hash tree as sextant does for a file system that is there
// already.
func hashTree(ctx context.Context, data, hash string) error {
	in, err := os.Open(data)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.Create(hash)
	if err != nil {
		return err
	}
	defer out.Close()
	p := verity.Default(info.Size())
	p.Salt = make([]byte, 32)
	_, err = verity.Build(ctx, out, in, p)
	return err
}

// readAll reads every file below dir once, on one processor.
func readAll(dir string) error {
	buf := make([]byte, 1<<20)
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, buf)
		return err
	})
}

// hashAll computes the leaves of a hash tree for as many bytes as the file has,
// on all processors, without reading or writing anything.
func hashAll(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	blocks := info.Size() / 4096
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			block := make([]byte, 32+4096)
			for next.Add(1) <= blocks {
				sha256.Sum256(block)
			}
		})
	}
	wg.Wait()
	return nil
}

// writeAll writes as many bytes as the first file has to the second, on one
// processor.
func writeAll(like, to string) error {
	info, err := os.Stat(like)
	if err != nil {
		return err
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 512<<10)
	for left := info.Size(); left > 0; left -= int64(len(buf)) {
		if _, err := f.Write(buf[:min(left, int64(len(buf)))]); err != nil {
			return err
		}
	}
	return nil
}
