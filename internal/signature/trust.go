package signature

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"sextant/internal/fault"
	"sextant/internal/inroot"
)

// maxCertificate is the size in bytes of the largest certificate file read.
const maxCertificate = 1 << 20

// Directories returns the directories with trusted certificates, the one whose
// files win first (CONF_PATHS in systemd's constants.h).
func Directories() []string {
	return []string{"/etc/verity.d", "/run/verity.d", "/usr/local/lib/verity.d", "/usr/lib/verity.d"}
}

// Anchor is a file in verity.d.
type Anchor struct {
	// Path is where the file stands, below the root that Trust was given.
	Path string

	// Certificate is the first certificate in the file; nil if Fault is not.
	Certificate *x509.Certificate

	// Fault says why the file gives no certificate. systemd passes over such
	// a file in silence.
	Fault error
}

// Trust returns the files *.crt below root that systemd takes certificates
// from, in systemd's order, which is that of the names. Of files with one name
// in several directories the first directory's counts. An empty file, or a
// symbolic link to /dev/null, hides those of its name in later directories.
// Symbolic links are followed inside root; "" and "/" are the running system.
// A directory that is missing is no error.
func Trust(root string) ([]Anchor, error) { return rootDir{inroot.Dir(root), root}.trust() }

// TrustIn is Trust for a root file system that is not mounted.
func TrustIn(fsys fs.FS) ([]Anchor, error) { return rootDir{fsys, ""}.trust() }

// Certificates returns the certificates of the anchors that have one.
func Certificates(anchors []Anchor) (certificates []*x509.Certificate) {
	for _, a := range anchors {
		if a.Certificate != nil {
			certificates = append(certificates, a.Certificate)
		}
	}
	return certificates
}

// rootDir is the directory that absolute paths start at.
type rootDir struct {
	fsys fs.FS
	path string // of the root, for messages
}

// on gives the real path of a path below the root.
func (r rootDir) on(path string) string { return filepath.Join("/", r.path, path) }

func (r rootDir) trust() ([]Anchor, error) {
	found := make(map[string]string) // name to path; "" is a mask
	for _, dir := range Directories() {
		if err := r.collect(dir, found); err != nil {
			return nil, fmt.Errorf("read certificates: %w", err)
		}
	}
	var anchors []Anchor
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if path := found[name]; path != "" {
			anchors = append(anchors, r.read(path))
		}
	}
	return anchors, nil
}

// collect adds the files of one directory to found.
func (r rootDir) collect(dir string, found map[string]string) error {
	real, _, err := inroot.ResolveIn(r.fsys, dir)
	if err != nil {
		return ignoreMissing(err)
	}
	entries, err := fs.ReadDir(r.fsys, real[1:])
	if err != nil {
		return ignoreMissing(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if _, taken := found[name]; taken || !strings.HasSuffix(name, ".crt") {
			continue
		}
		path := dir + "/" + name
		if mask, regular := r.state(path); mask {
			found[name] = ""
		} else if regular {
			found[name] = path
		}
	}
	return nil
}

// ignoreMissing drops the errors that say that there is no such directory.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}

// state reports what kind of entry path is. A dangling link and whatever is
// neither file nor mask are passed over, as systemd does (conf-files.c).
func (r rootDir) state(path string) (mask, regular bool) {
	real, exists, err := inroot.ResolveIn(r.fsys, path)
	if real == "/dev/null" {
		return true, false // an offline root need not have the device
	}
	if err != nil || !exists {
		return false, false
	}
	state, err := fs.Lstat(r.fsys, real[1:])
	if err != nil {
		return false, false
	}
	empty := state.Mode().IsRegular() && state.Size() == 0
	return empty || state.Mode()&fs.ModeCharDevice != 0, state.Mode().IsRegular()
}

// read reads the first certificate of a file.
func (r rootDir) read(path string) Anchor {
	certificate, err := r.readCertificate(path)
	if err != nil {
		return Anchor{Path: path, Fault: fmt.Errorf("%s: %w", r.on(path), err)}
	}
	return Anchor{Path: path, Certificate: certificate}
}

func (r rootDir) readCertificate(path string) (*x509.Certificate, error) {
	real, _, err := inroot.ResolveIn(r.fsys, path)
	if err != nil {
		return nil, err
	}
	f, err := r.fsys.Open(real[1:])
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCertificate+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxCertificate {
		return nil, fmt.Errorf("larger than %d bytes: %w", maxCertificate, fault.ErrUnsupported)
	}
	return firstCertificate(data)
}

// firstCertificate does what PEM_read_X509 does: it passes over blocks of
// other kinds, and a first certificate that is damaged is not made up for by a
// second one.
func firstCertificate(data []byte) (*x509.Certificate, error) {
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return nil, fmt.Errorf("no certificate in PEM form: %w", fault.ErrCorrupt)
		}
		if block.Type == "CERTIFICATE" || block.Type == "X509 CERTIFICATE" {
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", err, fault.ErrCorrupt)
			}
			return certificate, nil
		}
		data = rest
	}
}
