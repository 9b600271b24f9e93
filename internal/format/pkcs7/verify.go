package pkcs7

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"

	"sextant/internal/fault"
)

// Verify checks every signature in d over content, with trusted as the only
// certificates, and returns the certificate of each signer in order. It
// answers as systemd does, which calls PKCS7_verify with PKCS7_NOINTERN and
// PKCS7_NOVERIFY (dissect-image.c, validate_signature_userspace):
//
//   - A signer's certificate is the first of trusted with the signer's issuer
//     and serial number. A certificate that vouches for others does not count,
//     nor do the certificates inside d, nor chains, dates and key usage.
//   - All signers must verify, not only one (the kernel is content with one).
//   - Content inside d is not looked at; content is what counts.
//
// It is stricter in these points: SHA-1 signatures, a content type other than
// data (also in the signed attributes), and a signature algorithm that
// contradicts the key or the digest do not verify.
//
// Errors wrap fault.ErrUntrusted if no trusted key vouches for content,
// fault.ErrUnsupported if an algorithm or a way to name the signer is none
// that systemd's OpenSSL call knows, and fault.ErrCorrupt if d contradicts itself.
func (d *SignedData) Verify(content []byte, trusted []*x509.Certificate) ([]*x509.Certificate, error) {
	var found []*x509.Certificate
	for i := range d.Signers {
		certificate, err := d.verifySigner(&d.Signers[i], content, trusted)
		if err != nil {
			return nil, fmt.Errorf("signer %d of %d: %w", i+1, len(d.Signers), err)
		}
		found = append(found, certificate)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no signer: %w", fault.ErrUntrusted)
	}
	return found, nil
}

func (d *SignedData) verifySigner(s *Signer, content []byte, trusted []*x509.Certificate) (*x509.Certificate, error) {
	if d.ContentType != OIDData {
		return nil, fmt.Errorf("content of type %v instead of data: %w", d.ContentType, fault.ErrUnsupported)
	}
	hash, err := s.Digest.hash()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(d.DigestAlgorithms, s.Digest) {
		return nil, fmt.Errorf("digest %v is not among the digestAlgorithms: %w", s.Digest, fault.ErrCorrupt)
	}
	certificate, err := s.find(trusted)
	if err != nil {
		return nil, err
	}
	if err := s.checkAlgorithm(certificate); err != nil {
		return nil, err
	}
	digest := sum(hash, content)
	if s.Attributes != nil {
		if err := s.checkAttributes(d.ContentType, digest); err != nil {
			return nil, err
		}
		digest = sum(hash, s.Attributes.Signed)
	}
	return certificate, checkSignature(certificate, hash, digest, s.Signature)
}

// find returns the first of trusted that the signer names.
func (s *Signer) find(trusted []*x509.Certificate) (*x509.Certificate, error) {
	if s.SubjectKeyID != nil {
		return nil, fmt.Errorf("signer named by subject key identifier %x, which systemd does not read: %w", s.SubjectKeyID, fault.ErrUnsupported)
	}
	for _, certificate := range trusted {
		if s.Names(certificate) {
			return certificate, nil
		}
	}
	return nil, fmt.Errorf("signed by the certificate with issuer %q and serial %x, %s: %w", nameText(s.Issuer), s.Serial, s.miss(trusted), fault.ErrUntrusted)
}

// miss says why none of trusted is the signer's certificate.
func (s *Signer) miss(trusted []*x509.Certificate) string {
	if len(trusted) == 0 {
		return "and no certificate is trusted"
	}
	for _, certificate := range trusted {
		if sameName(s.Issuer, certificate.RawSubject) {
			return fmt.Sprintf("and the trusted certificate of that name has serial %x: only the signer's own certificate counts, not its issuer's", certificate.SerialNumber)
		}
	}
	return "which is not among the trusted ones"
}

// Names reports whether certificate has the issuer and serial number, or the
// key identifier, that the signer gives.
func (s *Signer) Names(certificate *x509.Certificate) bool {
	if s.SubjectKeyID != nil {
		return bytes.Equal(s.SubjectKeyID, certificate.SubjectKeyId)
	}
	return s.Serial.Cmp(certificate.SerialNumber) == 0 && sameName(s.Issuer, certificate.RawIssuer)
}

// checkAlgorithm checks that the signature algorithm fits the key and the
// digest. OpenSSL looks at the key alone, so a contradiction would be silent.
func (s *Signer) checkAlgorithm(certificate *x509.Certificate) error {
	var fitting []OID
	switch certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		fitting = []OID{OIDRSAEncryption, s.paired(OIDSHA256WithRSA, OIDSHA384WithRSA, OIDSHA512WithRSA)}
	case *ecdsa.PublicKey:
		fitting = []OID{s.paired(OIDECDSAWithSHA256, OIDECDSAWithSHA384, OIDECDSAWithSHA512)}
	}
	if !slices.Contains(fitting, s.Algorithm) {
		return fmt.Errorf("signature algorithm %v with digest %v and a key of type %v: %w", s.Algorithm, s.Digest, certificate.PublicKeyAlgorithm, fault.ErrUnsupported)
	}
	return nil
}

// paired returns the one of three algorithms that uses the signer's digest.
func (s *Signer) paired(sha256, sha384, sha512 OID) OID {
	switch s.Digest {
	case OIDSHA256:
		return sha256
	case OIDSHA384:
		return sha384
	default:
		return sha512
	}
}

func (s *Signer) checkAttributes(contentType OID, digest []byte) error {
	if s.Attributes.ContentType != contentType {
		return fmt.Errorf("signed content type %v, where the content is %v: %w", s.Attributes.ContentType, contentType, fault.ErrUntrusted)
	}
	if !bytes.Equal(s.Attributes.MessageDigest, digest) {
		return fmt.Errorf("signed digest %x, where the content has %x: %w", s.Attributes.MessageDigest, digest, fault.ErrUntrusted)
	}
	return nil
}

// checkSignature checks a PKCS#1 v1.5 or ECDSA signature over digest.
func checkSignature(certificate *x509.Certificate, hash crypto.Hash, digest, signature []byte) error {
	var ok bool
	switch key := certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(key, hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(key, digest, signature)
	default:
		return fmt.Errorf("key of type %T: %w", key, fault.ErrUnsupported)
	}
	if !ok {
		return fmt.Errorf("signature is not by the key of certificate %q over this content: %w", certificate.Subject, fault.ErrUntrusted)
	}
	return nil
}

func sum(hash crypto.Hash, content []byte) []byte {
	h := hash.New()
	h.Write(content)
	return h.Sum(nil)
}

// IssuerText gives the issuer as RFC 4514 text, or "" if the signer gives none.
func (s *Signer) IssuerText() string {
	if s.Issuer == nil {
		return ""
	}
	return nameText(s.Issuer)
}

func nameText(raw []byte) string {
	var sequence pkix.RDNSequence
	if _, err := unmarshal(raw, &sequence); err != nil {
		return fmt.Sprintf("%x", raw)
	}
	return sequence.String()
}
