package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"

	"sextant/internal/fault"
)

// Algorithm is a kind of key that Generate makes, as "family:size".
type Algorithm string

// The algorithms. OpenSSL, and with it systemd's check in user space, takes all.
// The kernel's own check takes ECDSA only where it is built with CONFIG_CRYPTO_ECDSA:
// Debian 13 is, Debian 12 is not.
const (
	RSA2048   Algorithm = "rsa:2048"
	RSA4096   Algorithm = "rsa:4096"
	ECDSAP256 Algorithm = "ecdsa:p256"
	ECDSAP384 Algorithm = "ecdsa:p384"
)

// Algorithms returns all of them, for help texts.
func Algorithms() []Algorithm { return []Algorithm{RSA2048, RSA4096, ECDSAP256, ECDSAP384} }

// ParseAlgorithm returns the algorithm with the given name. The case of
// letters does not matter.
func ParseAlgorithm(name string) (Algorithm, error) {
	var choices []string
	for _, algorithm := range Algorithms() {
		if strings.EqualFold(name, string(algorithm)) {
			return algorithm, nil
		}
		choices = append(choices, string(algorithm))
	}
	return "", fmt.Errorf("no algorithm %q: choose one of %s", name, strings.Join(choices, ", "))
}

func (a Algorithm) newKey() (crypto.Signer, error) {
	switch a {
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	case ECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ECDSAP384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	}
	return nil, fmt.Errorf("algorithm %q: %w", string(a), fault.ErrUnsupported)
}
