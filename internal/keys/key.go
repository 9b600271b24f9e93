package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"

	"sextant/internal/fault"
	"sextant/internal/format/pkcs7"
)

// Key is a private key in memory. It is a crypto.Signer.
type Key struct {
	signer crypto.Signer
}

// NewKey wraps an RSA or ECDSA private key of the standard library. Other keys
// give an error that wraps fault.ErrUnsupported.
func NewKey(private any) (*Key, error) {
	switch private := private.(type) {
	case *rsa.PrivateKey:
		if private.N.BitLen() < 1024 {
			return nil, fmt.Errorf("RSA key of %d bits, where 1024 is the least: %w", private.N.BitLen(), fault.ErrUnsupported)
		}
		return &Key{private}, nil
	case *ecdsa.PrivateKey:
		if private.Curve == elliptic.P224() {
			return nil, fmt.Errorf("ECDSA key on curve P-224, which kernels do not verify: %w", fault.ErrUnsupported)
		}
		return &Key{private}, nil
	case ed25519.PrivateKey:
		return nil, fmt.Errorf("Ed25519 key: systemd and the kernel verify only RSA and ECDSA in PKCS#7: %w", fault.ErrUnsupported)
	default:
		return nil, fmt.Errorf("key of type %T, where only RSA and ECDSA can sign: %w", private, fault.ErrUnsupported)
	}
}

// Public returns the public key, as crypto.Signer asks.
func (k *Key) Public() crypto.PublicKey { return k.signer.Public() }

// Sign signs digest. It ignores random: ECDSA nonces come from the key and the
// digest (RFC 6979), and PKCS#1 v1.5 signatures need none, so that the same
// input always gives the same signature. RSASSA-PSS options are refused.
func (k *Key) Sign(_ io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	if _, pss := options.(*rsa.PSSOptions); pss {
		return nil, fmt.Errorf("RSASSA-PSS: %w", fault.ErrUnsupported)
	}
	// ecdsa.PrivateKey.Sign takes a nil reader as the wish for RFC 6979.
	return k.signer.Sign(nil, digest, options)
}

// SignPKCS7 returns the DER of a detached PKCS#7 signature of content, without
// signed attributes. The certificate must belong to the key.
func (k *Key) SignPKCS7(_ context.Context, content []byte, certificate *x509.Certificate, options pkcs7.Options) ([]byte, error) {
	if err := MatchesKey(certificate, k.Public()); err != nil {
		return nil, err
	}
	return pkcs7.Sign(content, certificate, k, options)
}

// Warnings lists what is weak about the key.
func (k *Key) Warnings() []string { return publicWarnings(k.Public()) }

func publicWarnings(public crypto.PublicKey) []string {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < 2048 {
			return []string{fmt.Sprintf("RSA key of %d bits is too short to be safe: use 2048 or more", bits)}
		}
	case *ecdsa.PublicKey:
		if public.Curve == elliptic.P521() {
			return []string{"not every kernel verifies ECDSA with curve P-521"}
		}
	}
	return nil
}

// CheckKey says what is wrong with the key of certificate. These are warnings:
// systemd takes every key that OpenSSL takes.
func CheckKey(certificate *x509.Certificate) []string { return publicWarnings(certificate.PublicKey) }

// Describe gives a public key's kind, such as "RSA 4096" or "ECDSA P-256".
func Describe(public crypto.PublicKey) string {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", public.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + public.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return fmt.Sprintf("%T", public)
}
