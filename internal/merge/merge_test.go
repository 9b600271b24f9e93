//go:build linux

package merge_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	gotime "time"

	"sextant/internal/discover"
	"sextant/internal/extension"
	"sextant/internal/hierarchy"
	"sextant/internal/merge"
	"sextant/internal/vmtest/rootfs"
)

// time gives the time left before a deadline.
func time(deadline gotime.Time) string { return gotime.Until(deadline).String() }

// options are those of a plain merge into the world.
func options(t *testing.T) merge.Options { return optionsFor(t, extension.Sysext) }

func optionsFor(t *testing.T, class extension.Class) merge.Options {
	opts := listed(class)
	opts.Log = func(_ merge.Level, text string) { t.Log(text) }
	return opts
}

// listed are options with the candidates of the world.
func listed(class extension.Class) merge.Options {
	return merge.Options{Class: class, Images: func() ([]discover.Candidate, error) {
		list, _, err := discover.List("", class)
		return list, err
	}}
}

// write makes files below a directory, and what is missing of their paths.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for path, text := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// addDirectory installs an extension that is a directory and fits everywhere.
func addDirectory(t *testing.T, name string, files map[string]string) {
	t.Helper()
	dir := filepath.Join("/var/lib/extensions", name)
	write(t, dir, files)
	write(t, dir, map[string]string{"usr/lib/extension-release.d/extension-release." + name: "ID=_any\n"})
}

// read returns the content of a file, or the fact that there is none.
func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "<none>"
	}
	return string(text)
}

func want(t *testing.T, path, text string) {
	t.Helper()
	if got := read(path); got != text {
		t.Errorf("%s has %q, want %q", path, got, text)
	}
}

func must(t *testing.T, r *merge.Report, err error) *merge.Report {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range r.Decisions {
		t.Logf("%s: %s: %s", d.Image.Name, d.Verdict, d.Reason)
	}
	return r
}

// state is all that a run can leave: what is mounted, and what lies below /run.
func state(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(mounts(t))
	for _, dir := range []string{"/run", "/var/lib/extensions.mutable"} {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil {
				b.WriteString(path + "\n")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// mounts is what is mounted, without the numbers that always differ.
func mounts(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("/proc/thread-self/mountinfo") // the first thread may be in a namespace of its own
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		for i, f := range fields {
			if strings.HasPrefix(f, "shared:") {
				fields[i] = "shared"
			}
		}
		if strings.HasPrefix(fields[2], "0:") || strings.HasPrefix(fields[2], "7:") {
			fields[2] = "-"
		}
		lines = append(lines, strings.Join(fields[2:], " "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

func TestMergeDirectories(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	write(t, "/usr", map[string]string{"bin/host": "host", "bin/both": "host"})
	addDirectory(t, "b", map[string]string{"usr/bin/b": "b", "usr/bin/both": "b"})
	addDirectory(t, "a", map[string]string{"usr/bin/a": "a", "usr/bin/both": "a", "opt/a": "a"})
	opts := options(t)
	r, err := merge.Merge(t.Context(), opts)
	must(t, r, err)
	if r.Outcome != merge.Done || !slices.Equal(r.Merged, []string{"/usr", "/opt"}) {
		t.Errorf("outcome %s, merged %q", r.Outcome, r.Merged)
	}
	want(t, "/usr/bin/host", "host")
	want(t, "/usr/bin/both", "b")
	want(t, "/opt/a", "a")
	want(t, "/usr/.systemd-sysext/extensions", "a\nb\n")
	status, err := merge.Status(t.Context(), opts)
	if err != nil || !status[0].Merged || !slices.Equal(status[0].Extensions, []string{"a", "b"}) {
		t.Errorf("Status() = %+v, %v", status, err)
	}
	merged := state(t)
	r, err = merge.Refresh(t.Context(), opts)
	if must(t, r, err).Outcome != merge.Skipped {
		t.Errorf("refresh without a change: %s", r.Outcome)
	}
	opts.AlwaysRefresh = true
	r, err = merge.Refresh(t.Context(), opts)
	if must(t, r, err).Outcome != merge.Done {
		t.Errorf("refresh: %s", r.Outcome)
	}
	want(t, "/usr/bin/both", "b")
	if again := state(t); again != merged {
		t.Errorf("after a refresh:\n%s\nbefore:\n%s", again, merged)
	}
	r, err = merge.Merge(t.Context(), opts)
	if must(t, r, err).Outcome != merge.AlreadyMerged || r.Hierarchy != "/usr" {
		t.Errorf("merge again: %s %s", r.Outcome, r.Hierarchy)
	}
	r, err = merge.Unmerge(t.Context(), opts)
	must(t, r, err)
	want(t, "/usr/bin/both", "host")
	want(t, "/opt/a", "<none>")
	if status, err := hierarchy.Look("", extension.Sysext, "/usr"); err != nil || status.Merged {
		t.Errorf("Look() = %+v, %v", status, err)
	}
	if strings.Contains(state(t), "sysext ") {
		t.Errorf("left behind:\n%s", state(t))
	}
}

// stock runs systemd's own program in the world.
func stock(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("/usr/bin/systemd-sysext", args...).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-sysext %q: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestStockTakesOurs(t *testing.T) {
	for _, release := range rootfs.Releases() {
		t.Run(release.String(), func(t *testing.T) {
			if !inSystem(t, release) {
				return
			}
			addDirectory(t, "a", map[string]string{"usr/bin/a": "a", "opt/a": "a"})
			opts := options(t)
			r, err := merge.Merge(t.Context(), opts)
			must(t, r, err)
			var rows []struct {
				Hierarchy  string
				Extensions any
				Since      *int64
			}
			if err := json.Unmarshal([]byte(stock(t, "status", "--json=short")), &rows); err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				list, _ := row.Extensions.([]any)
				if len(list) != 1 || list[0] != "a" || row.Since == nil {
					t.Errorf("systemd %d: status of %s: %v", release.Systemd, row.Hierarchy, row.Extensions)
				}
			}
			t.Log(read("/usr/.systemd-sysext/origin"))
			if release.Systemd >= 260 {
				if out := stock(t, "refresh"); !strings.Contains(out, "Skipping extension refresh") {
					t.Errorf("refresh says: %s", out)
				}
			}
			t.Log(stock(t, "refresh"))
			t.Log(read("/usr/.systemd-sysext/origin"))
			want(t, "/usr/bin/a", "a")
			status, err := merge.Status(t.Context(), opts)
			if err != nil || !status[0].Merged || !slices.Equal(status[0].Extensions, []string{"a"}) {
				t.Errorf("Status() of systemd's = %+v, %v", status, err)
			}
			r, err = merge.Refresh(t.Context(), opts)
			must(t, r, err)
			stock(t, "unmerge")
			want(t, "/usr/bin/a", "<none>")
			stock(t, "merge")
			want(t, "/usr/bin/a", "a")
			r, err = merge.Refresh(t.Context(), opts)
			must(t, r, err)
			if release.Systemd >= 260 && r.Outcome != merge.Skipped {
				t.Errorf("refresh of systemd's: %s\n%s", r.Outcome, read("/usr/.systemd-sysext/origin"))
			}
			r, err = merge.Unmerge(t.Context(), opts)
			must(t, r, err)
			want(t, "/usr/bin/a", "<none>")
			if strings.Contains(state(t), "sysext ") {
				t.Errorf("left behind:\n%s", state(t))
			}
		})
	}
}

func pause() { gotime.Sleep(20 * gotime.Millisecond) }
