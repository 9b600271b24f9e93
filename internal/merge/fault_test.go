//go:build linux

package merge_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	gotime "time"

	"golang.org/x/sys/unix"

	"sextant/internal/extension"
	"sextant/internal/imagetest/disk"
	"sextant/internal/merge"
)

// faultWorld has all that a merge can have to do with, but dm-verity.
func faultWorld(t *testing.T) {
	t.Helper()
	write(t, "/usr", map[string]string{"bin/host": "host"})
	addDirectory(t, "a", map[string]string{"usr/bin/a": "a", "opt/a": "a", "usr/local/hidden": "a"})
	image := disk.Recipe{Files: content("image", "/usr").Tree, NoHash: true}.Make(t)
	if err := os.WriteFile("/var/lib/extensions/image.raw", image.Bytes, 0o644); err != nil {
		t.Fatal(err)
	}
	mountTmpfs(t, "/usr/local", "outer")
	mountTmpfs(t, "/usr/local/in/ner", "inner")
	mountTmpfs(t, "/opt/data", "data")
	// An overlay on a new upper directory has one more option.
	o := options(t)
	o.Mutable = merge.MutableYes
	if _, err := merge.Merge(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if _, err := merge.Unmerge(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// act is one thing to do, and how the world is before it.
type act struct {
	name    string
	prepare func(t *testing.T)
	mutable merge.Mutable

	// submounts says who wins below a hierarchy.
	submounts merge.Submounts

	do func(context.Context, merge.Options) (*merge.Report, error)
}

func doMerge(ctx context.Context, o merge.Options) (*merge.Report, error) {
	return merge.Merge(ctx, o)
}

func doRefresh(ctx context.Context, o merge.Options) (*merge.Report, error) {
	o.AlwaysRefresh = true
	return merge.Refresh(ctx, o)
}

func doUnmerge(ctx context.Context, o merge.Options) (*merge.Report, error) {
	return merge.Unmerge(ctx, o)
}

func acts() []act {
	merged := func(t *testing.T) {
		if _, err := merge.Merge(t.Context(), quiet(t)); err != nil {
			t.Fatal(err)
		}
	}
	mutable := func(t *testing.T) {
		o := quiet(t)
		o.Mutable = merge.MutableYes
		if _, err := merge.Merge(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	return []act{
		{name: "merge", prepare: func(*testing.T) {}, do: doMerge},
		{name: "refresh", prepare: merged, do: doRefresh},
		{name: "refresh without opt", prepare: func(t *testing.T) {
			os.Rename("/var/lib/extensions/a/away", "/var/lib/extensions/a/opt")
			merged(t)
			os.Rename("/var/lib/extensions/a/opt", "/var/lib/extensions/a/away")
		}, do: doRefresh},
		{name: "refresh over mounts", submounts: merge.SubmountsExtension, prepare: func(t *testing.T) {
			os.Rename("/var/lib/extensions/a/away", "/var/lib/extensions/a/opt")
			merged(t)
		}, do: doRefresh},
		{name: "unmerge", prepare: func(t *testing.T) {
			os.Rename("/var/lib/extensions/a/away", "/var/lib/extensions/a/opt")
			merged(t)
		}, do: doUnmerge},
		{name: "merge mutable", prepare: func(*testing.T) {}, mutable: merge.MutableYes, do: doMerge},
		{name: "refresh mutable", prepare: mutable, mutable: merge.MutableYes, do: doRefresh},
		{name: "unmerge mutable", prepare: mutable, mutable: merge.MutableYes, do: doUnmerge},
	}
}

func quiet(t *testing.T) merge.Options {
	o := options(t)
	o.Log = nil
	return o
}

// reset brings the world back to where nothing is merged.
func reset(t *testing.T, clean string) {
	t.Helper()
	r, err := merge.Unmerge(t.Context(), quiet(t))
	if err != nil {
		t.Fatalf("%v %+v", err, r)
	}
	if now := state(t); now != clean {
		t.Fatalf("unmerged:\n%s\nwant:\n%s", now, clean)
	}
	noDevices(t)
}

// TestFaults has each call of each act fail, with each error in turn. An act that
// fails leaves what was; one that does not is done; and the next run ends where
// an undisturbed one does.
func TestFaults(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	faultWorld(t)
	clean := state(t)
	for _, a := range acts() {
		t.Run(a.name, func(t *testing.T) {
			a.prepare(t)
			before := state(t)
			calls := 0
			o := quiet(t)
			o.Mutable, o.Submounts = a.mutable, a.submounts
			o.Before(func(string) error { calls++; return nil })
			r, err := a.do(t.Context(), o)
			must(t, r, err)
			after := state(t)
			reset(t, clean)
			t.Logf("%d calls", calls)
			errnos := []error{unix.ENOMEM, unix.EBUSY, unix.EIO, unix.ENOSPC, unix.EINVAL}
			for i := range calls {
				a.prepare(t)
				fault := errnos[i%len(errnos)]
				name, n := "", 0
				o.Before(func(call string) error {
					if n++; n == i+1 {
						name = call
						return fault
					}
					return nil
				})
				r, err := a.do(t.Context(), o)
				left := slicesContainsLeftOut(r)
				now := state(t)
				switch {
				case err != nil && now != before && !strings.HasPrefix(a.name, "unmerge"): // which is one act for each hierarchy
					t.Errorf("call %d, %s: %v: left\n%s\nbefore:\n%s", i, name, err, now, before)
				case err == nil && now != after && !left:
					t.Errorf("call %d, %s: %v: no error, left\n%s\nwant:\n%s", i, name, fault, now, after)
				case err != nil && !errors.Is(err, fault):
					t.Errorf("call %d, %s: %v does not wrap %v", i, name, err, fault)
				}
				again := o
				again.Before(nil)
				if strings.HasPrefix(a.name, "unmerge") {
					r, err = doUnmerge(t.Context(), again)
				} else {
					r, err = doRefresh(t.Context(), again)
				}
				if err != nil {
					t.Fatalf("call %d, %s: next run: %v %+v", i, name, err, r)
				}
				if now := state(t); now != after {
					t.Errorf("call %d, %s: next run left\n%s\nwant:\n%s", i, name, now, after)
				}
				reset(t, clean)
				if t.Failed() {
					t.Fatalf("call %d, %s: %v", i, name, fault)
				}
			}
		})
	}
}

func slicesContainsLeftOut(r *merge.Report) bool {
	for _, d := range r.Decisions {
		if d.Verdict == merge.LeftOut {
			return true
		}
	}
	return false
}

// killVariable makes the test program do one act and end before the call with
// this number, or run to its end with -1.
const killVariable = "SEXTANT_MERGE_KILL"

// killed is what TestMain does then.
func killed(spec string) error {
	name, number, _ := strings.Cut(spec, ":")
	at, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	for _, a := range acts() {
		if a.name != name {
			continue
		}
		o := listed(extension.Sysext)
		o.Mutable, o.Submounts = a.mutable, a.submounts
		o.Before(func(string) error {
			if at == 0 {
				return unix.Kill(os.Getpid(), unix.SIGKILL)
			}
			at--
			return nil
		})
		_, err := a.do(context.Background(), o)
		return err
	}
	return fmt.Errorf("no act %q", name)
}

// kill does an act in another process, which ends before call n, or after a time.
func kill(t *testing.T, name string, n int, after gotime.Duration) (alive bool) {
	t.Helper()
	cmd := exec.Command("/test")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%d", killVariable, name, n))
	var out strings.Builder
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if after > 0 {
		gotime.Sleep(after)
		cmd.Process.Kill()
	}
	err := cmd.Wait()
	if err != nil && !strings.Contains(err.Error(), "killed") {
		t.Fatalf("%s: %v %s", name, err, out.String())
	}
	return err == nil
}

// TestKilled ends the program before each call of each act, and at random
// moments. One further run ends where an undisturbed one does.
func TestKilled(t *testing.T) {
	if !inSmallWorld(t) {
		return
	}
	faultWorld(t)
	clean := state(t)
	for _, a := range acts() {
		t.Run(a.name, func(t *testing.T) {
			o := quiet(t)
			o.Mutable, o.Submounts = a.mutable, a.submounts
			a.prepare(t)
			r, err := a.do(t.Context(), o)
			must(t, r, err)
			after := state(t)
			reset(t, clean)
			again := func(what string) {
				t.Helper()
				if strings.HasPrefix(a.name, "unmerge") {
					r, err = doUnmerge(t.Context(), o)
				} else {
					r, err = doRefresh(t.Context(), o)
				}
				if err != nil {
					t.Fatalf("%s: next run: %v %+v", what, err, r)
				}
				if now := state(t); now != after {
					t.Fatalf("%s: next run left\n%s\nwant:\n%s", what, now, after)
				}
				reset(t, clean)
			}
			for i, alive := 0, false; !alive; i++ {
				a.prepare(t)
				alive = kill(t, a.name, i, 0)
				again(fmt.Sprintf("killed before call %d", i))
			}
			a.prepare(t)
			start := gotime.Now()
			kill(t, a.name, -1, 0)
			whole := gotime.Since(start)
			again("whole run")
			for range randomKills() {
				a.prepare(t)
				delay := 1 + rand.N(whole)
				kill(t, a.name, -1, delay)
				again("killed after " + delay.String())
			}
		})
	}
}

// randomKills is how often each act is killed at a random moment: in the long
// run 500 times all together.
func randomKills() int {
	if long() {
		return 500/len(acts()) + 1
	}
	return 5
}
