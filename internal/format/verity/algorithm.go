package verity

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"fmt"
	"hash"

	"sextant/internal/fault"
)

// Algorithm is a hash function, by the name that the kernel and the superblock
// give it.
type Algorithm string

// The hash functions that this package knows. systemd and veritysetup use
// SHA256 unless told otherwise.
const (
	SHA1     Algorithm = "sha1"
	SHA224   Algorithm = "sha224"
	SHA256   Algorithm = "sha256"
	SHA384   Algorithm = "sha384"
	SHA512   Algorithm = "sha512"
	SHA3_256 Algorithm = "sha3-256"
	SHA3_512 Algorithm = "sha3-512"
)

// maxDigest is the size of the longest digest.
const maxDigest = 64

// new returns a hash, or an error that wraps fault.ErrUnsupported.
func (a Algorithm) new() (hash.Hash, error) {
	switch a {
	case SHA1:
		return sha1.New(), nil
	case SHA224:
		return sha256.New224(), nil
	case SHA256:
		return sha256.New(), nil
	case SHA384:
		return sha512.New384(), nil
	case SHA512:
		return sha512.New(), nil
	case SHA3_256:
		return sha3.New256(), nil
	case SHA3_512:
		return sha3.New512(), nil
	}
	return nil, fmt.Errorf("hash algorithm %q: %w", string(a), fault.ErrUnsupported)
}

// Size returns the length of a digest in bytes, 0 if a is unknown.
func (a Algorithm) Size() int {
	h, err := a.new()
	if err != nil {
		return 0
	}
	return h.Size()
}
