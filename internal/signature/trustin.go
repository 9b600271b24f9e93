package signature

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"sextant/internal/fault"
)

// TrustIn is Trust for a root file system that is not mounted. It follows links
// as fsys does, which must be inside the root.
func TrustIn(fsys fs.FS) ([]Anchor, error) {
	found := make(map[string]string) // name to path; "" is a mask
	for _, dir := range Directories() {
		entries, err := fs.ReadDir(fsys, dir[1:])
		if err != nil && ignoreMissing(err) != nil {
			return nil, fmt.Errorf("read certificates: %s: %w", dir, err)
		}
		for _, e := range entries {
			if _, taken := found[e.Name()]; taken || !strings.HasSuffix(e.Name(), ".crt") {
				continue
			}
			p := path.Join(dir, e.Name())
			if mask, regular := stateIn(fsys, p[1:]); mask {
				found[e.Name()] = ""
			} else if regular {
				found[e.Name()] = p
			}
		}
	}
	var anchors []Anchor
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if p := found[name]; p != "" {
			anchors = append(anchors, readIn(fsys, p))
		}
	}
	return anchors, nil
}

// stateIn is state for a root that is not mounted.
func stateIn(fsys fs.FS, name string) (mask, regular bool) {
	if target, err := fs.ReadLink(fsys, name); err == nil && target == "/dev/null" {
		return true, false
	}
	state, err := fs.Stat(fsys, name)
	if err != nil {
		return false, false
	}
	empty := state.Mode().IsRegular() && state.Size() == 0
	return empty || state.Mode()&fs.ModeCharDevice != 0, state.Mode().IsRegular()
}

func readIn(fsys fs.FS, p string) Anchor {
	f, err := fsys.Open(p[1:])
	if err != nil {
		return Anchor{Path: p, Fault: err}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCertificate+1))
	if err == nil && len(data) > maxCertificate {
		err = fmt.Errorf("larger than %d bytes: %w", maxCertificate, fault.ErrUnsupported)
	}
	a := Anchor{Path: p}
	if err == nil {
		a.Certificate, err = firstCertificate(data)
	}
	if err != nil {
		a.Fault = fmt.Errorf("%s: %w", p, err)
	}
	return a
}
