//go:build linux

package merge_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sextant/internal/dps"
	"sextant/internal/extension"
	"sextant/internal/hierarchy"
	"sextant/internal/imagetest"
	"sextant/internal/imagetest/disk"
	"sextant/internal/merge"
)

// verdicts gives the decisions as "name: verdict rule".
func verdicts(r *merge.Report) (list []string) {
	for _, d := range r.Decisions {
		list = append(list, fmt.Sprintf("%s: %s %s", d.Image.Name, d.Verdict, d.Rule))
	}
	return list
}

// TestLimit merges as many extensions as the kernel takes, and one more.
func TestLimit(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	write(t, "/usr", map[string]string{"bin/host": "host"})
	const most = 498
	for i := range most {
		name := fmt.Sprintf("extension-with-a-long-name-%03d", i)
		addDirectory(t, name, map[string]string{"usr/bin/" + name: name})
	}
	opts := quiet(t)
	r, err := merge.Merge(t.Context(), opts)
	if err != nil || slices.ContainsFunc(r.Decisions, func(d merge.Decision) bool { return d.Verdict != merge.Merged }) {
		t.Fatalf("%v, %q", err, verdicts(r))
	}
	want(t, "/usr/bin/extension-with-a-long-name-000", "extension-with-a-long-name-000")
	want(t, "/usr/bin/extension-with-a-long-name-497", "extension-with-a-long-name-497")
	want(t, "/usr/bin/host", "host")
	addDirectory(t, "one-more", map[string]string{"usr/bin/more": "more"})
	r, err = merge.Refresh(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	last := r.Decisions[len(r.Decisions)-1]
	if last.Verdict != merge.LeftOut || last.Rule != merge.RuleLimit {
		t.Errorf("one more: %+v", last)
	}
	t.Log(last.Reason)
	want(t, "/usr/bin/extension-with-a-long-name-497", "extension-with-a-long-name-497")
	want(t, "/usr/bin/more", "<none>")
	if _, err := merge.Unmerge(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
}

// TestDamage merges a good directory beside every kind of bad one.
func TestDamage(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	addDirectory(t, "good", map[string]string{"usr/bin/good": "good", "opt/good": "good"})
	addDirectory(t, "os-release", map[string]string{"usr/bin/bad": "bad", "usr/lib/os-release": "ID=other\n"})
	addDirectory(t, "usr-file", map[string]string{"opt": "no directory"})
	addDirectory(t, "other", map[string]string{"usr/bin/bad": "bad"})
	write(t, "/var/lib/extensions", map[string]string{
		"other/usr/lib/extension-release.d/extension-release.other":   "ID=fedora\n",
		"misnamed/usr/lib/extension-release.d/extension-release.else": "ID=_any\n",
		"misnamed/usr/bin/bad": "bad",
		"empty.raw":            "",
		"noise.raw":            strings.Repeat("noise ", 4000),
		"inside/usr/lib/extension-release.d/extension-release.inside": "ID=_any\n",
	})
	if err := os.Mkdir("/var/lib/extensions/mask", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, bytes := range badImages(t) {
		write(t, "/var/lib/extensions", map[string]string{name + ".raw": string(bytes)})
	}
	if err := os.Symlink("loop", "/var/lib/extensions/loop"); err != nil {
		t.Fatal(err)
	}
	r, err := merge.Merge(t.Context(), options(t))
	must(t, r, err)
	wanted := []string{
		"empty: left-out table", "good: merged release", "inside: merged release", "loop: left-out file", "mask: ignored release",
		"misnamed: ignored release", "noise: left-out table", "os-release: left-out os-release", "other: ignored release",
		"raw-broken-file-system: left-out mount", "raw-broken-table: left-out table", "raw-good: merged release", "raw-no-file-system: left-out table",
		"raw-no-partition: left-out table", "raw-no-release: left-out release", "raw-os-release: left-out os-release", "raw-other: ignored release",
		"raw-short: left-out table", "usr-file: left-out hierarchy",
	}
	if got := verdicts(r); !slices.Equal(got, wanted) {
		t.Errorf("decisions %q, want %q", got, wanted)
	}
	want(t, "/usr/bin/good", "good")
	want(t, "/opt/good", "good")
	want(t, "/usr/bin/bad", "<none>")
}

// badImages are images that are damaged or do not fit, and a good one.
func badImages(t *testing.T) map[string][]byte {
	t.Helper()
	make := func(files imagetest.Builder) disk.Disk {
		return disk.Recipe{Files: files.Tree, NoHash: true}.Make(t)
	}
	with := func(path, text string) imagetest.Builder {
		b := content("raw-os-release", "/usr")
		b.File(path, 0o644, text)
		return b
	}
	other := imagetest.NewBuilder()
	other.File("/usr/lib/extension-release.d/extension-release.raw-other", 0o644, "ID=fedora\n")
	nothing := imagetest.NewBuilder()
	nothing.File("/usr/bin/bad", 0o755, "bad")
	images := map[string][]byte{
		"raw-good":       make(content("raw-good", "/usr")).Bytes,
		"raw-os-release": make(with("/usr/lib/os-release", "ID=other\n")).Bytes,
		"raw-other":      make(other).Bytes,
		"raw-no-release": make(nothing).Bytes,
	}
	damage := func(name string, at func(d disk.Disk) (from, to int64)) {
		d := make(content(name, "/usr"))
		from, to := at(d)
		clear(d.Bytes[from:to])
		images[name] = d.Bytes
	}
	damage("raw-broken-table", func(d disk.Disk) (int64, int64) {
		clear(d.Bytes[len(d.Bytes)-33*512:]) // the copy
		return 512, 40 * 512
	})
	damage("raw-no-file-system", func(d disk.Disk) (int64, int64) { return d.Part(1) })
	damage("raw-broken-file-system", func(d disk.Disk) (int64, int64) {
		from, to := d.Part(1)
		return from + 1024 + 4, to
	})
	short := make(content("raw-short", "/usr"))
	from, _ := short.Part(1)
	images["raw-short"] = short.Bytes[:from+512]
	none := make(content("raw-no-partition", "/usr"))
	clear(none.Bytes[2*512 : 34*512])
	disk.Reseal(none.Bytes, 512, 1024)
	images["raw-no-partition"] = none.Bytes
	return images
}

// TestInside leaves out an extension that lies in the hierarchy it is for.
func TestInside(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	addDirectory(t, "good", map[string]string{"usr/bin/good": "good", "opt/good": "good"})
	write(t, "/opt/extensions/inside", map[string]string{"opt/inside": "x", "usr/bin/inside": "x", "usr/lib/extension-release.d/extension-release.inside": "ID=_any\n"})
	if err := os.Symlink("/opt/extensions/inside", "/var/lib/extensions/inside"); err != nil {
		t.Fatal(err)
	}
	mountTmpfs(t, "/usr/local", "outer")
	r, err := merge.Merge(t.Context(), options(t))
	must(t, r, err)
	if got := verdicts(r); !slices.Equal(got, []string{"good: merged release", "inside: left-out mount"}) {
		t.Errorf("decisions %q", got)
	}
	want(t, "/opt/good", "good")
	want(t, "/usr/bin/good", "good")
	want(t, "/usr/bin/inside", "<none>")
	want(t, "/usr/local/outer", "outer")
	want(t, "/usr/.systemd-sysext/extensions", "good\n")
}

// overlayOn mounts an overlay with one file on a directory.
func overlayOn(t *testing.T, dir, file string) {
	t.Helper()
	top := filepath.Join("/var/prism", dir)
	for _, sub := range []string{"upper", "work"} {
		if err := os.MkdirAll(filepath.Join(top, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	data := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", dir, top, top)
	if err := unix.Mount("prism", dir, "overlay", 0, data); err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{file: file})
}

// addForeignImage adds an image with a file that an overlay has too, and one where
// another overlay is mounted.
func addForeignImage(t *testing.T, name, prefix string, role dps.Designator) {
	t.Helper()
	b := content(name, prefix)
	b.File(prefix+"/lib/prism/new", 0o644, name)
	b.File(prefix+"/local/bin/"+name, 0o755, name)
	image := disk.Recipe{Files: b.Tree, Role: role, NoHash: true}.Make(t)
	if err := os.WriteFile("/var/lib/extensions/"+name+".raw", image.Bytes, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestForeign shows overlays of others at and below a hierarchy, who hides what,
// and who wins.
func TestForeign(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	addDirectory(t, "a", map[string]string{"usr/bin/a": "a", "usr/local/bin/tool": "a", "usr/lib/prism/changed": "a"})
	addForeignImage(t, "b", "/usr", dps.Root)
	addForeignImage(t, "c", "", dps.Usr)
	write(t, "/usr/local", map[string]string{"host": "host"})
	overlayOn(t, "/usr", "prismusr")
	write(t, "/usr/lib/prism", map[string]string{"changed": "prism", "new": "prism"})
	overlayOn(t, "/usr/local", "prismlocal")
	opts := options(t)
	r, err := merge.Merge(t.Context(), opts)
	must(t, r, err)
	want(t, "/usr/prismusr", "prismusr")
	want(t, "/usr/local/prismlocal", "prismlocal")
	want(t, "/usr/local/bin/tool", "<none>")
	want(t, "/usr/lib/prism/changed", "a")
	tool := []string{"a: /usr/local/bin/tool", "b: /usr/local/bin/b", "c: /usr/local/bin/c"}
	beneath := []string{"a: /usr/lib/prism/changed", "b: /usr/lib/prism/new", "c: /usr/lib/prism/new"}
	wantForeign := func(what string, got []hierarchy.Foreign, hides, hiddenBy []string) {
		t.Helper()
		if len(got) != 2 || got[0].Place != "beneath" || !slices.Equal(got[0].HiddenBy, beneath) ||
			got[1].Place != "below" || !slices.Equal(got[1].Hides, hides) || !slices.Equal(got[1].HiddenBy, hiddenBy) {
			t.Errorf("%s: foreign mounts: %+v", what, got)
		}
	}
	wantForeign("merge", r.Foreign, tool, nil)
	status, err := merge.Status(t.Context(), opts)
	must(t, r, err)
	wantForeign("status", status[0].Foreign, tool, nil)
	if _, err := merge.Unmerge(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	before := mounts(t)
	opts.Submounts = merge.SubmountsExtension
	for range 2 {
		opts.AlwaysRefresh = true
		r, err = merge.Refresh(t.Context(), opts)
		must(t, r, err)
		want(t, "/usr/local/bin/tool", "a")
		want(t, "/usr/local/prismlocal", "<none>")
		want(t, "/usr/local/host", "host")
		wantForeign("extension wins", r.Foreign, nil, tool)
		status, err := merge.Status(t.Context(), opts)
		must(t, r, err)
		wantForeign("status where it wins", status[0].Foreign, nil, tool)
	}
	if _, err := merge.Unmerge(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	want(t, "/usr/local/prismlocal", "prismlocal")
	if after := mounts(t); after != before {
		t.Errorf("left\n%s\nbefore:\n%s", after, before)
	}
	opts.Submounts = merge.SubmountsRefuse
	if r, err := merge.Merge(t.Context(), opts); err == nil || len(r.Merged) > 0 {
		t.Errorf("refuse: %v, merged %q", err, r.Merged)
	}
	if after := mounts(t); after != before {
		t.Errorf("refused, left\n%s\nbefore:\n%s", after, before)
	}
}

// TestTooDeep has a hierarchy that is two overlays already.
func TestTooDeep(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	addDirectory(t, "a", map[string]string{"usr/bin/a": "a", "opt/a": "a"})
	overlayOn(t, "/usr", "first")
	if err := os.Mkdir("/upper2", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("/work2", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("second", "/usr", "overlay", 0, "lowerdir=/usr,upperdir=/upper2,workdir=/work2"); err != nil {
		t.Fatal(err)
	}
	before := mounts(t)
	r, err := merge.Merge(t.Context(), options(t))
	if err == nil || !strings.Contains(err.Error(), "overlay on an overlay") {
		t.Errorf("merge: %v, %+v", err, r)
	}
	if after := mounts(t); after != before {
		t.Errorf("left\n%s\nbefore:\n%s", after, before)
	}
}

func TestConfext(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	write(t, "/var/lib/confexts/c", map[string]string{
		"etc/c.conf": "c", "etc/extension-release.d/extension-release.c": "ID=debian\nVERSION_ID=99\n",
	})
	opts := optionsFor(t, extension.Confext)
	r, err := merge.Merge(t.Context(), opts)
	must(t, r, err)
	want(t, "/etc/c.conf", "c")
	want(t, "/etc/.systemd-confext/confexts", "c\n")
	if !strings.Contains(mounts(t), "/etc ro,nosuid,nodev,noexec,relatime shared - overlay confext") {
		t.Error(mounts(t))
	}
	if _, err := merge.Unmerge(t.Context(), opts); err != nil {
		t.Error(err)
	}
	want(t, "/etc/c.conf", "<none>")
}
