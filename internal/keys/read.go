package keys

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"sextant/internal/fault"
)

// ErrNoPassphrase says that a key is encrypted and no passphrase was given.
var ErrNoPassphrase = errors.New("key is encrypted and no passphrase was given")

// ErrWrongPassphrase says that the passphrase does not open the key.
var ErrWrongPassphrase = errors.New("wrong passphrase")

// ReadKey reads a private key from a file of at most 1 MiB in one of the
// forms that the package comment lists. An empty passphrase is none; one that
// the key does not need is ignored.
func ReadKey(path string, passphrase []byte) (*Key, error) {
	data, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	key, err := ParseKey(data, passphrase)
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", path, err)
	}
	return key, nil
}

// ReadPassphrase reads a passphrase from a file: all of it but a line end at
// the end, as editors and echo put one there. An empty one is an error.
func ReadPassphrase(path string) ([]byte, error) {
	data, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	if len(data) == 0 {
		return nil, fmt.Errorf("read passphrase: %s is empty", path)
	}
	return data, nil
}

// ParseKey is ReadKey for bytes.
func ParseKey(data, passphrase []byte) (*Key, error) {
	blocks := pemBlocks(data)
	if len(blocks) == 0 && !looksLikeDER(data) {
		return nil, fmt.Errorf("file holds no PEM block and no DER: %w", fault.ErrCorrupt)
	}
	if len(blocks) == 0 {
		return parseDERKey(data, passphrase)
	}
	for _, block := range blocks {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return parseBlock(block, passphrase)
		}
	}
	return nil, fmt.Errorf("file holds %s, not a private key: %w", kindOf(blocks[0].Type), fault.ErrCorrupt)
}

func parseBlock(block *pem.Block, passphrase []byte) (*Key, error) {
	if strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
		return nil, fmt.Errorf(`key is in OpenSSL's old encryption; "openssl pkey -in OLD -aes256 -out NEW" converts it: %w`, fault.ErrUnsupported)
	}
	switch block.Type {
	case "ENCRYPTED PRIVATE KEY":
		return parseEncrypted(block.Bytes, passphrase)
	case "PRIVATE KEY":
		return parsePKCS8(block.Bytes)
	case "RSA PRIVATE KEY":
		return newParsed(x509.ParsePKCS1PrivateKey(block.Bytes))
	case "EC PRIVATE KEY":
		return newParsed(x509.ParseECPrivateKey(block.Bytes))
	case "OPENSSH PRIVATE KEY":
		return nil, fmt.Errorf(`key is in OpenSSH's format; "ssh-keygen -p -m PKCS8 -f KEY" converts an RSA or ECDSA key: %w`, fault.ErrUnsupported)
	}
	return nil, fmt.Errorf("PEM block %q: %w", block.Type, fault.ErrUnsupported)
}

func parseEncrypted(der, passphrase []byte) (*Key, error) {
	if len(passphrase) == 0 {
		return nil, ErrNoPassphrase
	}
	plain, err := decryptPKCS8(der, passphrase)
	if err != nil {
		return nil, err
	}
	key, err := parsePKCS8(plain)
	if err != nil && !errors.Is(err, fault.ErrUnsupported) {
		// The padding of a wrong decryption is right once in 256 times.
		return nil, ErrWrongPassphrase
	}
	return key, err
}

// parsePKCS8 parses a PrivateKeyInfo. The kinds of key that the standard
// library does not know are told apart from damaged ones.
func parsePKCS8(der []byte) (*Key, error) {
	switch id := keyAlgorithm(der); id {
	case oidEd448:
		return nil, fmt.Errorf("Ed448 key: systemd and the kernel verify only RSA and ECDSA in PKCS#7: %w", fault.ErrUnsupported)
	case oidRSASSAPSS:
		return nil, fmt.Errorf("RSASSA-PSS key: systemd and the kernel verify only PKCS#1 v1.5 signatures: %w", fault.ErrUnsupported)
	}
	return newParsed(x509.ParsePKCS8PrivateKey(der))
}

// newParsed makes a Key of what a parser of the standard library returned.
func newParsed[T any](private T, err error) (*Key, error) {
	if err != nil && strings.Contains(err.Error(), "curve") {
		return nil, fmt.Errorf("%w: %w", err, fault.ErrUnsupported)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, fault.ErrCorrupt)
	}
	return NewKey(private)
}

// parseDERKey tries the forms that a DER file can have.
func parseDERKey(der, passphrase []byte) (*Key, error) {
	if isEncrypted(der) {
		return parseEncrypted(der, passphrase)
	}
	if keyAlgorithm(der) != "" {
		return parsePKCS8(der)
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return NewKey(key)
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return NewKey(key)
	}
	if _, err := x509.ParseCertificate(der); err == nil {
		return nil, fmt.Errorf("file holds a certificate, not a private key: %w", fault.ErrCorrupt)
	}
	if _, err := x509.ParsePKIXPublicKey(der); err == nil {
		return nil, fmt.Errorf("file holds a public key, not a private key: %w", fault.ErrCorrupt)
	}
	return nil, fmt.Errorf("DER that is no private key: %w", fault.ErrCorrupt)
}
