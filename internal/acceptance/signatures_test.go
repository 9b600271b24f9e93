package acceptance_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sextant/internal/format/pkcs7"
	"sextant/internal/imagetest/disk"
	"sextant/internal/keys"
	"sextant/internal/signature"
	"sextant/internal/testenv"
)

// sign returns a detached signature of content, as systemd-repart makes it.
func sign(t *testing.T, p disk.Pair, content []byte) []byte {
	t.Helper()
	der, err := p.Key.SignPKCS7(t.Context(), content, p.Certificate, pkcs7.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// part returns a signature partition.
func part(t *testing.T, root []byte, signer *x509.Certificate, der []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(signer.Raw)
	content, err := signature.Signature{RootHash: root, Fingerprint: hex.EncodeToString(sum[:]), PKCS7: der}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// openssl has "openssl smime" sign content for each of the pairs.
func openssl(t *testing.T, content []byte, pairs []disk.Pair, options ...string) []byte {
	t.Helper()
	testenv.Require(t, "openssl")
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "content"), content)
	args := append([]string{"smime", "-sign", "-binary", "-outform", "DER", "-in", "content", "-out", "p7s"}, options...)
	for i, p := range pairs {
		key, err := keys.MarshalKey(p.Key, nil)
		if err != nil {
			t.Fatal(err)
		}
		name := string(rune('a' + i))
		writeFile(t, filepath.Join(dir, name+".key"), key)
		writeFile(t, filepath.Join(dir, name+".crt"), crt(p.Certificate))
		args = append(args, "-signer", name+".crt", "-inkey", name+".key")
	}
	cmd := exec.Command("openssl", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	return readFile(t, filepath.Join(dir, "p7s"))
}

// issued returns a certificate of the pair's key that a CA issued.
func issued(t *testing.T, ca, leaf disk.Pair) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(4711), Subject: pkix.Name{CommonName: "issued"},
		NotBefore: disk.Now().Add(-time.Hour), NotAfter: disk.Now().AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Certificate, leaf.Key.Public(), ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// signatureTrials are images with signatures of all kinds. Each is tried under
// the default policy and under one that wants a signature.
func signatureTrials(t *testing.T) (list []trial) {
	a, b := disk.Generate(t, keys.RSA2048, "a"), disk.Generate(t, keys.ECDSAP256, "b")
	subject, err := keys.ParseSubject("/CN=old")
	if err != nil {
		t.Fatal(err)
	}
	oldKey, oldCertificate, err := keys.Generate(keys.RSA2048, subject, 10, disk.Now().AddDate(-1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	old := disk.Pair{Key: oldKey, Certificate: oldCertificate}
	leaf := disk.Pair{Key: b.Key, Certificate: issued(t, a, b)}
	hexOf := func(root []byte) []byte { return []byte(hex.EncodeToString(root)) }
	by := func(p disk.Pair, options ...string) func([]byte) []byte {
		return func(root []byte) []byte {
			return part(t, root, p.Certificate, openssl(t, hexOf(root), []disk.Pair{p}, options...))
		}
	}
	both := func(root []byte) []byte {
		return part(t, root, a.Certificate, openssl(t, hexOf(root), []disk.Pair{a, b}, "-noattr"))
	}
	trust := func(certificates ...*x509.Certificate) map[string][]byte {
		files := make(map[string][]byte)
		for i, c := range certificates {
			files[string(rune('a'+i))+".crt"] = crt(c)
		}
		return files
	}
	for _, c := range []struct {
		name  string
		sig   func(root []byte) []byte
		trust map[string][]byte
	}{
		{"rsa", disk.SignedBy(t, a), trust(a.Certificate)},
		{"ecdsa", disk.SignedBy(t, b), trust(b.Certificate)},
		{"wrong-key", disk.SignedBy(t, a), trust(b.Certificate)},
		{"nobody", disk.SignedBy(t, a), nil},
		{"other-hash", func(root []byte) []byte { return part(t, root, a.Certificate, sign(t, a, []byte("00"))) }, trust(a.Certificate)},
		{"other-json-hash", func(root []byte) []byte {
			other := sha256.Sum256(root)
			return part(t, other[:], a.Certificate, sign(t, a, hexOf(other[:])))
		}, trust(a.Certificate)},
		{"expired", disk.SignedBy(t, old), trust(old.Certificate)},
		{"embedded-only", by(a, "-noattr"), trust(b.Certificate)},
		{"ca-of-signer", disk.SignedBy(t, leaf), trust(a.Certificate)},
		{"issued", disk.SignedBy(t, leaf), trust(leaf.Certificate)},
		{"second-in-bundle", disk.SignedBy(t, a), map[string][]byte{"a.crt": append(crt(b.Certificate), crt(a.Certificate)...)}},
		{"first-in-bundle", disk.SignedBy(t, a), map[string][]byte{"a.crt": append(crt(a.Certificate), crt(b.Certificate)...)}},
		{"deferred", nil, trust(a.Certificate)},
		{"blank", func([]byte) []byte { return make([]byte, signature.PartitionSize) }, trust(a.Certificate)},
		{"no-json", func([]byte) []byte { return append([]byte("{"), make([]byte, signature.PartitionSize-1)...) }, trust(a.Certificate)},
		{"no-pkcs7", func(root []byte) []byte { return part(t, root, a.Certificate, []byte("no PKCS#7")) }, trust(a.Certificate)},
		{"two-signers", both, trust(a.Certificate, b.Certificate)},
		{"two-signers-one-trusted", both, trust(a.Certificate)},
		{"openssl-rsa", by(a, "-noattr", "-nocerts"), trust(a.Certificate)},
		{"openssl-rsa-certs", by(a, "-noattr"), trust(a.Certificate)},
		{"openssl-rsa-attr", by(a, "-nocerts"), trust(a.Certificate)},
		{"openssl-ecdsa", by(b, "-noattr", "-nocerts"), trust(b.Certificate)},
		{"openssl-ecdsa-attr-certs", by(b), trust(b.Certificate)},
		{"fingerprint", func(root []byte) []byte { return part(t, root, b.Certificate, sign(t, a, hexOf(root))) }, trust(a.Certificate)},
		{"text-behind-nul", func(root []byte) []byte {
			p := bytes.Clone(disk.SignedBy(t, a)(root))
			p[len(p)-1] = 'x'
			return p
		}, trust(a.Certificate)},
	} {
		for suffix, policy := range map[string]string{"": "", "-strict": signedPolicy} {
			name := "sig-" + c.name + suffix
			d := disk.Recipe{Files: named(name).Tree, Signature: c.sig}.Make(t)
			list = append(list, trial{name: name, bytes: d.Bytes, trust: c.trust, policy: policy})
		}
	}
	return list
}
