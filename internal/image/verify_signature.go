package image

import (
	"crypto/x509"
	"encoding/hex"
	"errors"

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
		v.addTrust(verdict.SignatureUntrusted, withoutWord(err))
		return nil
	}
	certificate := certificates[0]
	v.found.Good("signature", "by %s, certificate %s", certificate.Subject, keys.Fingerprint(certificate))
	v.certificate(g, certificate)
	return nil
}

// addTrust notes a finding about the signature, which is an error where the user named
// the certificates.
func (v *verifier) addTrust(rule verdict.Rule, err error) {
	outcome, source := v.situation.Outcome(rule)
	severity := outcome.Severity()
	if v.opts.Required {
		severity = report.Error
	}
	v.put(severity, outcome, report.Finding{ID: string(rule), Place: "signature", Text: err.Error(), Rule: source, Cause: err})
}

// withoutWord takes the plain "untrusted" off an error that has said it with
// more words.
func withoutWord(err error) error { return trustError{err} }

type trustError struct{ error }

func (e trustError) Unwrap() error { return e.error }

func (e trustError) Error() string {
	text := e.error.Error()
	suffix := ": " + fault.ErrUntrusted.Error()
	if len(text) > len(suffix) && text[len(text)-len(suffix):] == suffix {
		return text[:len(text)-len(suffix)]
	}
	return text
}

// certificate warns of what systemd does not look at.
func (v *verifier) certificate(g *guard, c *x509.Certificate) {
	if print := g.signed.Fingerprint; print != "" && print != keys.Fingerprint(c) {
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
