package image

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sextant/internal/dps"
	"sextant/internal/fault"
	"sextant/internal/format/gpt"
	"sextant/internal/linux/dir"
	"sextant/internal/signature"
)

// Sidecar is what protects an image from outside: a root hash and its
// signature, and for a bare file system its hash tree. systemd takes them from
// extended attributes of the image, and from files whose names are that of the
// image without .raw and with another suffix (dissect-image.c,
// verity_settings_load).
//
//	foo.raw             user.verity.roothash    or foo.roothash
//	                    user.verity.usrhash     or foo.usrhash
//	foo.verity          hash tree with superblock
//	foo.roothash.p7s    PKCS#7 in DER           or foo.usrhash.p7s
type Sidecar struct {
	// RootHash is the text in hexadecimal, "" if there is none, and From where
	// it stands: a path, or the name of an extended attribute.
	RootHash, From string

	// Role is Root or Usr, as the root hash is for one of them.
	Role dps.Designator

	// Tree is the path of the hash tree, "" if there is none.
	Tree string

	// Signature is the path of the signature, "" if there is none.
	Signature string

	// Ignored are paths of files that look like side-cars, with names that
	// systemd does not ask for.
	Ignored []string
}

// Root returns the bytes of the root hash. As with systemd white space does not
// count, and less than 16 bytes are refused, as two UUIDs are made of them.
func (s Sidecar) Root() ([]byte, error) {
	root, err := hex.DecodeString(strings.Join(strings.Fields(s.RootHash), ""))
	if err != nil || len(root) < len(gpt.GUID{}) {
		return nil, fmt.Errorf("%.40q is no root hash: %w", s.RootHash, fault.ErrCorrupt)
	}
	return root, nil
}

// sidecarRole holds the names for one role.
type sidecarRole struct {
	role          dps.Designator
	xattr, suffix string
}

func sidecarRoles() []sidecarRole {
	return []sidecarRole{
		{dps.Root, "user.verity.roothash", ".roothash"},
		{dps.Usr, "user.verity.usrhash", ".usrhash"},
	}
}

const (
	treeSuffix      = ".verity"
	signatureSuffix = ".p7s"
)

// readSidecar looks for what lies beside the image at path.
func readSidecar(path string) (Sidecar, error) {
	s := Sidecar{Ignored: misnamed(path)}
	stem, named := strings.CutSuffix(path, ".raw")
	if !named {
		return s, nil
	}
	if exists(stem + treeSuffix) {
		s.Tree = stem + treeSuffix
	}
	for _, r := range sidecarRoles() {
		if found, err := s.readRootHash(path, stem, r); err != nil || found {
			return s, err
		}
	}
	return s, nil
}

// readRootHash looks for the root hash of one role, and then for its
// signature.
func (s *Sidecar) readRootHash(path, stem string, r sidecarRole) (found bool, err error) {
	value, err := xattr(path, r.xattr)
	if err != nil {
		return false, err
	}
	s.RootHash, s.From = value, r.xattr
	if value == "" {
		s.From = stem + r.suffix
		text, err := readSmall(s.From)
		if errors.Is(err, fs.ErrNotExist) {
			s.From = ""
			return false, nil
		}
		if err != nil {
			return false, err
		}
		s.RootHash, _, _ = strings.Cut(string(text), "\n")
	}
	s.Role = r.role
	if exists(stem + r.suffix + signatureSuffix) {
		s.Signature = stem + r.suffix + signatureSuffix
	}
	return true, nil
}

// xattr returns an extended attribute of a file, "" if it has none. Symbolic
// links are followed, as the side-cars belong to the file.
func xattr(path, name string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	list, err := dir.Xattrs(real, func(n string) bool { return n == name })
	if err != nil || len(list) == 0 {
		return "", err
	}
	return string(list[0].Value), nil
}

// misnamed returns the files that somebody may take for side-cars: the suffix
// comes behind .raw instead of in its place.
func misnamed(path string) (list []string) {
	suffixes := []string{treeSuffix}
	for _, r := range sidecarRoles() {
		suffixes = append(suffixes, r.suffix, r.suffix+signatureSuffix)
	}
	for _, suffix := range suffixes {
		if exists(path + suffix) {
			list = append(list, path+suffix)
		}
	}
	return list
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readSmall reads a file that is a text or a signature.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > signature.MaxPartition {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a small file")}
	}
	return os.ReadFile(path)
}
