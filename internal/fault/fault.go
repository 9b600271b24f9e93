// Package fault names the three ways in which an image can be bad that
// callers branch on. Every error about bytes, support or trust wraps one of
// them with %w; all other errors are the operating system's.
package fault

import "errors"

var (
	// ErrCorrupt says that bytes break the specification they claim to follow.
	ErrCorrupt = errors.New("corrupt")

	// ErrUnsupported says that the specification allows it, but this program
	// or the running kernel does not handle it.
	ErrUnsupported = errors.New("unsupported")

	// ErrUntrusted says that a signature, a hash or a policy does not vouch
	// for the bytes.
	ErrUntrusted = errors.New("untrusted")
)
