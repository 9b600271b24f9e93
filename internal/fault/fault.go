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

// Corrupt is a fact that makes bytes corrupt, as a constant. As an error it
// reads and is as fmt.Errorf("fact: %w", ErrCorrupt), but a package variable of
// it costs nothing when the program starts.
type Corrupt string

// Error gives the fact, then the word for its kind.
func (c Corrupt) Error() string { return string(c) + ": " + ErrCorrupt.Error() }

// Unwrap returns ErrCorrupt.
func (Corrupt) Unwrap() error { return ErrCorrupt }

// Unsupported is to ErrUnsupported what Corrupt is to ErrCorrupt.
type Unsupported string

// Error gives the fact, then the word for its kind.
func (u Unsupported) Error() string { return string(u) + ": " + ErrUnsupported.Error() }

// Unwrap returns ErrUnsupported.
func (Unsupported) Unwrap() error { return ErrUnsupported }
