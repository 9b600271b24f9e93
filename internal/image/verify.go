package image

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"sextant/internal/dps"
	"sextant/internal/extension"
	"sextant/internal/fault"
	"sextant/internal/policy"
	"sextant/internal/report"
	"sextant/internal/tree"
	"sextant/internal/verdict"
)

// Options say what an image is checked against.
type Options struct {
	// Certificates vouch for what their own keys signed, and nothing else.
	Certificates []*x509.Certificate

	// Required makes it an error that none of them vouches for the image,
	// whatever systemd would do.
	Required bool

	// Systemd is the release whose behaviour counts, verdict.Newest if 0.
	Systemd int

	// Policy is the image policy in force, nil for that of the class.
	Policy *policy.Policy

	// Host is the system that the image shall fit, nil if that does not matter.
	Host *extension.Host

	// Now is what the dates of certificates are compared with.
	Now time.Time
}

// Checked is what Verify found.
type Checked struct {
	*report.Report
	Verdict verdict.Verdict

	// Extension is what the image is, nil if that could not be found out.
	Extension *Extension

	// RootHash is the one that the hash tree was checked against.
	RootHash []byte
}

// Verify checks everything there is to check about the image, reading all of
// it. The error says that it could not look; what is wrong with the image is
// in the report. The ids of findings are rules of package verdict.
func (m *Image) Verify(ctx context.Context, opts Options) (*Checked, error) {
	v := newVerifier(m, opts)
	v.ctx = ctx
	if m.Dir {
		v.situation.Conditions |= verdict.Directory
	}
	v.readFiles()
	for _, step := range []func() error{v.table, v.sidecar, v.partitions, v.policy, v.volumes, v.extension, v.gaps, v.whole} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := step(); err != nil {
			return nil, err
		}
	}
	v.found.Verdict = v.situation.Verdict(v.found.Findings)
	return v.found, nil
}

// Rejected returns what Verify would find of an image that Open or Read refused
// with an error that wraps fault.ErrCorrupt.
func Rejected(err error, opts Options) *Checked {
	v := newVerifier(nil, opts)
	if errors.Is(err, errEmpty) || errors.Is(err, errUnknown) {
		v.addError(verdict.FileSystemUnknown, "image", err)
	} else {
		v.addError(verdict.TableBroken, "partition table", err)
	}
	v.found.Verdict = v.situation.Verdict(v.found.Findings)
	return v.found
}

// verifier is one run of Verify.
type verifier struct {
	ctx       context.Context
	m         *Image
	opts      Options
	situation verdict.Situation
	found     *Checked

	// unused are roles that the policy passes over.
	unused map[dps.Designator]bool

	class    extension.Class
	files    *tree.Tree // nil if they could not be read
	filesErr error
}

func newVerifier(m *Image, opts Options) *verifier {
	if opts.Systemd == 0 {
		opts.Systemd = verdict.Newest
	}
	v := &verifier{m: m, opts: opts, found: &Checked{Report: &report.Report{}}}
	v.situation.Release = opts.Systemd
	return v
}

// readFiles reads the tree of files, as the class is needed early. What is
// wrong with the file system is told later, and better.
func (v *verifier) readFiles() {
	v.files, v.filesErr = v.m.Tree()
	if v.filesErr == nil {
		v.class = classOf(v.files)
	}
}

// add notes a broken rule, with the severity that it has for the release.
func (v *verifier) add(rule verdict.Rule, place, format string, args ...any) {
	v.addError(rule, place, fmt.Errorf(format, args...))
}

func (v *verifier) addError(rule verdict.Rule, place string, err error) {
	outcome, source := v.situation.Outcome(rule)
	v.put(outcome.Severity(), outcome, report.Finding{ID: string(rule), Place: place, Text: err.Error(), Rule: source, Cause: err})
}

// addWith notes a broken rule of another specification than systemd's source.
func (v *verifier) addWith(source string, rule verdict.Rule, place, format string, args ...any) {
	outcome, _ := v.situation.Outcome(rule)
	v.put(outcome.Severity(), outcome, report.Finding{ID: string(rule), Place: place, Text: fmt.Sprintf(format, args...), Rule: source})
}

func (v *verifier) put(severity report.Severity, outcome verdict.Outcome, f report.Finding) {
	if outcome == verdict.Fine {
		return
	}
	f.Severity = severity
	v.found.Findings = append(v.found.Findings, f)
}

// orFinding notes an error about the bytes, and returns one about reading them.
func (v *verifier) orFinding(rule verdict.Rule, place string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fault.ErrUnsupported):
		v.addError(verdict.Unsupported, place, err)
	case errors.Is(err, fault.ErrCorrupt), errors.Is(err, fault.ErrUntrusted):
		v.addError(rule, place, err)
	default:
		return fmt.Errorf("%s: %w", place, err)
	}
	return nil
}

// whole checks that the image is as long as it was: the partition table, which
// is read first, would not show that its end is gone.
func (v *verifier) whole() error {
	if v.m.Dir {
		return nil
	}
	_, err := v.m.r.ReadAt(make([]byte, 1), v.m.Size-1)
	return err
}
