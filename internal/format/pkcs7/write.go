package pkcs7

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"sextant/internal/fault"
)

// Options says what Sign and Wrap leave out.
type Options struct {
	// NoCertificate leaves the signer's certificate out, as "openssl smime
	// -nocerts" does. Verifiers do not need it, as they trust only a
	// certificate that they have themselves.
	NoCertificate bool
}

// Sign returns the DER of a detached signature of content, made with the
// private key that belongs to certificate. An error of signer is passed on.
func Sign(content []byte, certificate *x509.Certificate, signer crypto.Signer, options Options) ([]byte, error) {
	digest := sha256.Sum256(content)
	signature, err := signer.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return Wrap(content, signature, certificate, options)
}

// Wrap returns the DER of a detached signature of content around signature,
// which the private key of certificate made over the SHA-256 of content: RSA
// PKCS#1 v1.5, or ECDSA as DER. It wraps fault.ErrUntrusted if the signature
// is not by that key over that content.
func Wrap(content, signature []byte, certificate *x509.Certificate, options Options) ([]byte, error) {
	algorithm, err := algorithmOf(certificate)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(content)
	if err := checkSignature(certificate, crypto.SHA256, digest[:], signature); err != nil {
		return nil, err
	}
	return marshal(certificate, algorithm, signature, options)
}

// algorithmOf gives the signature algorithm of certificate's key with SHA-256.
func algorithmOf(certificate *x509.Certificate) (OID, error) {
	switch key := certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		return OIDRSAEncryption, nil
	case *ecdsa.PublicKey:
		return OIDECDSAWithSHA256, nil
	default:
		return "", fmt.Errorf("certificate key of type %T, where only RSA and ECDSA can be used: %w", key, fault.ErrUnsupported)
	}
}

func marshal(certificate *x509.Certificate, algorithm OID, signature []byte, options Options) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { // ContentInfo
		b.AddASN1ObjectIdentifier(OIDSignedData.Identifier())
		b.AddASN1(explicit0, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { // SignedData
				b.AddASN1Int64(1)
				b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) { addAlgorithm(b, OIDSHA256) })
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { // encapContentInfo
					b.AddASN1ObjectIdentifier(OIDData.Identifier())
				})
				if !options.NoCertificate {
					b.AddASN1(explicit0, func(b *cryptobyte.Builder) { b.AddBytes(certificate.Raw) })
				}
				b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
					addSigner(b, certificate, algorithm, signature)
				})
			})
		})
	})
	return b.Bytes()
}

func addSigner(b *cryptobyte.Builder, certificate *x509.Certificate, algorithm OID, signature []byte) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { // SignerInfo
		b.AddASN1Int64(1)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { // issuerAndSerialNumber
			b.AddBytes(certificate.RawIssuer)
			b.AddASN1BigInt(certificate.SerialNumber)
		})
		addAlgorithm(b, OIDSHA256)
		addAlgorithm(b, algorithm)
		b.AddASN1OctetString(signature)
	})
}

// addAlgorithm adds an AlgorithmIdentifier. Digests and RSA have NULL for
// parameters, ECDSA has none (RFC 5754, 2 and 3).
func addAlgorithm(b *cryptobyte.Builder, algorithm OID) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(algorithm.Identifier())
		if algorithm != OIDECDSAWithSHA256 {
			b.AddASN1NULL()
		}
	})
}
