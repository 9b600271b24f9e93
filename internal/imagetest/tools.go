package imagetest

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

// Tool is a program of some release. Its Run runs it with paths of the host,
// of which all in binds are visible to it.
type Tool struct {
	Name string
	Run  func(t testing.TB, binds []string, args ...string) error
}

// Tools returns the program of this machine and those of newer releases. A
// release that is not there skips the test that runs it.
func Tools(program string) []Tool {
	host := Tool{Name: program, Run: func(t testing.TB, binds []string, args ...string) error {
		testenv.Require(t, program)
		return run(exec.Command(program, args...))
	}}
	list := []Tool{host}
	for _, r := range []rootfs.Release{rootfs.Trixie(), rootfs.Sid()} {
		list = append(list, Tool{Name: program + " of " + r.String(), Run: func(t testing.TB, paths []string, args ...string) error {
			testenv.RequireRoot(t)
			testenv.Require(t, "unshare")
			var binds []rootfs.Bind
			for _, path := range paths {
				binds = append(binds, rootfs.Bind{Host: path, Guest: path})
			}
			return run(rootfs.Require(t, r).Command(t.Context(), binds, program, args...))
		}})
	}
	return list
}

func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}
