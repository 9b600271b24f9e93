package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"sextant/internal/keys"
)

const genkeyHelp = `Make a private key and a self-signed certificate to sign extensions with.

The key (PKCS#8, PEM, mode 0600) stays with whoever builds. The certificate goes
to the machines that shall trust it, as a file *.crt in /etc/verity.d,
/run/verity.d, /usr/local/lib/verity.d or /usr/lib/verity.d. There only the signer's own certificate counts, the
first one in each file: a certificate authority does not vouch for what it
issued.

Files that exist are never replaced without --force.`

type genkeyFlags struct {
	algorithm, subject string
	days               int
	pair               keys.Pair
	passphraseFile     string
}

func newGenkey(env Env) *cobra.Command {
	var f genkeyFlags
	cmd := &cobra.Command{
		Use:   "genkey",
		Short: "Make a key pair and a self-signed certificate",
		Long:  genkeyHelp,
		Args:  operands(0, 0),
		RunE: func(*cobra.Command, []string) error {
			return f.run(env)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.algorithm, "algorithm", "rsa:4096", "rsa:2048, rsa:4096, ecdsa:p256 or ecdsa:p384")
	flags.StringVar(&f.subject, "subject", "/CN=sextant extension signing", "name in the certificate, /CN=a/O=b or CN=a,O=b")
	flags.IntVar(&f.days, "days", 365, "how long the certificate is valid")
	flags.StringVar(&f.pair.KeyPath, "key", "verity_key.pem", "file for the private key")
	flags.StringVar(&f.pair.CertificatePath, "certificate", "verity_cert.crt", "file for the certificate")
	flags.StringVar(&f.passphraseFile, "passphrase-file", "", "encrypt the key with what is in this file")
	flags.BoolVar(&f.pair.Force, "force", false, "replace files that exist")
	return cmd
}

func (f genkeyFlags) run(env Env) error {
	algorithm, err := keys.ParseAlgorithm(f.algorithm)
	if err != nil {
		return usage(err)
	}
	subject, err := keys.ParseSubject(f.subject)
	if err != nil {
		return usage(err)
	}
	f.pair.KeyPath, f.pair.CertificatePath = env.path(f.pair.KeyPath), env.path(f.pair.CertificatePath)
	passphrase, err := readPassphrase(env, f.passphraseFile)
	if err != nil {
		return cannot(err, "make a key pair")
	}
	if err := f.pair.Check(); err != nil {
		return cannot(withForceHint(err), "make a key pair")
	}
	key, certificate, err := keys.Generate(algorithm, subject, f.days, env.Now())
	if err != nil {
		return cannot(err, "make a key pair")
	}
	text, err := keys.MarshalKey(key, passphrase)
	if err != nil {
		return cannot(err, "make a key pair")
	}
	if err := f.pair.Write(text, keys.MarshalCertificate(certificate)); err != nil {
		return cannot(err, "make a key pair")
	}
	fmt.Fprintf(env.Stdout, `key          %s  (%s; keep it secret)
certificate  %s
fingerprint  %s
valid until  %s

Install the certificate on the machines that shall trust the key:
    install -m 644 %s /etc/verity.d/
Only the signer's own certificate counts there, the first in each *.crt; a
certificate authority does not vouch for what it issued.
`,
		env.show(f.pair.KeyPath), keys.Describe(key.Public()), env.show(f.pair.CertificatePath),
		keys.Fingerprint(certificate), certificate.NotAfter.UTC().Format(dateLayout), env.show(f.pair.CertificatePath))
	return nil
}

const dateLayout = "2006-01-02 15:04:05 UTC"

// withForceHint adds what to do about a file that exists.
func withForceHint(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return &advised{err, "--force replaces it; images signed with the old key then need the old certificate"}
	}
	return err
}

// advised is an error with a hint.
type advised struct {
	error
	hint string
}

// Unwrap returns the error without the hint.
func (a *advised) Unwrap() error { return a.error }

// Hint returns what to do.
func (a *advised) Hint() string { return a.hint }

// readPassphrase returns what is in the file, or nil if none is named.
func readPassphrase(env Env, path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	return keys.ReadPassphrase(env.path(path))
}

// path returns the absolute form of a path that the user gave.
func (e Env) path(p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(e.Dir, p)
}

// show returns a path as a user in the working directory would write it.
func (e Env) show(p string) string {
	if rel, err := filepath.Rel(e.Dir, p); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return p
}
