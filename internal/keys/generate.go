package keys

import (
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"
)

// maxDays keeps the end of the validity inside the years that X.509 can write.
const maxDays = 366 * 1000

// Generate makes a key and a self-signed certificate for it, valid for days
// days from now on. The certificate is what a signer needs and no more:
//
//	version           3
//	serialNumber      159 random bits
//	basicConstraints  critical, not a CA
//	keyUsage          critical, digitalSignature
//	subjectKeyIdentifier, authorityKeyIdentifier
//
// It is signed with SHA-256, or SHA-384 for ECDSA P-384. It is no certificate
// authority, as in verity.d nobody vouches for others.
func Generate(algorithm Algorithm, subject Subject, days int, now time.Time) (*Key, *x509.Certificate, error) {
	if days < 1 || days > maxDays {
		return nil, nil, fmt.Errorf("validity of %d days, where 1 to %d are possible", days, maxDays)
	}
	private, err := algorithm.newKey()
	if err != nil {
		return nil, nil, err
	}
	key, err := NewKey(private)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := selfSign(key, subject, now, now.AddDate(0, 0, days))
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate: %w", err)
	}
	return key, certificate, nil
}

func selfSign(key *Key, subject Subject, from, until time.Time) (*x509.Certificate, error) {
	id, err := keyIdentifier(key)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		RawSubject:            subject.der,
		NotBefore:             from.UTC().Truncate(time.Second),
		NotAfter:              until.UTC().Truncate(time.Second),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		SubjectKeyId:          id,
		AuthorityKeyId:        id,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// keyIdentifier is the SHA-1 of the public key's bits (RFC 5280, 4.2.1.2,
// method 1), which openssl and the kernel's build scripts use too.
func keyIdentifier(key *Key) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	var info struct {
		Algorithm asn1.RawValue
		Bits      asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, err
	}
	id := sha1.Sum(info.Bits.Bytes)
	return id[:], nil
}

// newSerial returns 159 random bits, as openssl does: 20 bytes with the sign
// bit clear is the most that RFC 5280 allows.
func newSerial() *big.Int {
	serial := make([]byte, 20)
	for serial[0] == 0 { // so that all serials have one length
		rand.Read(serial)
		serial[0] &= 0x7f
	}
	return new(big.Int).SetBytes(serial)
}
