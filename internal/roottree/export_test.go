package roottree

import "errors"

// StopAfter makes Commit stop like a kill: with the journal written for 0, and
// then after each step of it. The result says whether it did.
func StopAfter(e *Editor, count int) *bool {
	stopped := new(bool)
	e.checkpoint = func() error {
		if count--; count < 0 {
			*stopped = true
			return errors.New("killed")
		}
		return nil
	}
	return stopped
}
