//go:build linux

package merge_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"sextant/internal/discover"
	"sextant/internal/extension"
	"sextant/internal/imagetest/disk"
	"sextant/internal/merge"
)

// TestPlan looks at everything and leaves nothing.
func TestPlan(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	addDirectory(t, "a", map[string]string{"usr/bin/a": "a"})
	image := disk.Recipe{Files: content("image", "/usr").Tree, NoHash: true}.Make(t)
	if err := os.WriteFile("/var/lib/extensions/image.raw", image.Bytes, 0o644); err != nil {
		t.Fatal(err)
	}
	write(t, "/var/lib/extensions", map[string]string{"empty.raw": ""})
	opts := options(t)
	if _, err := merge.Unmerge(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	before := state(t)
	r, err := merge.Plan(t.Context(), opts)
	must(t, r, err)
	if got := verdicts(r); !slices.Equal(got, []string{"a: merged release", "empty: left-out table", "image: merged release"}) || !slices.Equal(r.Merged, []string{"/usr"}) {
		t.Errorf("Plan: %q, merged %q", got, r.Merged)
	}
	if after := state(t); after != before {
		t.Errorf("Plan left\n%s\nbefore:\n%s", after, before)
	}
	noDevices(t)
}

// TestPlanRefuses has a dry run find what the kernel will not do, and what the
// mutable directory is not fit for.
func TestPlanRefuses(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	addDirectory(t, "good", map[string]string{"usr/bin/good": "good"})
	write(t, "/opt/extensions/inside", map[string]string{"opt/inside": "x", "usr/lib/extension-release.d/extension-release.inside": "ID=_any\n"})
	if err := os.Symlink("/opt/extensions/inside", "/var/lib/extensions/inside"); err != nil {
		t.Fatal(err)
	}
	opts := options(t)
	r, err := merge.Plan(t.Context(), opts)
	must(t, r, err)
	if got := verdicts(r); !slices.Equal(got, []string{"good: merged release", "inside: left-out mount"}) {
		t.Errorf("decisions %q", got)
	}
	opts.Mutable = merge.MutableYes
	before := state(t)
	r, err = merge.Plan(t.Context(), opts)
	must(t, r, err)
	if after := state(t); after != before {
		t.Errorf("Plan left\n%s\nbefore:\n%s", after, before)
	}
	write(t, "/var/lib/extensions.mutable/usr", map[string]string{"x": "x"})
	if err := os.Chmod("/var/lib/extensions.mutable/usr", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := merge.Plan(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "has mode 0700") {
		t.Errorf("Plan with a mutable directory of another mode: %v", err)
	}
}

// TestEmpty has a mutable mode and nothing at all at a hierarchy.
func TestEmpty(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	addDirectory(t, "a", map[string]string{"usr/bin/a": "a"})
	opts := options(t)
	opts.Mutable = merge.MutableAuto
	r, err := merge.Merge(t.Context(), opts)
	must(t, r, err)
	want(t, "/usr/bin/a", "a")
	want(t, "/opt/.systemd-sysext/extensions", "a\n")
}

// TestVanished leaves out a candidate that is gone when it is looked at.
func TestVanished(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	addDirectory(t, "a", map[string]string{"usr/bin/a": "a"})
	opts := options(t)
	opts.Images = func() ([]discover.Candidate, error) {
		list, _, err := discover.List("", extension.Sysext)
		return append(list, discover.Candidate{Name: "gone", Path: "/var/lib/extensions/gone"}), err
	}
	r, err := merge.Merge(t.Context(), opts)
	must(t, r, err)
	if got := verdicts(r); !slices.Equal(got, []string{"a: merged release", "gone: left-out file"}) {
		t.Errorf("decisions %q", got)
	}
}

// TestRoot merges into a system below a directory, whose links do not lead out.
func TestRoot(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	const root = "/var/tmp/system"
	write(t, root, map[string]string{
		"etc/os-release": "ID=other\nVERSION_ID=1\n", "real/usr/bin/host": "host", "var/lib/extensions/a/usr/bin/a": "a",
		"var/lib/extensions/a/usr/lib/extension-release.d/extension-release.a":           "ID=other\nVERSION_ID=1\n",
		"var/lib/extensions/debian/usr/bin/d":                                            "d",
		"var/lib/extensions/debian/usr/lib/extension-release.d/extension-release.debian": "ID=debian\nVERSION_ID=99\n",
	})
	if err := os.Symlink("/real/usr", root+"/usr"); err != nil {
		t.Fatal(err)
	}
	opts := options(t)
	opts.Root = root
	opts.Images = func() ([]discover.Candidate, error) {
		list, _, err := discover.List(root, extension.Sysext)
		return list, err
	}
	r, err := merge.Merge(t.Context(), opts)
	must(t, r, err)
	if !slices.Equal(r.Merged, []string{root + "/real/usr"}) {
		t.Errorf("merged %q", r.Merged)
	}
	want(t, root+"/real/usr/bin/a", "a")
	want(t, root+"/real/usr/bin/host", "host")
	want(t, root+"/real/usr/bin/d", "<none>")
	want(t, "/usr/bin/a", "<none>")
	if origin := read(root + "/real/usr/.systemd-sysext/origin"); !strings.Contains(origin, `"path" : "/var/lib/extensions/a"`) {
		t.Error(origin)
	}
	if r, err = merge.Unmerge(t.Context(), opts); err != nil || !slices.Equal(r.Unmerged, []string{root + "/real/usr"}) {
		t.Errorf("unmerged %q, %v", r.Unmerged, err)
	}
}

// TestAtOnce has several runs at the same time, which wait for one another.
func TestAtOnce(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	addDirectory(t, "a", map[string]string{"usr/bin/a": "a", "opt/a": "a"})
	mountTmpfs(t, "/usr/local", "outer")
	before := mounts(t)
	opts := quiet(t)
	opts.AlwaysRefresh = true
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			do := merge.Refresh
			if i%3 == 0 {
				do = merge.Unmerge
			}
			if _, err := do(t.Context(), opts); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	want(t, "/usr/local/outer", "outer")
	if _, err := merge.Unmerge(t.Context(), opts); err != nil {
		t.Error(err)
	}
	if after := mounts(t); after != before {
		t.Errorf("left\n%s\nbefore:\n%s", after, before)
	}
}

// TestRelease finds release files under all the names that systemd finds.
func TestRelease(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	for name, files := range map[string][]string{
		"exact":        {"extension-release.exact"},
		"cut_1.2":      {"extension-release.cut"},
		"plus+1":       {"extension-release.plus"},
		"two":          {"extension-release.one", "extension-release.three"},
		"else":         {"extension-release.other"},
		"exactfirst_1": {"extension-release.exactfirst_1", "extension-release.exactfirst"},
	} {
		for _, file := range files {
			write(t, filepath.Join("/var/lib/extensions", name), map[string]string{"usr/lib/extension-release.d/" + file: "ID=_any\n", "usr/bin/" + name: name})
		}
	}
	r, err := merge.Merge(t.Context(), options(t))
	must(t, r, err)
	wanted := []string{
		"cut_1.2: merged release", "else: ignored release", "exact: merged release", "exactfirst_1: merged release", "plus+1: merged release", "two: ignored release",
	}
	if got := verdicts(r); !slices.Equal(got, wanted) {
		t.Errorf("decisions %q, want %q", got, wanted)
	}
}

// TestCreates makes a hierarchy that the host lacks, and one that is empty is no
// layer.
func TestCreates(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	if err := os.Remove("/opt"); err != nil {
		t.Fatal(err)
	}
	addDirectory(t, "a", map[string]string{"opt/a": "a"})
	opts := options(t)
	r, err := merge.Merge(t.Context(), opts)
	must(t, r, err)
	want(t, "/opt/a", "a")
	if _, err := merge.Unmerge(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	r, err = merge.Merge(t.Context(), opts)
	must(t, r, err)
	for line := range strings.Lines(mounts(t)) {
		if strings.Contains(line, " /opt ") && strings.Contains(line, "a/opt:/opt") {
			t.Errorf("an empty host directory is a layer: %s", line)
		}
	}
}

// TestUnits collects what extensions want of the service manager.
func TestUnits(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	write(t, "/var/lib/extensions", map[string]string{
		"a/usr/lib/extension-release.d/extension-release.a": "ID=_any\nEXTENSION_RESTART_UNITS=\"x.service y.service\"\n",
		"b/usr/lib/extension-release.d/extension-release.b": "ID=_any\nEXTENSION_RELOAD_OR_RESTART_UNITS=\"y.service z.service\"\n",
	})
	opts := options(t)
	for _, do := range []act{{do: doMerge}, {do: doUnmerge}} {
		r, err := do.do(t.Context(), opts)
		must(t, r, err)
		u := r.Units
		if !u.Reload || !slices.Equal(u.Restart, []string{"x.service", "y.service"}) || !slices.Equal(u.ReloadOrRestart, []string{"z.service"}) {
			t.Errorf("units: %+v", u)
		}
	}
	opts.NoReload = true
	r, err := merge.Merge(t.Context(), opts)
	if must(t, r, err).Units.Reload {
		t.Errorf("units although nobody asks: %+v", r.Units)
	}
}

// TestPrivate merges where mounts are private: systemd's merge vanishes there.
func TestPrivate(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	addDirectory(t, "a", map[string]string{"usr/bin/a": "a"})
	mountTmpfs(t, "/usr/local", "outer")
	opts := options(t)
	opts.AlwaysRefresh = true
	for range 2 {
		r, err := merge.Refresh(t.Context(), opts)
		must(t, r, err)
		want(t, "/usr/bin/a", "a")
		want(t, "/usr/local/outer", "outer")
		if len(r.Notices) != 2 || !strings.Contains(r.Notices[0], "only what runs in this one") {
			t.Errorf("notices: %q", r.Notices)
		}
	}
	if _, err := merge.Unmerge(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	want(t, "/usr/local/outer", "outer")
}
