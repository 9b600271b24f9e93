// Package keyring hands secrets and signatures to the kernel by name
// (keyrings(7)).
package keyring

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// With adds a key of type user to the keyring of the calling thread, calls f and
// takes the key away again. The thread must not change meanwhile.
func With(description string, payload []byte, f func() error) error {
	id, err := unix.AddKey("user", description, payload, unix.KEY_SPEC_THREAD_KEYRING)
	if err != nil {
		return fmt.Errorf("add key %s: %w", description, err)
	}
	defer unix.KeyctlInt(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_THREAD_KEYRING, 0, 0)
	return f()
}
