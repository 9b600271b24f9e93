package signature

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links a path may lead through, as in the kernel.
const maxLinks = 40

// resolve follows the symbolic links in an absolute path as they lead inside
// the root: absolute ones start at the root, ".." stops there. The path it
// returns comes with an error if there is nothing there.
func (r rootDir) resolve(path string) (string, error) {
	done, links := "/", 0
	rest := strings.Split(path, "/")
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		if name == "" || name == "." {
			continue
		}
		next := filepath.Join(done, name) // also for ".."
		state, err := os.Lstat(r.on(next))
		if err != nil {
			return filepath.Join(next, filepath.Join(rest...)), err
		}
		if state.Mode()&fs.ModeSymlink == 0 {
			if !state.IsDir() && len(rest) > 0 {
				return next, fmt.Errorf("%s: %w", r.on(next), syscall.ENOTDIR)
			}
			done = next
			continue
		}
		if links++; links > maxLinks {
			return next, fmt.Errorf("%s: more than %d symbolic links", r.on(next), maxLinks)
		}
		target, err := os.Readlink(r.on(next))
		if err != nil {
			return next, err
		}
		if filepath.IsAbs(target) {
			done = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return done, nil
}
