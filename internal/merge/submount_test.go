//go:build linux

package merge_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

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
