package extension

import (
	"errors"
	"io/fs"
)

// OSReleasePaths returns where the os-release of a system is, the file that
// counts first (os-release(5)).
func OSReleasePaths() []string { return []string{"/etc/os-release", "/usr/lib/os-release"} }

// ReadOS returns the os-release of a system, whose files read reads, by absolute
// paths. A system that has none is the fs.ErrNotExist of the last one tried.
func ReadOS(read func(path string) ([]byte, error)) (release Release, err error) {
	for _, path := range OSReleasePaths() {
		var text []byte
		if text, err = read(path); err == nil {
			return ParseRelease(text)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return nil, err
}
