package pkcs7_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"os"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/format/pkcs7"
	"sextant/internal/testenv"
)

// TestSameBytesAsOpenSSL holds Sign against openssl for RSA, where signatures
// are deterministic.
func TestSameBytesAsOpenSSL(t *testing.T) {
	testenv.Require(t, "openssl")
	p := newPair(t, "rsa", "same bytes")
	content := writeFile(t, "rh", []byte(rootHash))
	for _, noCertificate := range []bool{false, true} {
		arguments := []string{"smime", "-sign", "-noattr", "-binary", "-outform", "der", "-in", content, "-signer", p.certFile, "-inkey", p.keyFile}
		if noCertificate {
			arguments = append(arguments, "-nocerts")
		}
		want := openssl(t, arguments...)
		got, err := pkcs7.Sign([]byte(rootHash), p.certificate, p.key, pkcs7.Options{NoCertificate: noCertificate})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("Sign(no certificate: %v) = %x, want %x", noCertificate, got, want)
		}
	}
}

// verifyAsSystemd runs the openssl command that does what systemd does.
func verifyAsSystemd(t *testing.T, content string, signature []byte, certFile string) error {
	_, err := tryOpenSSL("smime", "-verify", "-inform", "der", "-in", writeFile(t, "p7s", signature),
		"-content", writeFile(t, "rh", []byte(content)), "-certfile", certFile, "-nointern", "-noverify", "-binary")
	return err
}

func TestOpenSSLVerifiesOurs(t *testing.T) {
	testenv.Require(t, "openssl")
	other := newPair(t, "rsa", "other")
	for _, algorithm := range []string{"rsa", "p256", "p384", "p521"} {
		for _, noCertificate := range []bool{false, true} {
			p := newPair(t, algorithm, algorithm)
			signature, err := pkcs7.Sign([]byte(rootHash), p.certificate, p.key, pkcs7.Options{NoCertificate: noCertificate})
			if err != nil {
				t.Fatal(err)
			}
			if err := verifyAsSystemd(t, rootHash, signature, p.certFile); err != nil {
				t.Errorf("%s, no certificate %v: openssl says %v", algorithm, noCertificate, err)
			}
			if err := verifyAsSystemd(t, rootHash, signature, other.certFile); err == nil {
				t.Errorf("%s: openssl verifies with another certificate", algorithm)
			}
		}
	}
}

// opensslSignatures are command lines whose output is a signature of the
// content, KEY, CRT and RH standing for files; wantOther are commands that
// name a second signer.
var opensslSignatures = map[string][]string{
	"smime noattr":        {"smime", "-sign", "-noattr", "-binary", "-outform", "der"},
	"smime attributes":    {"smime", "-sign", "-binary", "-outform", "der"},
	"smime no smimecap":   {"smime", "-sign", "-binary", "-nosmimecap", "-outform", "der"},
	"smime nocerts":       {"smime", "-sign", "-binary", "-nocerts", "-outform", "der"},
	"smime stream (BER)":  {"smime", "-sign", "-binary", "-stream", "-outform", "der"},
	"smime attached":      {"smime", "-sign", "-binary", "-nodetach", "-outform", "der"},
	"smime attached BER":  {"smime", "-sign", "-binary", "-nodetach", "-stream", "-outform", "der"},
	"smime sha384":        {"smime", "-sign", "-binary", "-md", "sha384", "-outform", "der"},
	"smime sha512 noattr": {"smime", "-sign", "-binary", "-noattr", "-md", "sha512", "-outform", "der"},
	"cms noattr":          {"cms", "-sign", "-noattr", "-binary", "-outform", "der"},
	"cms attributes":      {"cms", "-sign", "-binary", "-outform", "der"},
	"cms cades":           {"cms", "-sign", "-cades", "-binary", "-outform", "der"},
}

// TestVerifyOpenSSLs verifies what openssl makes, and compares every verdict
// with openssl's own: right and wrong content, right and wrong certificate.
func TestVerifyOpenSSLs(t *testing.T) {
	testenv.Require(t, "openssl")
	for _, algorithm := range []string{"rsa", "p256", "p384"} {
		p, other := newPair(t, algorithm, "signer"), newPair(t, algorithm, "other")
		for name, command := range opensslSignatures {
			t.Run(algorithm+" "+name, func(t *testing.T) {
				arguments := append(command[:len(command):len(command)], "-in", writeFile(t, "rh", []byte(rootHash)), "-signer", p.certFile, "-inkey", p.keyFile)
				signature := openssl(t, arguments...)
				for _, trusted := range []pair{p, other} {
					for _, content := range []string{rootHash, rootHash[1:] + "0"} {
						compareVerdicts(t, content, signature, trusted)
					}
				}
			})
		}
	}
}

func compareVerdicts(t *testing.T, content string, signature []byte, trusted ...pair) {
	t.Helper()
	certificates, bundle := trust(t, trusted)
	signed, err := pkcs7.Parse(signature)
	if err == nil {
		_, err = signed.Verify([]byte(content), certificates)
	}
	want := verifyAsSystemd(t, content, signature, bundle)
	if (err == nil) != (want == nil) {
		t.Errorf("Verify(%.8s...) = %v, openssl says %v", content, err, want)
	}
}

// trust gives pairs as Verify and as openssl take them.
func trust(t *testing.T, pairs []pair) (certificates []*x509.Certificate, bundle string) {
	var all []byte
	for _, p := range pairs {
		certificates = append(certificates, p.certificate)
		text, err := os.ReadFile(p.certFile)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	return certificates, writeFile(t, "bundle.pem", all)
}

// TestSeveralSigners: all must be trusted, in any order of the certificates.
func TestSeveralSigners(t *testing.T) {
	testenv.Require(t, "openssl")
	a, b, c := newPair(t, "rsa", "a"), newPair(t, "p256", "b"), newPair(t, "p384", "c")
	signature := openssl(t, "smime", "-sign", "-noattr", "-binary", "-outform", "der", "-in", writeFile(t, "rh", []byte(rootHash)),
		"-signer", a.certFile, "-inkey", a.keyFile, "-signer", b.certFile, "-inkey", b.keyFile)
	signed, err := pkcs7.Parse(signature)
	if err != nil {
		t.Fatal(err)
	}
	if len(signed.Signers) != 2 || len(signed.Certificates) != 2 {
		t.Fatalf("Parse = %d signers, %d certificates, want 2, 2", len(signed.Signers), len(signed.Certificates))
	}
	for _, trusted := range [][]pair{{a, b}, {b, a}, {c, b, a}, {a}, {b}, {c}} {
		compareVerdicts(t, rootHash, signature, trusted...)
	}
}

// TestIssuerDoesNotVouch: a certificate authority whose certificate is trusted
// says nothing for a signer whose certificate is only inside the signature.
func TestIssuerDoesNotVouch(t *testing.T) {
	testenv.Require(t, "openssl")
	authority := newPairFrom(t, newKey(t, "rsa"), &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
	}, nil)
	leaf := newPairFrom(t, newKey(t, "rsa"), &x509.Certificate{
		Subject: pkix.Name{CommonName: "leaf"}, SerialNumber: big.NewInt(2),
	}, &authority)
	signature, err := pkcs7.Sign([]byte(rootHash), leaf.certificate, leaf.key, pkcs7.Options{})
	if err != nil {
		t.Fatal(err)
	}
	compareVerdicts(t, rootHash, signature, authority)
	compareVerdicts(t, rootHash, signature, leaf)
	compareVerdicts(t, rootHash, signature, authority, leaf)

	signed, err := pkcs7.Parse(signature)
	if err != nil {
		t.Fatal(err)
	}
	_, err = signed.Verify([]byte(rootHash), []*x509.Certificate{authority.certificate})
	const want = `signer 1 of 1: signed by the certificate with issuer "CN=authority" and serial 2, and the trusted certificate of that name has serial 1: only the signer's own certificate counts, not its issuer's: untrusted`
	if err == nil || err.Error() != want {
		t.Errorf("Verify = %v, want %v", err, want)
	}
}

// TestFirstOfTwins: of two certificates with one issuer and serial number,
// OpenSSL looks at the first only.
func TestFirstOfTwins(t *testing.T) {
	testenv.Require(t, "openssl")
	a, b := newPair(t, "rsa", "twin"), newPair(t, "rsa", "twin")
	signature, err := pkcs7.Sign([]byte(rootHash), a.certificate, a.key, pkcs7.Options{})
	if err != nil {
		t.Fatal(err)
	}
	compareVerdicts(t, rootHash, signature, a, b)
	compareVerdicts(t, rootHash, signature, b, a)
}

// TestNameFolding: an issuer in another string type and case is the same one
// to OpenSSL.
func TestNameFolding(t *testing.T) {
	testenv.Require(t, "openssl")
	p := newPair(t, "rsa", "Folded  Name")
	signature, err := pkcs7.Sign([]byte(rootHash), p.certificate, p.key, pkcs7.Options{NoCertificate: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, changed := range []string{"FOLDED  nAME", " Folded Name", "Folded Nam e"} {
		compareVerdicts(t, rootHash, bytes.Replace(signature, []byte("Folded  Name"), []byte(changed), 1), p)
		if len(changed) != len("Folded  Name") {
			t.Fatalf("%q changes the length", changed)
		}
	}
	utf8 := bytes.Replace(signature, []byte("\x13\x0cFolded  Name"), []byte("\x0c\x0cFolded  Name"), 1)
	if bytes.Equal(utf8, signature) {
		t.Fatal("the name is no PrintableString")
	}
	compareVerdicts(t, rootHash, utf8, p)
}

// TestSubjectKeyIdentifier: neither OpenSSL's PKCS#7 functions nor we verify
// such a signer, but we say what it is.
func TestSubjectKeyIdentifier(t *testing.T) {
	testenv.Require(t, "openssl")
	p := newPair(t, "rsa", "key identifier")
	signature := openssl(t, "cms", "-sign", "-keyid", "-binary", "-noattr", "-outform", "der",
		"-in", writeFile(t, "rh", []byte(rootHash)), "-signer", p.certFile, "-inkey", p.keyFile)
	compareVerdicts(t, rootHash, signature, p)
	signed, err := pkcs7.Parse(signature)
	if err != nil {
		t.Fatal(err)
	}
	if !signed.Signers[0].Names(p.certificate) {
		t.Error("Names(the signer's certificate) = false, want true")
	}
	if _, err := signed.Verify([]byte(rootHash), []*x509.Certificate{p.certificate}); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Verify = %v, want %v", err, fault.ErrUnsupported)
	}
}

// TestRefusedAlgorithms: SHA-1 and RSASSA-PSS, which openssl makes on request.
func TestRefusedAlgorithms(t *testing.T) {
	testenv.Require(t, "openssl")
	p := newPair(t, "rsa", "refused")
	content := writeFile(t, "rh", []byte(rootHash))
	cases := map[error][]string{
		fault.ErrUntrusted:   {"smime", "-sign", "-md", "sha1"},
		fault.ErrUnsupported: {"cms", "-sign", "-keyopt", "rsa_padding_mode:pss"},
	}
	for want, command := range cases {
		arguments := append(command, "-binary", "-noattr", "-outform", "der", "-in", content, "-signer", p.certFile, "-inkey", p.keyFile)
		if command[0] == "cms" { // the option belongs to the signer before it
			arguments = []string{"cms", "-sign", "-binary", "-noattr", "-outform", "der", "-in", content, "-signer", p.certFile, "-inkey", p.keyFile, "-keyopt", "rsa_padding_mode:pss"}
		}
		signed, err := pkcs7.Parse(openssl(t, arguments...))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := signed.Verify([]byte(rootHash), []*x509.Certificate{p.certificate}); !errors.Is(err, want) {
			t.Errorf("%q: Verify = %v, want %v", command, err, want)
		}
	}
}

func TestKernelRefusals(t *testing.T) {
	testenv.Require(t, "openssl")
	p := newPair(t, "rsa", "kernel")
	for name, want := range map[string]int{
		"smime noattr": 0, "smime nocerts": 1, "smime no smimecap": 0, "smime attributes": 1, "smime attached": 2, "smime stream (BER)": 1,
	} {
		arguments := append(opensslSignatures[name], "-in", writeFile(t, "rh", []byte(rootHash)), "-signer", p.certFile, "-inkey", p.keyFile)
		signed, err := pkcs7.Parse(openssl(t, arguments...))
		if err != nil {
			t.Fatal(err)
		}
		if got := signed.KernelRefusals(); len(got) != want {
			t.Errorf("%s: KernelRefusals() = %q, want %d", name, got, want)
		}
	}
}

// TestDER: openssl reads its own BER output and writes it as DER; so do we.
func TestDER(t *testing.T) {
	testenv.Require(t, "openssl")
	p := newPair(t, "rsa", "ber")
	ber := openssl(t, append(opensslSignatures["smime attached BER"], "-in", writeFile(t, "rh", []byte(rootHash)), "-signer", p.certFile, "-inkey", p.keyFile)...)
	want := openssl(t, "pkcs7", "-inform", "der", "-outform", "der", "-in", writeFile(t, "ber", ber))
	got, err := pkcs7.DER(ber)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(ber, got) {
		t.Error("openssl -stream wrote DER, so this test shows nothing")
	}
	t.Logf("BER %d bytes, DER %d bytes, openssl's %d", len(ber), len(got), len(want))
	again, err := pkcs7.DER(got)
	if err != nil || !bytes.Equal(again, got) {
		t.Errorf("DER(DER) = %x, %v, want %x", again, err, got)
	}
}

func TestAcceptOpenSSL(t *testing.T) {
	testenv.Require(t, "openssl")
	p, other := newPair(t, "p256", "accept"), newPair(t, "p256", "other")
	content := writeFile(t, "rh", []byte(rootHash))
	raw := openssl(t, "dgst", "-sha256", "-sign", p.keyFile, content)
	text := openssl(t, "smime", "-sign", "-noattr", "-binary", "-outform", "pem", "-in", content, "-signer", p.certFile, "-inkey", p.keyFile)
	ber := openssl(t, "smime", "-sign", "-stream", "-binary", "-outform", "der", "-in", content, "-signer", p.certFile, "-inkey", p.keyFile)
	for name, made := range map[string][]byte{"raw": raw, "pem": text, "ber": ber} {
		signature, err := pkcs7.Accept([]byte(rootHash), made, p.certificate, pkcs7.Options{})
		if err != nil {
			t.Errorf("Accept(%s) = %v", name, err)
			continue
		}
		if err := verifyAsSystemd(t, rootHash, signature, p.certFile); err != nil {
			t.Errorf("Accept(%s): openssl says %v", name, err)
		}
		if _, err := pkcs7.Accept([]byte(rootHash), made, other.certificate, pkcs7.Options{}); !errors.Is(err, fault.ErrUntrusted) {
			t.Errorf("Accept(%s, other certificate) = %v, want %v", name, err, fault.ErrUntrusted)
		}
	}
}
