package customize

import (
	"bytes"
	"fmt"
	"io"

	"sextant/internal/format/verity"
	"sextant/internal/probe"
)

// protect finds out which partitions a hash tree vouches for. The types of the
// partitions are not asked, as many images have none for it: the digest of a
// partition's first block stands at one place in its tree, or not.
func protect(r io.ReaderAt, parts []*Part) error {
	for _, hash := range parts {
		if hash.Content.Kind != probe.Verity {
			continue
		}
		params, err := verity.ReadSuperblock(section(r, hash), hash.Span.Length)
		if err != nil {
			return fmt.Errorf("%s: %w", hash.Name(), err)
		}
		for _, data := range parts {
			if data != hash && vouches(r, params, hash, data) {
				data.hash = hash
			}
		}
	}
	return nil
}

// vouches reports whether the tree has the digest of the first data block. A
// tree that cannot be asked is taken to vouch for all that it is large enough
// for, as writing into a protected partition makes it unreadable.
func vouches(r io.ReaderAt, params verity.Params, hash, data *Part) bool {
	if params.DataSize() > data.Span.Length {
		return false
	}
	block := make([]byte, params.DataBlockSize)
	if _, err := section(r, data).ReadAt(block, 0); err != nil {
		return true
	}
	digest := &captured{}
	b, err := verity.NewBuilder(digest, params)
	if err != nil {
		return true
	}
	if err := b.Add(0, block); err != nil {
		return true
	}
	if digest.bytes == nil {
		// A single block has no tree: the root hash is its digest.
		return true
	}
	have := make([]byte, len(digest.bytes))
	if _, err := section(r, hash).ReadAt(have, digest.at); err != nil {
		return true
	}
	return bytes.Equal(have, digest.bytes)
}

// captured keeps what is written to it.
type captured struct {
	bytes []byte
	at    int64
}

func (c *captured) WriteAt(p []byte, at int64) (int, error) {
	c.bytes, c.at = bytes.Clone(p), at
	return len(p), nil
}

// ReadAt gives zeros: a digest of data is written without reading.
func (c *captured) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}
