package keys

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"time"

	"sextant/internal/fault"
	"sextant/internal/format/pkcs7"
)

// expiresSoon is how long before the end of its validity a certificate is
// worth a warning.
const expiresSoon = 30 * 24 * time.Hour

// ReadCertificate reads an X.509 certificate from a PEM or DER file of at most
// 1 MiB. Of several in one PEM file the first counts, as in verity.d. The
// warnings say what the reader of a log should know about the file.
func ReadCertificate(path string) (certificate *x509.Certificate, warnings []string, err error) {
	data, err := readBounded(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read certificate: %w", err)
	}
	certificate, warnings, err = ParseCertificate(data)
	if err != nil {
		return nil, nil, fmt.Errorf("read certificate %s: %w", path, err)
	}
	return certificate, warnings, nil
}

// ParseCertificate is ReadCertificate for bytes.
func ParseCertificate(data []byte) (certificate *x509.Certificate, warnings []string, err error) {
	blocks := pemBlocks(data)
	der, more, err := firstCertificate(data, blocks)
	if err != nil {
		return nil, nil, err
	}
	certificate, err = x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", err, fault.ErrCorrupt)
	}
	if len(blocks) == 0 {
		warnings = append(warnings, "certificate is in DER form: systemd reads only PEM from verity.d")
	}
	if more > 0 {
		warnings = append(warnings, fmt.Sprintf("file holds %d certificates, of which only the first counts", more+1))
	}
	return certificate, append(warnings, publicWarnings(certificate.PublicKey)...), nil
}

// firstCertificate returns the DER of the first certificate and the number of
// the others.
func firstCertificate(data []byte, blocks []*pem.Block) (der []byte, more int, err error) {
	for _, block := range blocks {
		if block.Type != "CERTIFICATE" && block.Type != "X509 CERTIFICATE" {
			continue
		}
		if der != nil {
			more++
			continue
		}
		der = block.Bytes
	}
	switch {
	case der != nil:
		return der, more, nil
	case len(blocks) > 0:
		return nil, 0, fmt.Errorf("file holds %s, not a certificate: %w", kindOf(blocks[0].Type), fault.ErrCorrupt)
	case looksLikeDER(data):
		return data, 0, nil
	default:
		return nil, 0, fmt.Errorf("file holds no PEM block and no DER: %w", fault.ErrCorrupt)
	}
}

// CheckValidity says in what way certificate is not valid at the given time.
// These are warnings: neither systemd nor the kernel looks at the dates.
func CheckValidity(certificate *x509.Certificate, now time.Time) []string {
	from, until := certificate.NotBefore.UTC(), certificate.NotAfter.UTC()
	switch {
	case now.Before(from):
		return []string{"certificate is not valid before " + from.Format(time.RFC3339)}
	case now.After(until):
		return []string{"certificate expired at " + until.Format(time.RFC3339)}
	case now.Add(expiresSoon).After(until):
		return []string{"certificate expires soon, at " + until.Format(time.RFC3339)}
	}
	return nil
}

// MatchesKey returns an error, with the SHA-256 of both public keys, unless
// public is the key of certificate.
func MatchesKey(certificate *x509.Certificate, public crypto.PublicKey) error {
	key, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return err
	}
	if bytes.Equal(key, certificate.RawSubjectPublicKeyInfo) {
		return nil
	}
	if equal, ok := public.(interface{ Equal(crypto.PublicKey) bool }); ok && equal.Equal(certificate.PublicKey) {
		return nil // the same key in another encoding
	}
	return fmt.Errorf("key does not match the certificate: public key %s %s, in the certificate %s %s",
		Describe(public), digestHex(key), Describe(certificate.PublicKey), digestHex(certificate.RawSubjectPublicKeyInfo))
}

// Fingerprint returns the SHA-256 of the certificate's DER in lower-case
// hexadecimal, as systemd-repart writes it into the signature partition.
func Fingerprint(certificate *x509.Certificate) string { return pkcs7.Fingerprint(certificate.Raw) }

func digestHex(data []byte) string {
	digest := sha256.Sum256(data)
	return hex.EncodeToString(digest[:])
}

// MarshalCertificate returns certificate as PEM.
func MarshalCertificate(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
}
