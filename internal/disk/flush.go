package disk

import (
	"os"
	"sync"
	"sync/atomic"

	"sextant/internal/linux/sparse"
)

// flushEvery is how much is written before the system is told to bring it to
// stable storage.
const flushEvery = 16 << 20

// flusher has the system bring what is written to stable storage while more is
// written, so that little is left when the file is complete.
type flusher struct {
	file    *os.File
	pending atomic.Int64 // bytes that were written since the last time
	busy    atomic.Bool
	running sync.WaitGroup
}

// wrote counts what was written, and tells the system from time to time. Where
// the disk is busy that takes a while, so nobody waits for it.
func (f *flusher) wrote(length int64) {
	if f.pending.Add(length) < flushEvery || !f.busy.CompareAndSwap(false, true) {
		return
	}
	f.pending.Store(0)
	f.running.Go(func() {
		defer f.busy.Store(false)
		sparse.Flush(f.file, 0, 0)
	})
}

// wait waits until the file can be closed.
func (f *flusher) wait() { f.running.Wait() }
