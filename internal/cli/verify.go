package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"sextant/internal/image"
	"sextant/internal/keys"
	"sextant/internal/report"
	"sextant/internal/signature"
)

const verifyHelp = `Check an image: partition table, every block of hash tree and data, signature,
file system and extension-release. Nothing is mounted, and root is not needed.

Without --certificate the signature is checked against the verity.d directories
of --root, by default of this machine, as systemd does.

The exit status is 0 if the image is good, 1 if something is wrong with it, and
2 if it could not be looked at.`

type verifyFlags struct {
	certificates []string
	root         string
	json         bool
}

func newVerify(env Env) *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify IMAGE",
		Short: "Check an image",
		Long:  verifyHelp,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), env, args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.certificates, "certificate", nil, "certificate that must vouch for the image, or directory with *.crt")
	flags.StringVar(&f.root, "root", "/", "take verity.d from the system below this directory")
	flags.BoolVar(&f.json, "json", false, "print the result as JSON")
	return cmd
}

func (f verifyFlags) run(ctx context.Context, env Env, path string) error {
	r, err := f.verify(ctx, env, path)
	if err != nil {
		return &failure{act: "verify " + path, cause: err, status: statusUsage}
	}
	if err := f.print(env, path, r); err != nil {
		return err
	}
	if worst, found := r.Worst(); found && worst == report.Error {
		return &failure{cause: errors.New("not good"), status: statusBad, quiet: true}
	}
	return nil
}

func (f verifyFlags) verify(ctx context.Context, env Env, path string) (*report.Report, error) {
	trust, err := f.trust(env)
	if err != nil {
		return nil, err
	}
	m, err := image.Open(env.path(path))
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return m.Verify(ctx, trust)
}

// trust returns the certificates to check against. Those that the user names
// must vouch for the image.
func (f verifyFlags) trust(env Env) (image.Trust, error) {
	if len(f.certificates) == 0 {
		anchors, err := signature.Trust(env.path(f.root))
		return image.Trust{Certificates: signature.Certificates(anchors)}, err
	}
	trust := image.Trust{Required: true}
	for _, path := range f.certificates {
		found, err := readCertificates(env, env.path(path))
		if err != nil {
			return image.Trust{}, err
		}
		trust.Certificates = append(trust.Certificates, found...)
	}
	return trust, nil
}

// readCertificates reads the first certificate of a file, or of every *.crt in
// a directory.
func readCertificates(env Env, path string) ([]*x509.Certificate, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	paths := []string{path}
	if info.IsDir() {
		if paths, err = fs.Glob(os.DirFS(path), "*.crt"); err != nil {
			return nil, err
		}
		for i := range paths {
			paths[i] = filepath.Join(path, paths[i])
		}
	}
	var list []*x509.Certificate
	for _, p := range paths {
		certificate, warnings, err := keys.ReadCertificate(p)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		for _, w := range append(warnings, keys.CheckValidity(certificate, env.Now())...) {
			env.warn(env.show(p)+": "+w, "systemd does not look at the dates")
		}
		list = append(list, certificate)
	}
	return list, nil
}

func (f verifyFlags) print(env Env, path string, r *report.Report) error {
	if f.json {
		return writeJSON(env.Stdout, r)
	}
	t := tabwriter.NewWriter(env.Stdout, 0, 8, 2, ' ', 0)
	for _, fact := range r.Facts {
		fmt.Fprintf(t, "good\t%s\t%s\n", fact.Subject, fact.Text)
	}
	for _, finding := range r.Findings {
		fmt.Fprintf(t, "%s\t%s\t%s\n", finding.Severity, finding.Place, finding.Text)
	}
	return t.Flush()
}
