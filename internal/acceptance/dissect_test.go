package acceptance_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

// TestDissect wants inspect --json and ls to say what systemd-dissect says, of
// an image without dm-verity, as the host that runs the chroot may have none.
func TestDissect(t *testing.T) {
	testenv.RequireRoot(t)
	dir := example(t)
	sextant(t, dir, "build", "--verity=false")
	image := filepath.Join(dir, "mkosi.output/custom-tools_1.0.0.raw")
	for _, release := range []rootfs.Release{rootfs.Trixie(), rootfs.Sid()} {
		t.Run(release.String(), func(t *testing.T) {
			system := rootfs.Require(t, release)
			dissect := func(args ...string) string { return runIn(t, system, filepath.Dir(image), args...) }

			want, got := make(map[string]any), make(map[string]any)
			decode(t, dissect("systemd-dissect", "--json=short", "/mnt/custom-tools_1.0.0.raw"), want)
			decode(t, sextant(t, dir, "inspect", "--json", image), got)
			for _, mount := range want["mounts"].([]any) {
				delete(mount.(map[string]any), "node") // the loop device of the moment
			}
			for key := range got {
				if _, theirs := want[key]; !theirs {
					delete(got, key)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("inspect --json (-systemd-dissect +sextant):\n%s", diff)
			}
			if diff := cmp.Diff(dissect("systemd-dissect", "--list", "/mnt/custom-tools_1.0.0.raw"), sextant(t, dir, "ls", image)); diff != "" {
				t.Errorf("ls (-systemd-dissect +sextant):\n%s", diff)
			}
		})
	}
}

func decode(t *testing.T, text string, into map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// runIn runs a program of a root file system, which sees dir as /mnt.
func runIn(t *testing.T, system rootfs.Rootfs, dir string, args ...string) string {
	t.Helper()
	cmd := system.Command(t.Context(), []rootfs.Bind{{Host: dir, Guest: "/mnt"}}, "env", append([]string{"SYSTEMD_COLORS=0"}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, errs.String())
	}
	return string(out)
}
