package symlink_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"testing"

	"sextant/internal/symlink"
)

// system has the target of each link and "" for a file; a name with a slash at
// its end is a directory, one with "=" before its target is a bind.
type system map[string]string

func (s system) Child(way []string, name string) (string, symlink.Kind, error) {
	at := path.Join(way[len(way)-1], name)
	target, there := s[at]
	_, dir := s[at+"/"]
	switch {
	case dir:
		return at, symlink.Dir, nil
	case !there:
		return "", symlink.Other, fs.ErrNotExist
	case strings.HasPrefix(target, "="):
		return at, symlink.Bind, nil
	}
	return at, symlink.KindOf(false, target != ""), nil
}

func (s system) Target(link string) (string, error) {
	switch target := strings.TrimPrefix(s[link], "="); target {
	case "nothing":
		return "", nil
	case "broken":
		return "", errBroken
	default:
		return target, nil
	}
}

var errBroken = errors.New("broken")

func TestFollow(t *testing.T) {
	s := system{
		"/usr/": "", "/usr/lib/": "", "/etc/": "", "/usr/lib/file": "", "/lib": "usr/lib", "/etc/up": "../../../usr", "/etc/abs": "/lib/file",
		"/etc/slash": "file/", "/etc/file": "", "/www": "=/usr/lib", "/etc/loop": "loop", "/etc/empty": "nothing", "/etc/broken": "broken",
		"/etc/gone": "/new/a", "/turn": "=/turn",
	}
	for i := range 5 {
		s[fmt.Sprintf("/chain%d", i+1)] = fmt.Sprintf("chain%d", i)
	}
	s["/chain0"] = "usr"
	for _, c := range []struct {
		path     string
		stay     bool
		at, rest string
		err      error
	}{
		{"", false, "/", "", nil},
		{"///", false, "/", "", nil},
		{"../..", false, "/", "", nil},
		{"usr/./lib//", false, "/usr/lib", "", nil},
		{"/lib/file", false, "/usr/lib/file", "", nil},
		{"/etc/up/../etc/up/lib", false, "/usr/lib", "", nil},
		{"/etc/abs", false, "/usr/lib/file", "", nil},
		{"/etc/abs", true, "/etc/abs", "", nil},
		{"/lib", true, "/lib", "", nil},
		{"/lib/", true, "/usr/lib", "", nil},
		{"/lib/.", true, "/usr/lib", "", nil},
		{"/lib/..", true, "/usr", "", nil},
		{"/www", true, "/usr/lib", "", nil},
		{"/www/file", false, "/usr/lib/file", "", nil},
		{"/turn", true, "/", "/turn", syscall.ELOOP},
		{"/etc/file/", false, "/etc/file", "/", syscall.ENOTDIR},
		{"/etc/file/..", false, "/etc/file", "/..", syscall.ENOTDIR},
		{"/etc/file/.", false, "/etc/file", "/.", syscall.ENOTDIR},
		{"/etc/slash", false, "/etc/file", "/", syscall.ENOTDIR},
		{"/etc/loop/x", false, "/etc", "loop/x", syscall.ELOOP},
		{"/chain4/lib", false, "/usr/lib", "", nil},
		{"/chain5/lib", false, "/", "chain0/lib", syscall.ELOOP},
		{"/etc/empty", false, "/etc", "/empty", fs.ErrNotExist},
		{"/etc/broken/a", false, "/etc", "/broken/a", errBroken},
		{"/etc/gone/../b", false, "/", "/new/a/../b", fs.ErrNotExist},
	} {
		at, rest, err := symlink.Follow(s, "/", c.path, symlink.Rules{Links: 5, Stay: c.stay})
		if at != c.at || rest != c.rest || !errors.Is(err, c.err) {
			t.Errorf("Follow(%q, stay %t) = %q, %q, %v, want %q, %q, %v", c.path, c.stay, at, rest, err, c.at, c.rest, c.err)
		}
	}
}
