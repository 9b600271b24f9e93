package discover

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"sextant/internal/extension"
	"sextant/internal/inroot"
	"sextant/internal/linux/smallfile"
)

// initrdRelease is the file that makes a system an initrd.
const initrdRelease = "/etc/initrd-release"

// IsInitrd reports whether the system below root is an initrd.
func IsInitrd(root string) bool {
	_, err := inroot.Resolve(root, initrdRelease)
	return err == nil
}

// SearchPath returns the directories that are searched, in this order.
func SearchPath(class extension.Class, initrd bool) []string {
	if class == extension.Confext {
		list := []string{"/run/confexts", "/var/lib/confexts", "/usr/local/lib/confexts"}
		if initrd {
			return append(list, "/.extra/confext", "/.extra/global_confext")
		}
		return append(list, "/usr/lib/confexts")
	}
	list := []string{"/etc/extensions", "/run/extensions", "/var/lib/extensions"}
	if initrd {
		list = append(list, "/.extra/sysext", "/.extra/global_sysext")
	}
	return list
}

// List returns the candidates of a class on the system below root, in the order
// in which they were found, and what was passed over. An empty root is "/".
func List(root string, class extension.Class) ([]Candidate, []PassedOver, error) {
	if root != "" {
		if _, err := os.Stat(root); err != nil {
			return nil, nil, err
		}
	}
	s := search{root: root, class: class, initrd: IsInitrd(root), taken: make(map[string]string)}
	for _, dir := range SearchPath(class, s.initrd) {
		if err := s.dir(dir); err != nil {
			return nil, nil, err
		}
	}
	return s.found, s.passed, nil
}

// search is one run over the search path.
type search struct {
	root   string
	class  extension.Class
	initrd bool

	found  []Candidate
	passed []PassedOver
	taken  map[string]string // the path of each name
}

func (s *search) dir(dir string) error {
	path, err := inroot.Resolve(s.root, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	names, err := smallfile.Names(inroot.Join(s.root, path))
	if err != nil {
		return err
	}
	for _, name := range names {
		s.entry(dir, path, name)
	}
	return nil
}

// entry looks at one name in the directory at path, which the search path calls
// dir.
func (s *search) entry(dir, path, name string) {
	e := entry{search: s, path: path + "/" + name, file: name, strict: s.trust(dir + "/")}
	c, err := e.candidate()
	found := inroot.Join(s.root, e.path)
	var skip *skipped
	switch {
	case errors.As(err, &skip):
		s.passed = append(s.passed, PassedOver{Path: found, Name: c.Name, Reason: skip.reason})
		return
	case err != nil:
		c = Candidate{Name: c.Name, Fault: err}
	case s.taken[c.Name] != "":
		s.passed = append(s.passed, PassedOver{Path: found, Name: c.Name, Reason: "hidden by " + s.taken[c.Name]})
		return
	default:
		s.taken[c.Name] = found
	}
	c.Class, c.Found = s.class, found
	s.found = append(s.found, c)
}

// trust returns what a path, without the root in front, says about trust.
func (s *search) trust(path string) Trust {
	switch {
	case !s.initrd || s.root != "" && s.root != "/" || !strings.HasPrefix(path, "/.extra/"):
		return Default
	case strings.HasPrefix(path, "/.extra/"+s.class.String()+"/"), strings.HasPrefix(path, "/.extra/global_"+s.class.String()+"/"):
		return Strict
	}
	return Denied
}
