package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sextant/internal/discover"
	"sextant/internal/extension"
	"sextant/internal/fault"
	"sextant/internal/image"
	"sextant/internal/inroot"
	"sextant/internal/keys"
	"sextant/internal/policy"
	"sextant/internal/report"
	"sextant/internal/signature"
	"sextant/internal/verdict"
)

const verifyHelp = `Check an image: partition table, every block of hash tree and data, signature,
image policy, file system and extension-release. Nothing is mounted, and root is
not needed. IMAGE is a file, a block device or a directory.

What is found is an error where the release of systemd named with --systemd
would refuse the image, or read other bytes than were meant; a warning where a
rule is broken and nobody notices; or a note. The last line says what that
release does.

Without --certificate the signature is checked against the verity.d directories
of --root, by default of this machine, as systemd does.

The exit status is 0 if the image is good, 1 if something is wrong with it, and
2 if not all of it could be looked at.`

type verifyFlags struct {
	certificates []string
	root         string
	systemd      int
	policy       string
	host         string
	strict       bool
	json         bool
}

func newVerify(env Env) *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify IMAGE",
		Short: "Check an image",
		Long:  verifyHelp,
		Args:  operands(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), env, args[0], cmd.Flags().Changed("image-policy"))
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.certificates, "certificate", nil, "certificate that must vouch for the image, or directory with *.crt")
	flags.StringVar(&f.root, "root", "/", "take verity.d from the system below this directory")
	flags.IntVar(&f.systemd, "systemd", verdict.Newest, fmt.Sprintf("release of systemd that counts, %d to %d", verdict.Oldest, verdict.Newest))
	flags.StringVar(&f.policy, "image-policy", "", "image policy, as systemd writes it (default that of the class)")
	flags.StringVar(&f.host, "host", "", "os-release file or root directory of the system that the image shall fit")
	flags.BoolVar(&f.strict, "strict", false, "a warning makes the image bad too")
	flags.BoolVar(&f.json, "json", false, "print the result as JSON")
	return cmd
}

func (f verifyFlags) run(ctx context.Context, env Env, path string, hasPolicy bool) error {
	opts, err := f.options(env, hasPolicy)
	if err != nil {
		return err
	}
	m, err := image.Open(env.path(path))
	if errors.Is(err, fault.ErrCorrupt) {
		return f.tell(env, verified{Name: filepath.Base(path)}, image.Rejected(err, opts))
	}
	if err != nil {
		return notLooked(path, err)
	}
	defer m.Close()
	found, err := m.Verify(ctx, opts)
	if err != nil {
		return notLooked(path, err)
	}
	return f.tell(env, newVerified(m, found), found)
}

// tell prints what was found and turns it into the exit status.
func (f verifyFlags) tell(env Env, result verified, found *image.Checked) error {
	result.Facts, result.Findings, result.Verdict = nonNil(found.Facts), nonNil(found.Findings), found.Verdict
	err := error(nil)
	if f.json {
		err = writeJSON(env.Stdout, result)
	} else {
		err = printChecked(env.Stdout, found)
	}
	if err != nil {
		return err
	}
	return f.status(found)
}

func notLooked(path string, err error) error {
	return &failure{act: "verify " + path, cause: err, status: statusUsage}
}

// status turns what was found into the exit status.
func (f verifyFlags) status(found *image.Checked) error {
	limit := report.Error
	if f.strict {
		limit = report.Warning
	}
	worst, any := found.Worst()
	switch {
	case any && worst >= limit:
		return &failure{cause: errors.New("not good"), status: statusBad, quiet: true}
	case found.Verdict.Blind:
		return &failure{cause: errors.New("not all could be looked at"), status: statusUsage, quiet: true}
	}
	return nil
}

func (f verifyFlags) options(env Env, hasPolicy bool) (image.Options, error) {
	opts := image.Options{Systemd: f.systemd, Now: env.Now()}
	if f.systemd < verdict.Oldest || f.systemd > verdict.Newest {
		return opts, usage(fmt.Errorf("--systemd %d: only %d to %d are known", f.systemd, verdict.Oldest, verdict.Newest))
	}
	if hasPolicy {
		p, err := policy.Parse(f.policy)
		if err != nil {
			return opts, usage(err)
		}
		opts.Policy = &p
	}
	var err error
	if f.host != "" {
		if opts.Host, err = readHost(env.path(f.host)); err != nil {
			return opts, &failure{act: "read host " + f.host, cause: err, status: statusUsage}
		}
	}
	opts.Certificates, err = f.trust(env)
	opts.Required = len(f.certificates) > 0
	if err != nil {
		return opts, &failure{act: "read certificates", cause: err, status: statusUsage}
	}
	return opts, nil
}

// readHost reads the os-release at path, or that of the system below path.
func readHost(path string) (*extension.Host, error) {
	host := &extension.Host{Scope: extension.System}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		if discover.IsInitrd(path) {
			host.Scope = extension.Initrd
		}
		host.OS, err = extension.ReadOS(func(name string) ([]byte, error) { return inroot.ReadFile(path, name) })
		return host, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	host.OS, err = extension.ParseRelease(text)
	return host, err
}

// trust returns the certificates to check against. Those that the user names
// must vouch for the image.
func (f verifyFlags) trust(env Env) (list []*x509.Certificate, err error) {
	if len(f.certificates) == 0 {
		anchors, err := signature.Trust(env.path(f.root))
		for _, a := range anchors {
			if a.Fault != nil {
				env.warn(a.Fault.Error(), "systemd passes over it in silence")
			}
		}
		return signature.Certificates(anchors), err
	}
	for _, path := range f.certificates {
		found, err := readCertificates(env, env.path(path))
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
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
		certificate, _, err := keys.ReadCertificate(p)
		if err != nil {
			return nil, err
		}
		list = append(list, certificate)
	}
	return list, nil
}
