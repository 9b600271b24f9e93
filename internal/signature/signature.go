package signature

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"sextant/internal/fault"
	"sextant/internal/format/pkcs7"
)

const (
	// PartitionSize is the size in bytes of the partition that Marshal makes
	// (repart.c, VERITY_SIG_SIZE).
	PartitionSize = 16384

	// MaxPartition is the size in bytes of the largest partition that systemd
	// reads.
	MaxPartition = pkcs7.MaxSize
)

// ErrBlank says that a signature partition is all zeros: a place kept for a
// signature that was never written. systemd refuses an image with one. It
// comes with fault.ErrCorrupt.
var ErrBlank = errors.New("signature partition is blank")

// Signature is what a signature partition says.
type Signature struct {
	// RootHash is the root hash that is signed, 32 bytes for SHA-256.
	RootHash []byte

	// Fingerprint is the SHA-256 of the signer's certificate in hexadecimal,
	// or "" if the partition has none of that form. Nothing vouches for it.
	Fingerprint string

	// PKCS7 is the detached signature, DER as a rule.
	PKCS7 []byte
}

// Signer makes detached PKCS#7 signatures of content with the key of
// certificate. keys.Key and keys.Command are signers.
type Signer interface {
	SignPKCS7(ctx context.Context, content []byte, certificate *x509.Certificate, options pkcs7.Options) ([]byte, error)
}

// Sign has signer sign rootHash and returns the partition's bytes, verified.
func Sign(ctx context.Context, rootHash []byte, certificate *x509.Certificate, signer Signer, options pkcs7.Options) ([]byte, error) {
	made, err := signer.SignPKCS7(ctx, content(rootHash), certificate, options)
	if err != nil {
		return nil, fmt.Errorf("sign root hash: %w", err)
	}
	return Assemble(rootHash, certificate, made, options)
}

// Assemble returns the partition's bytes around a signature of rootHash that
// was made elsewhere: PKCS#7 in PEM, DER or BER, or a raw signature (see
// pkcs7.Accept). It wraps fault.ErrUntrusted unless the key of certificate made
// it.
func Assemble(rootHash []byte, certificate *x509.Certificate, made []byte, options pkcs7.Options) ([]byte, error) {
	der, err := pkcs7.Accept(content(rootHash), made, certificate, options)
	if err != nil {
		return nil, fmt.Errorf("signature of root hash %x: %w", rootHash, err)
	}
	return Signature{RootHash: rootHash, Fingerprint: pkcs7.Fingerprint(certificate.Raw), PKCS7: der}.Marshal()
}

// Marshal returns the partition's bytes. A signature that does not fit is an
// error.
func (s Signature) Marshal() ([]byte, error) {
	text := fmt.Sprintf(`{"rootHash":"%x","certificateFingerprint":"%s","signature":"%s"}`,
		s.RootHash, s.Fingerprint, base64.StdEncoding.EncodeToString(s.PKCS7))
	if len(text)+1 > PartitionSize {
		return nil, fmt.Errorf("signature partition needs %d bytes, where it has %d: leave the certificates out of the signature", len(text)+1, PartitionSize)
	}
	return append([]byte(text), make([]byte, PartitionSize-len(text))...), nil
}

// Verify reads a partition and returns the certificate, one of trusted, whose
// key vouches for rootHash; of several signers, which all must verify, the
// first one's. Errors wrap those of Parse and VerifyDetached.
func Verify(rootHash, partition []byte, trusted []*x509.Certificate) (*x509.Certificate, error) {
	s, err := Parse(partition)
	if err != nil {
		return nil, err
	}
	if string(s.RootHash) != string(rootHash) {
		return nil, fmt.Errorf("signature is for root hash %x, where the image has %x: %w", s.RootHash, rootHash, fault.ErrUntrusted)
	}
	return VerifyDetached(rootHash, s.PKCS7, trusted)
}

// VerifyDetached does the same for a PKCS#7 signature that is not in a
// partition, such as a file .roothash.p7s. It answers as systemd does; see
// pkcs7.SignedData.Verify.
func VerifyDetached(rootHash, signature []byte, trusted []*x509.Certificate) (*x509.Certificate, error) {
	signed, err := pkcs7.Parse(signature)
	if err != nil {
		return nil, fmt.Errorf("PKCS#7: %w", err)
	}
	signers, err := signed.Verify(content(rootHash), trusted)
	if err != nil {
		return nil, fmt.Errorf("signature of root hash %x: %w", rootHash, err)
	}
	return signers[0], nil
}

// CheckDetached returns what keeps a detached signature from being one at all,
// whoever made it: the error of VerifyDetached that no certificate can help
// against.
func CheckDetached(signature []byte) error {
	if _, err := pkcs7.Parse(signature); err != nil {
		return fmt.Errorf("PKCS#7: %w", err)
	}
	return nil
}

// content is what is signed.
func content(rootHash []byte) []byte { return []byte(hex.EncodeToString(rootHash)) }
