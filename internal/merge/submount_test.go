//go:build linux

package merge_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sextant/internal/hierarchy"
	"sextant/internal/merge"
	"sextant/internal/vmtest/rootfs"
)

// mountTmpfs mounts an empty file system with one file.
func mountTmpfs(t *testing.T, path, file string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("other", path, "tmpfs", 0, "mode=0755"); err != nil {
		t.Fatal(err)
	}
	write(t, path, map[string]string{file: file})
}

// TestSubmounts carries nested mounts of others through a merge, refreshes and an
// unmerge, with one more that comes while merged.
func TestSubmounts(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	addDirectory(t, "a", map[string]string{"usr/bin/a": "a", "opt/a": "a", "usr/local/hidden": "a"})
	mountTmpfs(t, "/usr/local", "outer")
	mountTmpfs(t, "/usr/local/in/ner", "inner")
	mountTmpfs(t, "/opt/data", "data")
	write(t, "/", map[string]string{"usr/file": "below"})
	if err := unix.Mount("/etc/os-release", "/usr/file", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	opts := options(t)
	if _, err := merge.Unmerge(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	before := state(t)
	check := func() {
		t.Helper()
		want(t, "/usr/local/outer", "outer")
		want(t, "/usr/local/in/ner/inner", "inner")
		want(t, "/opt/data/data", "data")
		want(t, "/usr/file", read("/etc/os-release"))
	}
	r, err := merge.Merge(t.Context(), opts)
	must(t, r, err)
	check()
	want(t, "/usr/bin/a", "a")
	merged := state(t)
	opts.AlwaysRefresh = true
	for range 3 {
		r, err = merge.Refresh(t.Context(), opts)
		must(t, r, err)
		check()
		if again := state(t); again != merged {
			t.Fatalf("after a refresh:\n%s\nbefore:\n%s", again, merged)
		}
	}
	mountTmpfs(t, "/usr/local/late", "late")
	r, err = merge.Unmerge(t.Context(), opts)
	must(t, r, err)
	check()
	want(t, "/usr/local/late/late", "late")
	want(t, "/usr/bin/a", "<none>")
	if err := unix.Unmount("/usr/local/late", 0); err != nil {
		t.Fatal(err)
	}
	if after := state(t); after != before {
		t.Errorf("after all:\n%s\nbefore:\n%s", after, before)
	}
}

// TestUnbindable carries a mount over that the kernel copies nowhere.
func TestUnbindable(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	addDirectory(t, "a", map[string]string{"usr/bin/a": "a"})
	mountTmpfs(t, "/usr/local", "outer")
	if err := unix.Mount("", "/usr/local", "", unix.MS_UNBINDABLE, ""); err != nil {
		t.Fatal(err)
	}
	opts := options(t)
	opts.AlwaysRefresh = true
	for _, act := range []func(context.Context, merge.Options) (*merge.Report, error){merge.Merge, merge.Refresh} {
		r, err := act(t.Context(), opts)
		must(t, r, err)
		want(t, "/usr/local/outer", "outer")
		want(t, "/usr/bin/a", "a")
	}
	r, err := merge.Unmerge(t.Context(), opts)
	must(t, r, err)
	want(t, "/usr/local/outer", "outer")
	want(t, "/usr/bin/a", "<none>")
}

// TestSubmountGivesWay has a mount of others that was carried over give way to an
// extension later. It is back when that is unmerged.
func TestSubmountGivesWay(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	files := map[string]string{"usr/bin/a": "a", "usr/local/tool": "a"}
	for i := range 12 {
		files[fmt.Sprintf("usr/local/lib/%02d", i)] = "a"
	}
	addDirectory(t, "a", files)
	mountTmpfs(t, "/usr/local", "outer")
	mountTmpfs(t, "/usr/share/kept", "kept")
	before := mounts(t)
	opts := options(t)
	r, err := merge.Merge(t.Context(), opts)
	must(t, r, err)
	want(t, "/usr/local/outer", "outer")
	if hides := r.Foreign[0].Hides; len(hides) != 11 || hides[9] != "a: /usr/local/lib/09" || hides[10] != "a: 3 more below /usr/local" {
		t.Errorf("hides %q", hides)
	}
	opts.Submounts = merge.SubmountsExtension
	r, err = merge.Refresh(t.Context(), opts)
	if must(t, r, err).Outcome != merge.Done {
		t.Errorf("refresh: %s", r.Outcome)
	}
	want(t, "/usr/local/tool", "a")
	want(t, "/usr/local/outer", "<none>")
	want(t, "/usr/share/kept/kept", "kept")
	r, err = merge.Refresh(t.Context(), opts)
	if must(t, r, err).Outcome != merge.Skipped {
		t.Errorf("refresh again: %s", r.Outcome)
	}
	r, err = merge.Unmerge(t.Context(), opts)
	must(t, r, err)
	want(t, "/usr/local/outer", "outer")
	if after := mounts(t); after != before {
		t.Errorf("left\n%s\nbefore:\n%s", after, before)
	}
}

// TestCovered names what others have mounted over the extensions.
func TestCovered(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	addDirectory(t, "a", map[string]string{"opt/a": "a"})
	opts := options(t)
	r, err := merge.Merge(t.Context(), opts)
	must(t, r, err)
	mountTmpfs(t, "/opt", "cover")
	r, err = merge.Unmerge(t.Context(), opts)
	if err == nil || !strings.Contains(err.Error(), "tmpfs is mounted over the extensions at /opt") || len(r.Foreign) != 1 {
		t.Errorf("unmerge: %v, %+v", err, r)
	}
	if err := unix.Unmount("/opt", 0); err != nil {
		t.Fatal(err)
	}
	r, err = merge.Unmerge(t.Context(), opts)
	must(t, r, err)
	want(t, "/opt/a", "<none>")
}

// TestTmpfsAtHierarchy names what others have at a hierarchy, before, during and
// after a merge over it.
func TestTmpfsAtHierarchy(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	addDirectory(t, "a", map[string]string{"opt/a": "a"})
	mountTmpfs(t, "/opt", "theirs")
	opts := options(t)
	named := func(what string, list []hierarchy.Foreign) {
		t.Helper()
		if len(list) != 1 || list[0].Place != hierarchy.Beneath || list[0].Path != "/opt" || list[0].Type != "tmpfs" || list[0].Advice == "" {
			t.Errorf("%s: foreign mounts %+v, want the tmpfs", what, list)
		}
	}
	status := func(what string) {
		t.Helper()
		list, err := merge.Status(t.Context(), opts)
		if err != nil || len(list) != 2 {
			t.Fatal(list, err)
		}
		named(what, slices.Concat(list[0].Foreign, list[1].Foreign))
	}
	status("status before")
	r, err := merge.Merge(t.Context(), opts)
	named("merge", must(t, r, err).Foreign)
	want(t, "/opt/a", "a")
	want(t, "/opt/theirs", "theirs")
	status("status")
	opts.AlwaysRefresh = true
	r, err = merge.Refresh(t.Context(), opts)
	named("refresh", must(t, r, err).Foreign)
	r, err = merge.Unmerge(t.Context(), opts)
	must(t, r, err)
	status("status after")
}

// TestSaysThatItWaits: who has to wait for another run is told so where it is seen.
func TestSaysThatItWaits(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	opts := options(t)
	if _, err := merge.Unmerge(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open("/run/systemd/sysext")
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	said := make(map[string]merge.Level)
	opts.Log = func(level merge.Level, text string) {
		said[text] = level
		dir.Close() // which lets it go on
	}
	if _, err := merge.Unmerge(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	if level, ok := said["Another merge is running, waiting for it."]; !ok || level > merge.Warning {
		t.Errorf("said %v, want that another merge is running, as a warning", said)
	}
}

// TestSubmountsLikeSystemd compares what is mounted after systemd's merge and
// after ours, and takes turns.
func TestSubmountsLikeSystemd(t *testing.T) {
	for _, release := range []rootfs.Release{rootfs.Trixie(), rootfs.Sid()} {
		t.Run(release.String(), func(t *testing.T) {
			if !inSystem(t, release) {
				return
			}
			addDirectory(t, "a", map[string]string{"usr/bin/a": "a", "opt/a": "a"})
			mountTmpfs(t, "/usr/local", "outer")
			if release.Systemd >= 262 {
				mountTmpfs(t, "/usr/local/inner", "inner")
			}
			mountTmpfs(t, "/opt/data", "data")
			stock(t, "unmerge")
			before := mounts(t)
			stock(t, "merge")
			theirs := mounts(t)
			stock(t, "unmerge")
			opts := options(t)
			r, err := merge.Merge(t.Context(), opts)
			must(t, r, err)
			if ours := mounts(t); ours != theirs {
				t.Errorf("we:\n%s\nsystemd:\n%s", ours, theirs)
			}
			stock(t, "unmerge")
			if again := mounts(t); again != before {
				t.Errorf("systemd's unmerge of ours:\n%s\nbefore:\n%s", again, before)
			}
			stock(t, "merge")
			r, err = merge.Unmerge(t.Context(), opts)
			must(t, r, err)
			if again := mounts(t); again != before {
				t.Errorf("our unmerge of systemd's:\n%s\nbefore:\n%s", again, before)
			}
			if !strings.Contains(before, "/usr/local ") {
				t.Error("no sub-mount to begin with")
			}
		})
	}
}
