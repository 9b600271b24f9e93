package merge

import (
	"runtime"

	"sextant/internal/linux/mount"
)

// namespace is a thread with a mount namespace of its own. What is mounted there
// nobody else sees, and it is gone with the thread, however that ends.
type namespace struct {
	work chan task
}

// task is what a namespace is to do, and where the outcome is waited for.
type task struct {
	do      func() error
	outcome chan<- error
}

// enter makes a namespace while the caller goes on. When that does not work, do
// says so.
func (k kernel) enter() *namespace {
	n := &namespace{work: make(chan task)}
	go onOtherThread(func() {
		err := k.newNamespace()
		for t := range n.work {
			if err != nil {
				t.outcome <- err
				continue
			}
			t.outcome <- t.do()
		}
	})
	return n
}

// leave ends the namespace.
func (n *namespace) leave() { close(n.work) }

// do runs f inside.
func (n *namespace) do(f func() error) error {
	outcome := make(chan error)
	n.work <- task{f, outcome}
	return <-outcome
}

// onOtherThread runs f on a thread that ends with it. The first thread of the
// process cannot end, and is what /proc/self shows.
func onOtherThread(f func()) {
	runtime.LockOSThread()
	if !mount.FirstThread() {
		f()
		return // still locked, so the thread ends
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		onOtherThread(f)
	}()
	<-done
	runtime.UnlockOSThread()
}
