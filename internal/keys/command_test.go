package keys_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sextant/internal/fault"
	"sextant/internal/format/pkcs7"
	"sextant/internal/keys"
	"sextant/internal/testenv"
)

// TestExampleSigners runs the scripts in examples/signers as a user does.
func TestExampleSigners(t *testing.T) {
	testenv.Require(t, "openssl")
	for _, script := range []string{"openssl-smime", "openssl-pkeyutl"} {
		path, err := filepath.Abs("../../examples/signers/" + script)
		if err != nil {
			t.Fatal(err)
		}
		for _, algorithm := range []keys.Algorithm{keys.RSA2048, keys.ECDSAP256, keys.ECDSAP384} {
			key, certificate := generate(t, algorithm)
			pair := files(t, key, certificate, "")
			signer := keys.Command{Line: path + " '" + pair.KeyPath + "'"}
			made, err := signer.SignPKCS7(t.Context(), []byte(rootHash), certificate, pkcs7.Options{})
			if err != nil {
				t.Errorf("%s %s: %v", script, algorithm, err)
				continue
			}
			p7s, content := write(t, string(made)), write(t, rootHash)
			run(t, "openssl", "smime", "-verify", "-inform", "der", "-in", p7s, "-content", content, "-certfile", pair.CertificatePath, "-nointern", "-noverify", "-binary")
			ours, err := key.SignPKCS7(t.Context(), []byte(rootHash), certificate, pkcs7.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if algorithm == keys.RSA2048 && !bytes.Equal(made, ours) {
				t.Errorf("%s: signature %x, want %x", script, made, ours)
			}
		}
	}
}

// TestSignerContract: what the command finds in its input and environment.
func TestSignerContract(t *testing.T) {
	key, certificate := generate(t, keys.RSA2048)
	want, err := key.SignPKCS7(t.Context(), []byte(rootHash), certificate, pkcs7.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	line := `cd '` + dir + `' && cat >stdin && printf %s "$SEXTANT_ROOT_HASH" >hash && printf %s "$SEXTANT_DIGEST" >digest &&
		printf %s "$SEXTANT_ALGORITHM" >algorithm && cp "$SEXTANT_CERTIFICATE" certificate && cat '` + write(t, string(want)) + `'`
	if _, err := (keys.Command{Line: line}).SignPKCS7(t.Context(), []byte(rootHash), certificate, pkcs7.Options{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"stdin": rootHash, "hash": rootHash, "algorithm": "rsa-pkcs1-sha256",
		"digest":      fmt.Sprintf("%x", sha256.Sum256([]byte(rootHash))),
		"certificate": string(keys.MarshalCertificate(certificate)),
	} {
		if got := read(t, filepath.Join(dir, name)); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestSignerFailures(t *testing.T) {
	key, certificate := generate(t, keys.RSA2048)
	_, other := generate(t, keys.ECDSAP256)
	good, err := key.SignPKCS7(t.Context(), []byte(rootHash), certificate, pkcs7.Options{})
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := key.SignPKCS7(t.Context(), []byte("other content"), certificate, pkcs7.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line, want string
		is         error
	}{
		{"echo 'token is\nmissing' >&2; exit 3", "exit status 3: token is missing", nil},
		{"exit 4", "exit status 4", nil},
		{"sextant-no-such-program", "not found", nil},
		{"true", "nothing was given", fault.ErrCorrupt},
		{"echo bm90IGEgc2lnbmF0dXJl", "base64 need decoding first", fault.ErrCorrupt},
		{"printf '\\001\\002'", "neither PKCS#7 nor a raw signature", fault.ErrCorrupt},
		{"head -c 256 /dev/zero", "not by the key", fault.ErrUntrusted},
		{"cat '" + write(t, string(wrong)) + "'", "not by the key", fault.ErrUntrusted},
		{"head -c 100 '" + write(t, string(good)) + "'", "neither PKCS#7", fault.ErrCorrupt},
		{"cat '" + write(t, string(good)) + "'; echo", "neither PKCS#7", fault.ErrCorrupt},
		{"cat '" + write(t, string(keys.MarshalCertificate(other))) + "'", `PEM block "CERTIFICATE"`, fault.ErrCorrupt},
		{"cat /dev/zero", "more than 1048576 bytes", fault.ErrUnsupported},
	} {
		made, err := keys.Command{Line: c.line}.SignPKCS7(t.Context(), []byte(rootHash), certificate, pkcs7.Options{})
		wantError(t, c.line, err, c.want)
		if made != nil || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %x, %v, want %v", c.line, made, err, c.is)
		}
	}
	_, err = keys.Command{Line: "cat '" + write(t, string(good)) + "'"}.SignPKCS7(t.Context(), []byte(rootHash), other, pkcs7.Options{})
	if !errors.Is(err, fault.ErrUntrusted) {
		t.Errorf("signature by another certificate's key: %v, want %v", err, fault.ErrUntrusted)
	}
}

// TestSignerEnds: a command that hangs is ended with its context, also when a
// child of it holds the pipes.
func TestSignerEnds(t *testing.T) {
	_, certificate := generate(t, keys.ECDSAP256)
	for _, line := range []string{"exec sleep 25", "sleep 25 & wait", "sleep 25; true"} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		start := time.Now()
		_, err := keys.Command{Line: line}.SignPKCS7(ctx, []byte(rootHash), certificate, pkcs7.Options{})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want %v", line, err, context.DeadlineExceeded)
		}
		if spent := time.Since(start); spent > 20*time.Second {
			t.Errorf("%s took %v", line, spent)
		}
	}
}

// TestSignerTalks: what the command says appears while it runs, and only the
// end of much is kept.
func TestSignerTalks(t *testing.T) {
	_, certificate := generate(t, keys.ECDSAP256)
	var said bytes.Buffer
	line := "i=0; while [ $i -lt 3000 ]; do echo touch the key >&2; i=$((i+1)); done; echo gave up >&2; exit 1"
	_, err := keys.Command{Line: line, Stderr: &said}.SignPKCS7(t.Context(), []byte(rootHash), certificate, pkcs7.Options{})
	wantError(t, "SignPKCS7", err, "touch the key gave up")
	if len(err.Error()) > 3000 {
		t.Errorf("error of %d bytes", len(err.Error()))
	}
	if got := strings.Count(said.String(), "touch the key\n"); got != 3000 {
		t.Errorf("Stderr received %d lines, want 3000", got)
	}
}

// TestSignerMayPrintPEM: PEM from a command is taken as DER is.
func TestSignerMayPrintPEM(t *testing.T) {
	key, certificate := generate(t, keys.ECDSAP256)
	good, err := key.SignPKCS7(t.Context(), []byte(rootHash), certificate, pkcs7.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"PKCS7", "CMS"} {
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: good})
		made, err := keys.Command{Line: "cat '" + write(t, string(text)) + "'"}.SignPKCS7(t.Context(), []byte(rootHash), certificate, pkcs7.Options{})
		if err != nil || !bytes.Equal(made, good) {
			t.Errorf("%s: %x, %v, want %x", kind, made, err, good)
		}
	}
}
