package keys_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"sextant/internal/fault"
	"sextant/internal/keys"
	"sextant/internal/testenv"
)

// TestReadWhatOpenSSLWrites reads a key in every form that openssl has for it.
func TestReadWhatOpenSSLWrites(t *testing.T) {
	testenv.Require(t, "openssl")
	const passphrase = "päss phrase"
	encryptions := map[string][]string{}
	for _, prf := range []string{"hmacWithSHA1", "hmacWithSHA224", "hmacWithSHA256", "hmacWithSHA384", "hmacWithSHA512"} {
		encryptions[prf] = []string{"-v2", "aes-256-cbc", "-v2prf", prf}
	}
	for _, cipher := range []string{"aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "des3"} {
		encryptions[cipher] = []string{"-v2", cipher}
		encryptions["scrypt "+cipher] = []string{"-scrypt", "-v2", cipher}
	}
	for _, algorithm := range []keys.Algorithm{keys.RSA2048, keys.ECDSAP384} {
		key, certificate := generate(t, algorithm)
		plain := files(t, key, certificate, "").KeyPath
		check := func(name, path, passphrase string) {
			t.Helper()
			got, err := keys.ReadKey(path, []byte(passphrase))
			if err != nil {
				t.Errorf("%s %s: %v", algorithm, name, err)
			} else if err := keys.MatchesKey(certificate, got.Public()); err != nil {
				t.Errorf("%s %s: %v", algorithm, name, err)
			}
		}
		check("PKCS#8", plain, "")
		check("needless passphrase", plain, "x")
		for name, options := range encryptions {
			path := t.TempDir() + "/key"
			run(t, "openssl", append([]string{"pkcs8", "-topk8", "-in", plain, "-out", path, "-passout", "pass:" + passphrase}, options...)...)
			check(name, path, passphrase)
			_, err := keys.ReadKey(path, []byte("wrong"))
			if !errors.Is(err, keys.ErrWrongPassphrase) {
				t.Errorf("%s, wrong passphrase: %v, want %v", name, err, keys.ErrWrongPassphrase)
			}
			if _, err := keys.ReadKey(path, nil); !errors.Is(err, keys.ErrNoPassphrase) {
				t.Errorf("%s, no passphrase: %v, want %v", name, err, keys.ErrNoPassphrase)
			}
			der := t.TempDir() + "/key"
			run(t, "openssl", append([]string{"pkcs8", "-topk8", "-in", plain, "-outform", "der", "-out", der, "-passout", "pass:" + passphrase}, options...)...)
			check(name+" DER", der, passphrase)
		}
		for name, options := range map[string][]string{
			"traditional PEM": {"-traditional"}, "traditional DER": {"-traditional", "-outform", "der"}, "PKCS#8 DER": {"-outform", "der"},
		} {
			path := t.TempDir() + "/key"
			run(t, "openssl", append([]string{"pkey", "-in", plain, "-out", path}, options...)...)
			check(name, path, "")
		}
	}
}

// TestECParameters: openssl ecparam -genkey puts a block before the key.
func TestECParameters(t *testing.T) {
	testenv.Require(t, "openssl")
	path := write(t, run(t, "openssl", "ecparam", "-name", "prime256v1", "-genkey"))
	if _, err := keys.ReadKey(path, nil); err != nil {
		t.Error(err)
	}
}

// TestOurEncryption: openssl opens what we encrypt, and it is what the comment
// promises.
func TestOurEncryption(t *testing.T) {
	testenv.Require(t, "openssl")
	key, certificate := generate(t, keys.ECDSAP256)
	path := files(t, key, certificate, "secret").KeyPath
	if text := read(t, path); !strings.HasPrefix(text, "-----BEGIN ENCRYPTED PRIVATE KEY-----") {
		t.Errorf("key file is %s", text)
	}
	run(t, "openssl", "pkey", "-in", path, "-passin", "pass:secret", "-check", "-noout")
	block, _ := pem.Decode([]byte(read(t, path)))
	dump := run(t, "openssl", "asn1parse", "-inform", "der", "-in", write(t, string(block.Bytes)))
	for _, want := range []string{":PBES2", ":PBKDF2", ":0927C0", ":hmacWithSHA256", ":aes-256-cbc"} {
		if !strings.Contains(dump, want) {
			t.Errorf("encryption lacks %q:\n%s", want, dump)
		}
	}
	if _, err := keys.ReadKey(path, []byte("secret")); err != nil {
		t.Error(err)
	}
}

func pemOf(kind string, der []byte, err error) string {
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestNotAKey(t *testing.T) {
	key, certificate := generate(t, keys.ECDSAP256)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edDER, err := x509.MarshalPKCS8PrivateKey(ed)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224DER, err := x509.MarshalPKCS8PrivateKey(p224)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, text, want string
		is               error
	}{
		{"empty", "", "no PEM block and no DER", fault.ErrCorrupt},
		{"text", "hello\n", "no PEM block and no DER", fault.ErrCorrupt},
		{"certificate", string(keys.MarshalCertificate(certificate)), "holds a certificate, not a private key", fault.ErrCorrupt},
		{"certificate DER", string(certificate.Raw), "holds a certificate, not a private key", fault.ErrCorrupt},
		{"public key", pemOf("PUBLIC KEY", public, nil), "holds a public key, not a private key", fault.ErrCorrupt},
		{"public key DER", string(public), "holds a public key, not a private key", fault.ErrCorrupt},
		{"damaged", pemOf("PRIVATE KEY", []byte("0123"), nil), "", fault.ErrCorrupt},
		{"damaged, encrypted", pemOf("ENCRYPTED PRIVATE KEY", []byte("0123"), nil), "malformed EncryptedPrivateKeyInfo", fault.ErrCorrupt},
		{"Ed25519", pemOf("PRIVATE KEY", edDER, nil), "Ed25519 key: systemd and the kernel verify only RSA and ECDSA", fault.ErrUnsupported},
		{"P-224", pemOf("PRIVATE KEY", p224DER, nil), "curve P-224", fault.ErrUnsupported},
		{"OpenSSH", pemOf("OPENSSH PRIVATE KEY", []byte("x"), nil), "ssh-keygen -p -m PKCS8", fault.ErrUnsupported},
		{"old encryption", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMDEy\n-----END RSA PRIVATE KEY-----\n", "openssl pkey -in OLD -aes256 -out NEW", fault.ErrUnsupported},
		{"DSA", pemOf("DSA PRIVATE KEY", []byte("x"), nil), `"DSA PRIVATE KEY"`, fault.ErrUnsupported},
	} {
		_, err := keys.ReadKey(write(t, c.text), []byte("x"))
		wantError(t, c.name, err, c.want)
		if !errors.Is(err, c.is) {
			t.Errorf("%s: %v, want %v", c.name, err, c.is)
		}
	}
}

// TestUnreadableKinds are keys that openssl makes and we refuse with a reason.
func TestUnreadableKinds(t *testing.T) {
	testenv.Require(t, "openssl")
	for want, options := range map[string][]string{
		"Ed448 key":         {"-algorithm", "ED448"},
		"RSASSA-PSS key":    {"-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"},
		"RSA key of 512":    {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:512"},
		"unknown elliptic":  {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"},
		"key encryption 1.": nil,
	} {
		path := t.TempDir() + "/key"
		if options == nil {
			key, certificate := generate(t, keys.ECDSAP256)
			run(t, "openssl", "pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES", "-in", files(t, key, certificate, "").KeyPath, "-out", path, "-passout", "pass:x")
		} else {
			run(t, "openssl", append([]string{"genpkey", "-out", path}, options...)...)
		}
		_, err := keys.ReadKey(path, []byte("x"))
		wantError(t, want, err, want)
		if !errors.Is(err, fault.ErrUnsupported) {
			t.Errorf("%s: %v, want %v", want, err, fault.ErrUnsupported)
		}
	}
}

func TestReadIsBounded(t *testing.T) {
	path := write(t, "")
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Skip("LEFT OUT: no sparse files here")
	}
	_, err := keys.ReadKey(path, nil)
	wantError(t, "ReadKey", err, "larger than 1048576 bytes")
	_, _, err = keys.ReadCertificate(path)
	wantError(t, "ReadCertificate", err, "larger than 1048576 bytes")
}

func TestShortRSAWarns(t *testing.T) {
	testenv.Require(t, "openssl")
	path := t.TempDir() + "/key"
	run(t, "openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", path)
	key, err := keys.ReadKey(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := key.Warnings(); len(got) != 1 || !strings.Contains(got[0], "1024 bits is too short") {
		t.Errorf("Warnings() = %q", got)
	}
}

func TestCertificateFiles(t *testing.T) {
	_, a := generate(t, keys.ECDSAP256)
	key, b := generate(t, keys.ECDSAP256)
	textA, textB := string(keys.MarshalCertificate(a)), string(keys.MarshalCertificate(b))
	keyText, err := keys.MarshalKey(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want, warning string }{
		{"one", textA, keys.Fingerprint(a), ""},
		{"text around it", "Certificate:\n" + textA + "rest", keys.Fingerprint(a), ""},
		{"two", textB + textA, keys.Fingerprint(b), "holds 2 certificates, of which only the first counts"},
		{"behind a key", string(keyText) + textA, keys.Fingerprint(a), ""},
		{"DER", string(a.Raw), keys.Fingerprint(a), "DER form"},
	} {
		got, warnings, err := keys.ReadCertificate(write(t, c.text))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if keys.Fingerprint(got) != c.want {
			t.Errorf("%s: certificate %s, want %s", c.name, keys.Fingerprint(got), c.want)
		}
		if all := strings.Join(warnings, "; "); (all == "") != (c.warning == "") || !strings.Contains(all, c.warning) {
			t.Errorf("%s: warnings %q, want %q", c.name, warnings, c.warning)
		}
	}
	for text, want := range map[string]string{
		string(keyText): "holds a private key, not a certificate",
		"nothing":       "no PEM block and no DER",
		pemOf("CERTIFICATE", []byte("damaged"), nil): "corrupt",
	} {
		_, _, err := keys.ReadCertificate(write(t, text))
		wantError(t, text, err, want)
	}
}

func TestFingerprintAsOpenSSL(t *testing.T) {
	testenv.Require(t, "openssl")
	key, certificate := generate(t, keys.ECDSAP256)
	text := run(t, "openssl", "x509", "-in", files(t, key, certificate, "").CertificatePath, "-noout", "-fingerprint", "-sha256")
	_, want, _ := strings.Cut(strings.TrimSpace(text), "=")
	if got := keys.Fingerprint(certificate); got != strings.ToLower(strings.ReplaceAll(want, ":", "")) {
		t.Errorf("Fingerprint = %s, want %s", got, want)
	}
}

func TestMatchesKey(t *testing.T) {
	keyA, a := generate(t, keys.ECDSAP256)
	keyB, _ := generate(t, keys.RSA2048)
	if err := keys.MatchesKey(a, keyA.Public()); err != nil {
		t.Error(err)
	}
	wantError(t, "MatchesKey", keys.MatchesKey(a, keyB.Public()), "key does not match the certificate: public key RSA 2048 ")
}

func TestCheckValidity(t *testing.T) {
	now := time.Now()
	_, certificate, err := keys.Generate(keys.ECDSAP256, subject(t, "/CN=a"), 100, now)
	if err != nil {
		t.Fatal(err)
	}
	for days, want := range map[int]string{-1: "not valid before", 0: "", 1: "", 69: "", 71: "expires soon, at", 101: "expired at"} {
		got := strings.Join(keys.CheckValidity(certificate, now.AddDate(0, 0, days)), "; ")
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("after %d days: %q, want %q", days, got, want)
		}
	}
}

func TestReadPassphrase(t *testing.T) {
	for text, want := range map[string]string{"a b": "a b", "a\n": "a", "a\r\n": "a", " a \n\n": " a \n"} {
		if got, err := keys.ReadPassphrase(write(t, text)); err != nil || string(got) != want {
			t.Errorf("ReadPassphrase(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	_, err := keys.ReadPassphrase(write(t, "\n"))
	wantError(t, "ReadPassphrase", err, "is empty")
}

// FuzzParseKey: no bytes make the readers of keys and certificates panic.
func FuzzParseKey(f *testing.F) {
	key, certificate := generate(f, keys.ECDSAP256)
	for _, passphrase := range []string{"", "x"} {
		text, err := keys.MarshalKey(key, []byte(passphrase))
		if err != nil {
			f.Fatal(err)
		}
		block, _ := pem.Decode(text)
		f.Add(text)
		f.Add(block.Bytes)
	}
	f.Add(keys.MarshalCertificate(certificate))
	f.Add(certificate.Raw)
	f.Fuzz(func(t *testing.T, data []byte) {
		// Without passphrase, as a file may ask for seconds of derivation.
		if key, err := keys.ParseKey(data, nil); (key == nil) != (err != nil) {
			t.Errorf("ParseKey = %v, %v", key, err)
		}
		if certificate, _, err := keys.ParseCertificate(data); (certificate == nil) != (err != nil) {
			t.Errorf("ParseCertificate = %v, %v", certificate, err)
		}
	})
}
