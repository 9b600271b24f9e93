package pkcs7_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// rootHash is the content of all signatures in these tests.
const rootHash = "d1fa8cbf3ff7f3e8bb63d7fe42e3f1b0a3c2a9af09fbc1f9e4c70e40c5d6d4a1"

// pair is a key with its certificate, and both as PEM files for openssl.
type pair struct {
	key         crypto.Signer
	certificate *x509.Certificate
	keyFile     string
	certFile    string
}

func newKey(t testing.TB, algorithm string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch algorithm {
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "p256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "p521":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	default:
		t.Fatalf("algorithm %q", algorithm)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newPair(t testing.TB, algorithm, name string) pair {
	t.Helper()
	return newPairFrom(t, newKey(t, algorithm), &x509.Certificate{
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Sextant tests"}},
		SerialNumber: new(big.Int).SetBytes([]byte(name + "-serial")),
		SubjectKeyId: []byte(name),
	}, nil)
}

// newPairFrom makes the certificate for key from template, issued by issuer or
// by itself.
func newPairFrom(t testing.TB, key crypto.Signer, template *x509.Certificate, issuer *pair) pair {
	t.Helper()
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(time.Hour)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	parent, parentKey := template, key
	if issuer != nil {
		parent, parentKey = issuer.certificate, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	return pairOf(t, key, der)
}

func pairOf(t testing.TB, key crypto.Signer, der []byte) pair {
	t.Helper()
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		key: key, certificate: certificate,
		keyFile:  writeFile(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
		certFile: writeFile(t, "crt.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
	}
}

func writeFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// openssl runs the program and returns its standard output.
func openssl(t testing.TB, arguments ...string) []byte {
	t.Helper()
	output, err := tryOpenSSL(arguments...)
	if err != nil {
		t.Fatalf("openssl %q: %v", arguments, err)
	}
	return output
}

func tryOpenSSL(arguments ...string) ([]byte, error) {
	command := exec.Command("openssl", arguments...)
	output, err := command.Output()
	if exit, ok := err.(*exec.ExitError); ok {
		return output, &opensslError{exit.Stderr}
	}
	return output, err
}

type opensslError struct{ stderr []byte }

func (e *opensslError) Error() string { return string(e.stderr) }

// madeCertificates returns the certificates in testdata/made.
func madeCertificates(t testing.TB) (certificates []*x509.Certificate) {
	t.Helper()
	paths, err := filepath.Glob("testdata/made/*.crt")
	if err != nil || len(paths) != 3 {
		t.Fatalf("testdata/made holds %q, %v", paths, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(data)
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		certificates = append(certificates, certificate)
	}
	return certificates
}
