//go:build linux

package merge_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/merge"
	"sextant/internal/vmtest/rootfs"
)

// picture is all that a merge shows: mounts, dot directories with their content,
// the modes of the merged directories, and what is in the mutable ones.
func picture(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(mounts(t))
	for _, hierarchy := range []string{"/usr", "/opt"} {
		show(&b, hierarchy, false)
		show(&b, hierarchy+"/.systemd-sysext", true)
	}
	show(&b, "/var/lib/extensions.mutable", true)
	for _, path := range []string{"/.systemd-usr-workdir", "/.systemd-opt-workdir"} {
		show(&b, path, true)
	}
	// Numbers of devices that have none, and of inodes, are different each time.
	return regexp.MustCompile(`\b0:\d+\n`).ReplaceAllString(b.String(), "0:?\n")
}

// show describes a path, and what is below it.
func show(b *strings.Builder, path string, deep bool) {
	found, err := os.Lstat(path)
	if err != nil {
		return
	}
	fmt.Fprintf(b, "%s %v\n", path, found.Mode())
	if !deep {
		return
	}
	_ = filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if found, err := d.Info(); err == nil {
			fmt.Fprintf(b, "  %s %v\n", path, found.Mode())
		}
		if d.Type().IsRegular() {
			fmt.Fprintf(b, "%s", read(path))
		}
		return nil
	})
}

// TestLikeSystemd compares what systemd 262 makes with what we make, in each mode
// and with each kind of mutable directory there before.
func TestLikeSystemd(t *testing.T) {
	if !inSystem(t, rootfs.Sid()) {
		return
	}
	// An upper directory cannot be on an overlay, as the root of this world is.
	mountTmpfs(t, "/var/lib", "tmpfs")
	addDirectory(t, "a_1.2", map[string]string{"usr/bin/a": "a", "opt/a": "a", "usr/lib/extension-release.d/extension-release.a": "ID=_any\n"})
	if err := os.Chmod("/opt", 0o711); err != nil {
		t.Fatal(err)
	}
	const base = "/var/lib/extensions.mutable"
	before := map[string]func(){
		"nothing": func() {},
		"directories": func() {
			write(t, base, map[string]string{"usr/changed": "changed", "opt/changed": "changed"})
			os.Chmod(base+"/opt", 0o711)
		},
		"wrong mode": func() { write(t, base, map[string]string{"usr/changed": "changed", "opt/changed": "changed"}) },
		"the host's own": func() {
			os.Mkdir(base, 0o755)
			os.Symlink("/usr", base+"/usr")
			os.Symlink("/opt", base+"/opt")
		},
	}
	modes := []merge.Mutable{
		merge.MutableNo, merge.MutableYes, merge.MutableAuto, merge.MutableImport, merge.MutableEphemeral, merge.MutableEphemeralImport,
	}
	for name, prepare := range before {
		for _, mode := range modes {
			t.Run(name+"/"+string(mode), func(t *testing.T) {
				try := func(do func() error) (merged, unmerged string) {
					if err := os.RemoveAll(base); err != nil {
						t.Fatal(err)
					}
					prepare()
					if do() == nil {
						merged = picture(t)
					} else {
						merged = "failed\n"
					}
					stock(t, "unmerge")
					return merged, picture(t)
				}
				theirs, theirRest := try(func() error {
					out, err := exec.Command("/usr/bin/systemd-sysext", "merge", "--mutable="+string(mode)).CombinedOutput()
					t.Logf("%s", out)
					return err
				})
				ours, ourRest := try(func() error {
					opts := options(t)
					opts.Mutable = mode
					r, err := merge.Merge(t.Context(), opts)
					if err != nil {
						t.Log(err)
						return err
					}
					must(t, r, err)
					return nil
				})
				if d := cmp.Diff(strings.Split(theirs, "\n"), strings.Split(ours, "\n")); d != "" {
					t.Errorf("merged, systemd (-), we (+):\n%s", d)
				}
				if theirs == "failed\n" {
					return // systemd leaves directories then
				}
				if d := cmp.Diff(strings.Split(theirRest, "\n"), strings.Split(ourRest, "\n")); d != "" {
					t.Errorf("unmerged by systemd, systemd (-), we (+):\n%s", d)
				}
			})
		}
	}
}
