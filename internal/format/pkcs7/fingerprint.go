package pkcs7

import (
	"crypto/sha256"
	"encoding/hex"
)

// Fingerprint returns the SHA-256 of a certificate in DER in lower-case
// hexadecimal, as systemd-repart writes it into the signature partition.
func Fingerprint(certificate []byte) string {
	digest := sha256.Sum256(certificate)
	return hex.EncodeToString(digest[:])
}
