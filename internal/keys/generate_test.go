package keys_test

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"sextant/internal/keys"
	"sextant/internal/testenv"
)

func TestParseAlgorithm(t *testing.T) {
	for _, algorithm := range keys.Algorithms() {
		if got, err := keys.ParseAlgorithm(strings.ToUpper(string(algorithm))); got != algorithm || err != nil {
			t.Errorf("ParseAlgorithm(%q) = %q, %v", algorithm, got, err)
		}
	}
	_, err := keys.ParseAlgorithm("ed25519")
	wantError(t, "ParseAlgorithm", err, `no algorithm "ed25519": choose one of rsa:2048, rsa:4096, ecdsa:p256, ecdsa:p384`)
}

// TestOpenSSLTakesThePair: the key is sound, the certificate is what a signer
// needs, and both belong together.
func TestOpenSSLTakesThePair(t *testing.T) {
	testenv.Require(t, "openssl")
	for _, algorithm := range keys.Algorithms() {
		key, certificate := generate(t, algorithm)
		for _, passphrase := range []string{"", "a passphrase"} {
			pair := files(t, key, certificate, passphrase)
			run(t, "openssl", "pkey", "-in", pair.KeyPath, "-passin", "pass:"+passphrase, "-check", "-noout")
			public := run(t, "openssl", "pkey", "-in", pair.KeyPath, "-passin", "pass:"+passphrase, "-pubout")
			if got := run(t, "openssl", "x509", "-in", pair.CertificatePath, "-noout", "-pubkey"); got != public {
				t.Errorf("%s: the certificate's key is %s, want %s", algorithm, got, public)
			}
			run(t, "openssl", "verify", "-x509_strict", "-check_ss_sig", "-purpose", "smimesign", "-CAfile", pair.CertificatePath, pair.CertificatePath)
		}
	}
}

func TestCertificateContents(t *testing.T) {
	testenv.Require(t, "openssl")
	now := time.Date(2030, 2, 3, 4, 5, 6, 789, time.UTC)
	key, certificate, err := keys.Generate(keys.ECDSAP256, subject(t, "/CN=signer/O=Example"), 365, now)
	if err != nil {
		t.Fatal(err)
	}
	pair := files(t, key, certificate, "")
	text := run(t, "openssl", "x509", "-in", pair.CertificatePath, "-noout", "-text", "-nameopt", "RFC2253")
	for _, want := range []string{
		"Version: 3 (0x2)", "Issuer: O=Example,CN=signer", "Subject: O=Example,CN=signer",
		"Not Before: Feb  3 04:05:06 2030 GMT", "Not After : Feb  3 04:05:06 2031 GMT",
		"X509v3 Basic Constraints: critical\n                CA:FALSE",
		"X509v3 Key Usage: critical\n                Digital Signature",
		"X509v3 Subject Key Identifier", "X509v3 Authority Key Identifier", "Signature Algorithm: ecdsa-with-SHA256",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("openssl x509 -text lacks %q:\n%s", want, text)
		}
	}
	if bits := certificate.SerialNumber.BitLen(); certificate.SerialNumber.Sign() <= 0 || bits <= 152 || bits > 159 {
		t.Errorf("serial %x has %d bits, want 153 to 159", certificate.SerialNumber, bits)
	}
	if err := certificate.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature); err != nil {
		t.Errorf("self-signature: %v", err)
	}
}

// TestFarDates: 2050 and later need the other ASN.1 time type.
func TestFarDates(t *testing.T) {
	_, certificate, err := keys.Generate(keys.ECDSAP256, subject(t, "/CN=a"), 36500, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := x509.ParseCertificate(certificate.Raw); err != nil || again.NotAfter.Year() < 2100 {
		t.Errorf("NotAfter = %v, %v", again.NotAfter, err)
	}
	for _, days := range []int{0, -1, 10_000_000} {
		_, _, err := keys.Generate(keys.ECDSAP256, subject(t, "/CN=a"), days, time.Now())
		wantError(t, "Generate", err, "1 to 366000 are possible")
	}
}

// TestSubjectsAsOpenSSL compares names with what openssl makes of -subj.
func TestSubjectsAsOpenSSL(t *testing.T) {
	testenv.Require(t, "openssl")
	for _, text := range []string{
		"/CN=a", "/CN=signer/O=Example/OU=Build/C=DE/ST=Somewhere/L=Town/emailAddress=a@example.org",
		"/CN=with \\/ slash/O=a\\+b", "/CN=a+UID=b/O=c", "/DC=org/DC=example/CN=x", "/CN=Grüße, 世界/serialNumber=12 34",
		"/CN=a=b/O=c,d",
	} {
		certPath := t.TempDir() + "/crt"
		run(t, "openssl", "req", "-x509", "-utf8", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null", "-subj", text, "-out", certPath)
		want, _, err := keys.ReadCertificate(certPath)
		if err != nil {
			t.Fatal(err)
		}
		_, got, err := keys.Generate(keys.ECDSAP256, subject(t, text), 1, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if string(got.RawSubject) != string(want.RawSubject) {
			t.Errorf("subject %q = %x, want %x", text, got.RawSubject, want.RawSubject)
		}
	}
}

// TestSubjectForms: one name in both forms.
func TestSubjectForms(t *testing.T) {
	for slashes, rfc4514 := range map[string]string{
		"/CN=a":               "CN=a",
		"/O=b/CN=a":           "CN=a,O=b",
		"/O=b/CN=a+UID=c":     " CN = a + UID=c , O=b ",
		"/O=x, y/CN=\\/a\\+b": `CN=/a\+b,O=x\, y`,
		"/CN=Lučić":           `CN=Lu\C4\8Di\C4\87`,
		"/CN= a ":             `CN=\ a\ `,
		"/CN=a\\\\":           `cn=a\\`,
	} {
		_, a, err := keys.Generate(keys.ECDSAP256, subject(t, slashes), 1, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		_, b, err := keys.Generate(keys.ECDSAP256, subject(t, rfc4514), 1, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if string(a.RawSubject) != string(b.RawSubject) {
			t.Errorf("%q = %x, %q = %x, want the same", slashes, a.RawSubject, rfc4514, b.RawSubject)
		}
	}
}

func TestBadSubjects(t *testing.T) {
	for text, want := range map[string]string{
		"":                               `no attribute ""`,
		"/":                              `no attribute ""`,
		"signer":                         `no attribute "signer": known are CN, O, OU`,
		"/CN=":                           "CN has no value",
		"/XY=a":                          `no attribute "XY"`,
		"/C=Germany":                     "C has 7 characters, where at most 2",
		"/C=D":                           "country code of 2 letters",
		"/CN=" + strings.Repeat("x", 65): "CN has 65 characters, where at most 64",
		"/emailAddress=ä@b":              "character at byte 0",
		"/CN=a\nb":                       "character at byte 1",
		"/serialNumber=a_b":              "character at byte 1",
		"/CN=a\\":                        "ends with a backslash",
		"CN=#0C0161":                     "hexadecimal BER is not read",
		"/CN=\xff":                       "not UTF-8",
	} {
		_, err := keys.ParseSubject(text)
		wantError(t, text, err, want)
	}
}
