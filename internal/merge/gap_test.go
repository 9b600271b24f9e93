//go:build linux

package merge_test

import (
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	gotime "time"

	"golang.org/x/sys/unix"

	"sextant/internal/merge"
)

// watched are files of the host, of two extensions and of a mount of others.
var watched = []string{"/usr/bin/host", "/usr/bin/a", "/usr/bin/b", "/opt/a", "/usr/local/outer", "/usr/local/in/ner/inner"}

// watcher opens the watched files again and again.
type watcher struct {
	stop            atomic.Bool
	rounds, missing atomic.Int64
	last            atomic.Value
	longest         atomic.Int64 // ns that a file was missing
}

func (w *watcher) run() {
	since := make(map[string]gotime.Time)
	for !w.stop.Load() {
		for _, path := range watched {
			fd, err := unix.Open(path, unix.O_RDONLY, 0)
			if err == nil {
				var b [1]byte
				_, err = unix.Read(fd, b[:])
				unix.Close(fd)
			}
			start, gone := since[path]
			switch {
			case err != nil && !gone:
				since[path] = gotime.Now()
				w.missing.Add(1)
				last, _ := w.last.Load().(string)
				w.last.Store(last + "; " + path + ": " + err.Error())
			case err == nil && gone:
				delete(since, path)
				w.longest.Store(max(w.longest.Load(), int64(gotime.Since(start))))
			}
		}
		w.rounds.Add(1)
	}
}

// watchInSlave watches from a mount namespace that gets what the world gets.
func (w *watcher) watchInSlave(ready chan<- error, done chan<- bool) {
	runtime.LockOSThread() // the thread ends with the namespace
	err := unix.Unshare(unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, "")
	}
	ready <- err
	if err == nil {
		w.run()
	}
	done <- true
}

func gapWorld(t *testing.T) {
	write(t, "/usr", map[string]string{"bin/host": "host"})
	addDirectory(t, "a", map[string]string{"usr/bin/a": "a", "opt/a": "a"})
	addDirectory(t, "b", map[string]string{"usr/bin/b": "b"})
	mountTmpfs(t, "/usr/local", "outer")
	mountTmpfs(t, "/usr/local/in/ner", "inner")
}

// refreshWatched refreshes n times and returns what the watchers saw, the second
// in a slave namespace.
func refreshWatched(t *testing.T, n int, opts merge.Options) (here, slave *watcher) {
	t.Helper()
	opts.AlwaysRefresh, opts.Log = true, nil
	if _, err := merge.Refresh(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	here, slave = &watcher{}, &watcher{}
	done, ready := make(chan bool), make(chan error)
	go func() { here.run(); done <- true }()
	go slave.watchInSlave(ready, done)
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	gap := gotime.Duration(0)
	for range n {
		r, err := merge.Refresh(t.Context(), opts)
		if err != nil {
			t.Error(err)
			break
		}
		gap = max(gap, r.Gap)
	}
	t.Logf("the longest gap, as the engine sees it: %v", gap)
	here.stop.Store(true)
	slave.stop.Store(true)
	<-done
	<-done
	return here, slave
}

// TestNoGap has readers look for files during refreshes, a thousand in the long
// run.
func TestNoGap(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	gapWorld(t)
	before := mounts(t)
	refreshes := refreshes(t)
	here, slave := refreshWatched(t, refreshes, options(t))
	for name, w := range map[string]*watcher{"here": here, "in a slave namespace": slave} {
		t.Logf("%s: %d files read in %d refreshes, %d missing", name, w.rounds.Load()*int64(len(watched)), refreshes, w.missing.Load())
		if w.missing.Load() > 0 {
			t.Errorf("%s: %d times a file was missing, that is %v", name, w.missing.Load(), w.last.Load())
		}
		if w.rounds.Load() < int64(refreshes)/10 {
			t.Errorf("%s: only %d rounds", name, w.rounds.Load())
		}
	}
	if _, err := merge.Unmerge(t.Context(), options(t)); err != nil {
		t.Error(err)
	}
	if after := mounts(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
}

// refreshes is how often TestNoGap refreshes.
func refreshes(t *testing.T) int {
	t.Helper()
	if text := read("/images/refreshes"); text != "<none>" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	switch {
	case long():
		return 1000
	case os.Getenv("VMTEST") != "":
		return 50 // readers and refreshes share one slow processor
	}
	return 100
}

// gaps is how many gaps are measured where there are any.
const gaps = 20

// TestGapWithUpper measures the gap where the old overlay must go first.
func TestGapWithUpper(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	gapWorld(t)
	opts := options(t)
	opts.Mutable = merge.MutableYes
	here, slave := refreshWatched(t, gaps, opts)
	for name, w := range map[string]*watcher{"here": here, "in a slave namespace": slave} {
		t.Logf("%s: %d rounds in %d refreshes, a file missing %d times, %v at most", name, w.rounds.Load(), gaps, w.missing.Load(), gotime.Duration(w.longest.Load()))
	}
}

// long reports whether the long run was asked for, of the host that started the
// machine that this may be.
func long() bool {
	_, err := os.Stat("/images/long")
	return err == nil || os.Getenv("SEXTANT_TEST_LONG") != ""
}

// TestClassicGap measures the gap of a kernel that cannot mount beneath.
func TestClassicGap(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	gapWorld(t)
	here, slave := refreshWatched(t, gaps, options(t))
	for name, w := range map[string]*watcher{"here": here, "in a slave namespace": slave} {
		t.Logf("%s: %d rounds in %d refreshes, a file missing %d times, %v at most", name, w.rounds.Load(), gaps, w.missing.Load(), gotime.Duration(w.longest.Load()))
	}
}
