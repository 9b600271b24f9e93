package image

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"

	"sextant/internal/fault"
	"sextant/internal/format/pkcs7"
	"sextant/internal/keys"
	"sextant/internal/report"
	"sextant/internal/verdict"
)

// signature checks who vouches for the root hash of a guard.
func (v *verifier) signature(g *guard) error {
	switch {
	case g == nil && v.opts.Required:
		v.addTrust(verdict.SignatureMissing, errors.New("there is none, and no hash tree"))
		return nil
	case g == nil:
		return nil
	case g.sealed == "":
		v.addTrust(verdict.SignatureMissing, errors.New("there is none"))
		return nil
	case g.signed == nil:
		return nil // told already
	}
	if !g.used {
		v.add(verdict.SignatureIgnored, g.sealed, "systemd %d does not look at it", v.opts.Systemd)
	}
	signed, err := pkcs7.Parse(g.signed.PKCS7)
	if err != nil {
		v.addTrust(verdict.SignaturePKCS7, err)
		return nil
	}
	certificates, err := signed.Verify([]byte(hexText(g.root)), v.opts.Certificates)
	if err != nil {
		v.addTrust(verdict.SignatureUntrusted, brief{err})
		return nil
	}
	certificate := certificates[0]
	v.found.Good("signature", "by %s, certificate %s", certificate.Subject, keys.Fingerprint(certificate))
	v.certificate(g, certificate)
	v.embedded(signed, certificate)
	for _, text := range signed.KernelRefusals() {
		v.add(verdict.SignatureKernel, "signature", "Linux itself does not take it, only user space does: %s", text)
	}
	return nil
}

// embedded warns where a certificate inside the signature says it is the
// signer's, and is another.
func (v *verifier) embedded(signed *pkcs7.SignedData, signer *x509.Certificate) {
	for _, der := range signed.Certificates {
		c, err := x509.ParseCertificate(der)
		switch {
		case err != nil:
			v.add(verdict.SignatureEmbedded, "signature", "a certificate inside cannot be read: %w", err)
		case !bytes.Equal(der, signer.Raw) && (bytes.Equal(c.RawSubject, signer.RawSubject) || len(signed.Signers) == 1 && len(signed.Certificates) == 1):
			v.add(verdict.SignatureEmbedded, "signature", "the certificate inside, with SHA-256 %s, is not the signer's", keys.Fingerprint(c))
		}
	}
}

// addTrust notes a finding about the signature, which is an error where the
// user named the certificates.
func (v *verifier) addTrust(rule verdict.Rule, err error) {
	outcome, source := v.situation.Outcome(rule)
	severity := outcome.Severity()
	if v.opts.Required {
		severity = report.Error
	}
	v.put(severity, outcome, report.Finding{ID: string(rule), Place: "signature", Text: err.Error(), Rule: source, Cause: err})
}

// brief is an error without what goes without saying where it is printed: that
// there is one signer, that a policy is an image policy, and at the end the
// plain "untrusted".
type brief struct{ error }

func (e brief) Unwrap() error { return e.error }

func (e brief) Error() string {
	text := e.error.Error()
	for _, prefix := range []string{"signer 1 of 1: ", "image policy: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return strings.TrimSuffix(text, ": "+fault.ErrUntrusted.Error())
}

// certificate warns of what systemd does not look at.
func (v *verifier) certificate(g *guard, c *x509.Certificate) {
	switch print := g.signed.Fingerprint; {
	case print == "" && g.sealed != v.m.Beside.Signature:
		v.add(verdict.SignatureFingerprint, g.sealed, "there is no certificateFingerprint that can be read")
	case print != "" && print != keys.Fingerprint(c):
		v.add(verdict.SignatureFingerprint, g.sealed, "certificateFingerprint is %s, the certificate's is %s", print, keys.Fingerprint(c))
	}
	if !v.opts.Now.IsZero() {
		for _, text := range keys.CheckValidity(c, v.opts.Now) {
			v.add(verdict.CertificateDates, "certificate", "%s", text)
		}
	}
	for _, text := range keys.CheckKey(c) {
		v.add(verdict.CertificateKey, "certificate", "%s", text)
	}
}

func hexText(b []byte) string { return hex.EncodeToString(b) }
