package keys_test

import (
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sextant/internal/keys"
)

const rootHash = "d1fa8cbf3ff7f3e8bb63d7fe42e3f1b0a3c2a9af09fbc1f9e4c70e40c5d6d4a1"

func subject(t testing.TB, text string) keys.Subject {
	t.Helper()
	s, err := keys.ParseSubject(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func generate(t testing.TB, algorithm keys.Algorithm) (*keys.Key, *x509.Certificate) {
	t.Helper()
	key, certificate, err := keys.Generate(algorithm, subject(t, "/CN=test signer/O=Sextant"), 365, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return key, certificate
}

// files writes a pair and returns the names.
func files(t testing.TB, key *keys.Key, certificate *x509.Certificate, passphrase string) keys.Pair {
	t.Helper()
	text, err := keys.MarshalKey(key, []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	pair := keys.Pair{KeyPath: filepath.Join(dir, "a.key"), CertificatePath: filepath.Join(dir, "a.crt")}
	if err := pair.Write(text, keys.MarshalCertificate(certificate)); err != nil {
		t.Fatal(err)
	}
	return pair
}

func run(t testing.TB, name string, arguments ...string) string {
	t.Helper()
	command := exec.Command(name, arguments...)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, arguments, err, output)
	}
	return string(output)
}

func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// wantError fails unless err has the text want in it.
func wantError(t testing.TB, what string, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: error %v, want %q", what, err, want)
	}
}
