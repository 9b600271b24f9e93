package signature_test

import (
	"crypto/sha256"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sextant/internal/keys"
)

// rootHash is a root hash like any other.
func rootHash() []byte {
	hash := sha256.Sum256([]byte("a file system"))
	return hash[:]
}

func generate(t testing.TB, algorithm keys.Algorithm, subject string) (*keys.Key, *x509.Certificate) {
	t.Helper()
	name, err := keys.ParseSubject(subject)
	if err != nil {
		t.Fatal(err)
	}
	key, certificate, err := keys.Generate(algorithm, name, 365, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return key, certificate
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func run(t testing.TB, command *exec.Cmd) string {
	t.Helper()
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", command.Args, err, output)
	}
	return string(output)
}

// wantError fails unless err has the text want in it.
func wantError(t testing.TB, what string, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: error %v, want %q", what, err, want)
	}
}
