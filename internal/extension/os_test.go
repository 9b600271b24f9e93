package extension_test

import (
	"errors"
	"io/fs"
	"testing"

	"sextant/internal/extension"
)

func TestReadOS(t *testing.T) {
	errOther := errors.New("other")
	for name, c := range map[string]struct {
		etc, usr string
		etcErr   error
		id       string
		err      error
	}{
		"both":       {"ID=etc\n", "ID=usr\n", nil, "etc", nil},
		"one":        {"", "ID=usr\n", fs.ErrNotExist, "usr", nil},
		"none":       {"", "", fs.ErrNotExist, "", fs.ErrNotExist},
		"unreadable": {"", "ID=usr\n", errOther, "", errOther},
	} {
		got, err := extension.ReadOS(func(path string) ([]byte, error) {
			switch {
			case path == "/etc/os-release":
				return []byte(c.etc), c.etcErr
			case path == "/usr/lib/os-release" && c.usr != "":
				return []byte(c.usr), nil
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		})
		if got.Value("ID") != c.id || !errors.Is(err, c.err) {
			t.Errorf("%s: ReadOS = %v, %v, want ID=%s, %v", name, got, err, c.id, c.err)
		}
	}
}
