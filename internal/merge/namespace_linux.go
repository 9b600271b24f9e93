package merge

import (
	"runtime"

	"sextant/internal/linux/mount"
)

// namespace is a thread with a mount namespace of its own. What is mounted there
// nobody else sees, and it is gone with the thread, however that ends.
type namespace struct {
	work chan func()
}

// enter makes a namespace.
func (k kernel) enter() (*namespace, error) {
	n := &namespace{work: make(chan func())}
	ready := make(chan error)
	// While the caller holds its thread, which mostly is the first one, the
	// namespace finds another one at once.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	go onOtherThread(func() {
		err := k.newNamespace()
		ready <- err
		if err != nil {
			return
		}
		for f := range n.work {
			f()
		}
	})
	return n, <-ready
}

// leave ends the namespace.
func (n *namespace) leave() { close(n.work) }

// do runs f inside.
func (n *namespace) do(f func() error) error {
	result := make(chan error)
	n.work <- func() { result <- f() }
	return <-result
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
