package merge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sextant/internal/discover"
	"sextant/internal/extension"
	"sextant/internal/fault"
	"sextant/internal/hierarchy"
	"sextant/internal/inroot"
	"sextant/internal/linux/smallfile"
)

// layer is an extension that is mounted in the workspace.
type layer struct {
	discover.Candidate
	dir     string // where
	release extension.Release

	// rootHash is known of images that have one, whether it is checked or not.
	rootHash string

	// file is the identity of the file or directory, see origin.
	file identity
}

// mountLayers mounts the candidates in the workspace and decides which of them
// are merged. What is wrong with one says nothing about the others.
func (r *run) mountLayers() error {
	dir := filepath.Join(workspace, hierarchy.ListFile(r.opts.Class))
	if err := r.k.mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, c := range r.candidates {
		l := &layer{Candidate: c, dir: filepath.Join(dir, c.Name)}
		d := r.mountLayer(l)
		r.report.Decisions = append(r.report.Decisions, d)
		if d.Verdict == Merged {
			r.layers = append(r.layers, l)
		}
	}
	return nil
}

// mountLayer mounts one candidate and decides.
func (r *run) mountLayer(l *layer) Decision {
	if l.Fault != nil {
		return leaveOut(l.Candidate, RuleFile, l.Fault)
	}
	l.file = r.identities[l.Path]
	if err := r.k.mkdir(l.dir, 0o700); err != nil {
		return leaveOut(l.Candidate, RuleFile, err)
	}
	var rule string
	var err error
	switch l.Kind {
	case discover.Raw, discover.Block:
		rule, err = r.mountImage(l)
	case discover.Mstack:
		rule, err = RuleKind, fmt.Errorf("an .mstack directory is no single layer: %w", fault.ErrUnsupported)
	default:
		rule, err = r.mountDirectory(l)
	}
	if err != nil {
		return leaveOut(l.Candidate, rule, err)
	}
	found, err := readRelease(l, r.host.Systemd)
	if err != nil {
		return leaveOut(l.Candidate, RuleRelease, err)
	}
	l.release = found.release
	return judge(l.Candidate, found, r.host, r.opts.Force)
}

// mountDirectory shows a directory read-only in the workspace.
func (r *run) mountDirectory(l *layer) (rule string, err error) {
	if r.opts.RequireSigned {
		return RuleSigned, fmt.Errorf("is a %s, which nothing can sign: %w", l.Kind, fault.ErrUntrusted)
	}
	tree, err := r.k.clone(l.Path, false)
	if err != nil {
		return RuleFile, err
	}
	defer tree.Close()
	if err := r.k.readOnly(tree); err != nil {
		return RuleFile, err
	}
	return RuleFile, r.k.attach(tree, l.dir)
}

// readRelease looks for the release file of an extension, and for an os-release
// that must not be there.
func readRelease(l *layer, systemd int) (found releaseFile, err error) {
	if _, err = inroot.Resolve(l.dir, "/usr/lib/os-release"); err == nil {
		found.osRelease = true
	} else if !missing(err) {
		return found, err
	}
	dir, err := inroot.Resolve(l.dir, l.Class.ReleaseDir())
	if missing(err) {
		return found, nil
	}
	if err != nil {
		return found, err
	}
	list, err := releaseCandidates(inroot.Join(l.dir, dir), l.Name)
	if err != nil {
		return found, err
	}
	index, how := extension.Find(l.Name, list, systemd)
	found.how = how
	if index < 0 {
		for _, c := range list {
			found.others = append(found.others, c.Name)
		}
		return found, nil
	}
	path, err := inroot.Resolve(l.dir, l.Class.ReleasePath(list[index].Name))
	if err != nil {
		return found, err
	}
	found.release, err = parseReleaseFile(inroot.Join(l.dir, path))
	return found, err
}

// releaseCandidates lists the release files in a directory. If one has the name
// of the extension no others are looked at.
func releaseCandidates(dir, name string) (list []extension.Candidate, err error) {
	if exact, err := os.Lstat(filepath.Join(dir, extension.ReleasePrefix+name)); err == nil {
		return []extension.Candidate{{Name: name, Link: exact.Mode()&fs.ModeSymlink != 0}}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		suffix, ok := strings.CutPrefix(e.Name(), extension.ReleasePrefix)
		if !ok || extension.CheckImageName(suffix) != nil || !e.Type().IsRegular() && e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		c := extension.Candidate{Name: suffix, Link: !e.Type().IsRegular()}
		c.Lenient = lenient(filepath.Join(dir, e.Name()))
		list = append(list, c)
	}
	return list, nil
}

// parseReleaseFile reads an os-release or extension-release file.
func parseReleaseFile(path string) (extension.Release, error) {
	raw, err := smallfile.Read(path, extension.MaxReleaseSize)
	if err != nil {
		return nil, err
	}
	return extension.ParseRelease(raw)
}

// readHost reads what the system below the root says about itself.
func (r *run) readHost() error {
	r.host = extension.Host{Architecture: nativeArchitecture(), Scope: extension.System, Systemd: r.opts.systemd()}
	if discover.IsInitrd(r.opts.Root) {
		r.host.Scope = extension.Initrd
	}
	paths := extension.OSReleasePaths()
	if r.opts.OSRelease != "" {
		paths = []string{r.opts.OSRelease}
	}
	for _, path := range paths {
		real, err := inroot.Resolve(r.opts.Root, path)
		if missing(err) {
			continue
		}
		if err == nil {
			r.host.OS, err = parseReleaseFile(inroot.Join(r.opts.Root, real))
		}
		if err != nil {
			return err
		}
		if r.host.OS.Value("ID") == "" {
			return fmt.Errorf("%s has no ID: %w", inroot.Join(r.opts.Root, real), fault.ErrUnsupported)
		}
		return nil
	}
	return errors.New("the system has no os-release")
}
