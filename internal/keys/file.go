package keys

import (
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"strings"

	"sextant/internal/fault"
)

// maxFile is the size in bytes of the largest key or certificate file.
const maxFile = 1 << 20

// readBounded reads a whole file of at most maxFile bytes.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes: %w", path, maxFile, fault.ErrUnsupported)
	}
	return data, nil
}

// pemBlocks returns all PEM blocks in data.
func pemBlocks(data []byte) (blocks []*pem.Block) {
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return blocks
		}
		blocks = append(blocks, block)
		data = rest
	}
}

// looksLikeDER reports whether data starts as a SEQUENCE of more than 127
// bytes does, which all keys and certificates are.
func looksLikeDER(data []byte) bool {
	return len(data) > 2 && data[0] == 0x30 && (data[1]&0x80 != 0 || int(data[1]) == len(data)-2)
}

// kindOf says in words what a PEM block of the given type is.
func kindOf(blockType string) string {
	switch {
	case strings.HasSuffix(blockType, "CERTIFICATE REQUEST"):
		return "a certificate request"
	case strings.HasSuffix(blockType, "CERTIFICATE"):
		return "a certificate"
	case strings.HasSuffix(blockType, "PUBLIC KEY"):
		return "a public key"
	case strings.HasSuffix(blockType, "PRIVATE KEY"):
		return "a private key"
	default:
		return fmt.Sprintf("a PEM block %q", blockType)
	}
}
