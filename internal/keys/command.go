package keys

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"sextant/internal/fault"
	"sextant/internal/format/pkcs7"
)

// maxOutput is how much a signer may print, in bytes. A signature with a long
// chain of certificates has a few thousand.
const maxOutput = 1 << 20

// Command is a signer that is another program: how keys in a KMS, an HSM or a
// token are used.
//
// The line runs in the shell (sh -c, on Windows cmd /C), as git does with its
// commands: users quote, redirect and build pipes in it as they know, and
// whoever can set it can run programs anyway. It gets
//
//	standard input       the content to be signed: the root hash in lower-case
//	                     hexadecimal, without newline
//	SEXTANT_ROOT_HASH    the same
//	SEXTANT_DIGEST       the SHA-256 of the content in hexadecimal, for services
//	                     that sign digests
//	SEXTANT_CERTIFICATE  path of a PEM file with the signer's certificate
//	SEXTANT_ALGORITHM    "rsa-pkcs1-sha256" or "ecdsa-sha256"
//
// and prints on standard output either
//
//   - a detached PKCS#7 signature of the content, in PEM, DER or BER, or
//   - a raw signature over the SHA-256 of the content: PKCS#1 v1.5 for RSA; for
//     ECDSA in DER, or r and s side by side.
//
// What it prints on standard error goes to Stderr while it runs, so that it
// can ask for a touch or a PIN, and its end into the error. It fails by an
// exit status other than 0. The signature is verified in any case.
type Command struct {
	// Line is the command line.
	Line string

	// Stderr receives the command's standard error; nil drops it.
	Stderr io.Writer
}

// SignPKCS7 runs the command and returns the DER of a detached PKCS#7 signature
// of content by the key of certificate. When ctx ends it kills the shell and
// closes the pipes. What the shell started stays in the terminal's process group,
// so that it may ask for a PIN, and gets an interrupt from there.
func (c Command) SignPKCS7(ctx context.Context, content []byte, certificate *x509.Certificate, options pkcs7.Options) ([]byte, error) {
	made, err := c.run(ctx, content, certificate)
	if err != nil {
		return nil, fmt.Errorf("signer %q: %w", c.Line, err)
	}
	der, err := pkcs7.Accept(content, made, certificate, options)
	if err != nil {
		return nil, fmt.Errorf("signer %q: output: %w", c.Line, err)
	}
	return der, nil
}

func (c Command) run(ctx context.Context, content []byte, certificate *x509.Certificate) ([]byte, error) {
	dir, err := os.MkdirTemp("", "sextant-signer-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	certificatePath := filepath.Join(dir, "signer.crt")
	if err := os.WriteFile(certificatePath, MarshalCertificate(certificate), 0o600); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	output := &limited{max: maxOutput, exceeded: cancel}
	messages := &tail{max: 2000, also: c.Stderr}

	command := c.shell(ctx)
	command.Stdin = bytes.NewReader(content)
	command.Stdout, command.Stderr = output, messages
	command.Env = append(os.Environ(), environment(content, certificate, certificatePath)...)
	// A child may hold the pipes open after the shell is gone.
	command.WaitDelay = 2 * time.Second
	err = command.Run()
	switch {
	case output.full:
		return nil, fmt.Errorf("more than %d bytes of output: %w", maxOutput, fault.ErrUnsupported)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil && messages.String() != "":
		return nil, fmt.Errorf("%w: %s", err, messages)
	}
	return output.kept.Bytes(), err
}

func (c Command) shell(ctx context.Context) *exec.Cmd {
	if runtime.GOOS == "windows" {
		return exec.CommandContext(ctx, "cmd", "/C", c.Line)
	}
	return exec.CommandContext(ctx, "sh", "-c", c.Line)
}

func environment(content []byte, certificate *x509.Certificate, certificatePath string) []string {
	digest := sha256.Sum256(content)
	algorithm := "rsa-pkcs1-sha256"
	if _, ok := certificate.PublicKey.(*ecdsa.PublicKey); ok {
		algorithm = "ecdsa-sha256"
	}
	return []string{
		"SEXTANT_ROOT_HASH=" + string(content),
		"SEXTANT_DIGEST=" + hex.EncodeToString(digest[:]),
		"SEXTANT_CERTIFICATE=" + certificatePath,
		"SEXTANT_ALGORITHM=" + algorithm,
	}
}

// limited keeps what is written to it up to a size, and calls exceeded beyond.
// The buffer is no embedded field, as its ReadFrom would pass by Write.
type limited struct {
	kept     bytes.Buffer
	max      int
	full     bool
	exceeded func()
}

// Write implements io.Writer.
func (l *limited) Write(data []byte) (int, error) {
	if l.kept.Len()+len(data) > l.max {
		l.full = true
		l.exceeded()
		return 0, io.ErrShortWrite
	}
	return l.kept.Write(data)
}

// tail keeps the last bytes written to it and passes all on.
type tail struct {
	kept []byte
	max  int
	also io.Writer
}

// Write implements io.Writer.
func (t *tail) Write(data []byte) (int, error) {
	t.kept = append(t.kept, data...)
	if over := len(t.kept) - t.max; over > 0 {
		t.kept = t.kept[over:]
	}
	if t.also != nil {
		t.also.Write(data)
	}
	return len(data), nil
}

// String gives the kept text on one line.
func (t *tail) String() string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(t.kept), "?")), " ")
}
