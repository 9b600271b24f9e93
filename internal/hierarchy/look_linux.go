package hierarchy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"sextant/internal/extension"
	"sextant/internal/fault"
	"sextant/internal/inroot"
	"sextant/internal/linux/mount"
	"sextant/internal/linux/smallfile"
)

// maxFile is the largest file of a dot directory that is read, in bytes: 500
// extensions with all that origin says about them are a tenth of that.
const maxFile = 4 << 20

// Look returns what lies on the hierarchy path of the system below root. Mounts
// of others are not looked for; Foreigners does.
func Look(root string, class extension.Class, path string) (Status, error) {
	s := Status{Path: path}
	resolved, err := inroot.Resolve(root, path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.Real = inroot.Join(root, resolved)
	if s.Merged, err = Ours(s.Real, class); err != nil || !s.Merged {
		return s, err
	}
	return s, s.read(class)
}

// Ours reports whether an overlay of the class is what is mounted on path: its
// dot directory says which device it is, so a copy of a merged tree is not
// mistaken for one.
func Ours(path string, class extension.Class) (bool, error) {
	point, err := mount.IsPoint(path)
	if err != nil || !point {
		return false, ignoreMissing(err)
	}
	text, err := readFile(filepath.Join(path, DotDir(class), DevFile))
	if err != nil {
		return false, ignoreMissing(err)
	}
	major, minor, ok := parseDevice(text)
	if !ok {
		return false, fmt.Errorf("%s: %q is no device number: %w", filepath.Join(path, DotDir(class), DevFile), text, fault.ErrCorrupt)
	}
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return false, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	haveMajor, haveMinor := mount.Device(st.Dev)
	return major == haveMajor && minor == haveMinor, nil
}

func parseDevice(text string) (major, minor uint32, ok bool) {
	a, b, ok := strings.Cut(firstLine(text), ":")
	x, err1 := strconv.ParseUint(a, 10, 32)
	y, err2 := strconv.ParseUint(b, 10, 32)
	return uint32(x), uint32(y), ok && err1 == nil && err2 == nil
}

// read fills in what the dot directory says.
func (s *Status) read(class extension.Class) error {
	dot := filepath.Join(s.Real, DotDir(class))
	list, err := readFile(filepath.Join(dot, ListFile(class)))
	if err != nil {
		return err
	}
	for line := range strings.SplitSeq(list, "\n") {
		if line != "" {
			s.Extensions = append(s.Extensions, line)
		}
	}
	st, err := os.Stat(s.Real)
	if err != nil {
		return err
	}
	s.Since = st.ModTime()
	// Each of these came with a later release than the dot directory, or is
	// there in some modes only.
	work, err1 := readFile(filepath.Join(dot, WorkDirFile))
	backing, err2 := readFile(filepath.Join(dot, BackingFile))
	origin, err3 := readFile(filepath.Join(dot, OriginFile))
	if err := errors.Join(ignoreMissing(err1), ignoreMissing(err2), ignoreMissing(err3)); err != nil {
		return err
	}
	s.Backing = firstLine(backing)
	if origin != "" {
		s.Origin = []byte(origin)
	}
	s.Mutable, err = mount.IsPoint(dot)
	if err != nil {
		return err
	}
	if err1 == nil {
		s.WorkDir, s.Broken = workDir(filepath.Join(dot, WorkDirFile), firstLine(work))
	}
	return nil
}

// workDir returns the directory that the file at path names. It will be removed,
// so it must not lead out of the root.
func workDir(path, text string) (string, error) {
	dir, err := Unescape(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if !filepath.IsLocal(dir) || filepath.Clean(dir) != dir || dir == "." {
		return "", fmt.Errorf("%s: %q is no path below the root: %w", path, text, fault.ErrCorrupt)
	}
	return dir, nil
}

func readFile(path string) (string, error) {
	raw, err := smallfile.Read(path, maxFile)
	return string(raw), err
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
