package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// merging is what the names of contests about merges begin with.
const merging = "merge"

// mergeContests prepares images and returns the contests of the runtime with
// systemd's. Both run in the chroot of sid, on the kernel of this machine.
func (b *bench) mergeContests(ctx context.Context) ([]contest, error) {
	script := `set -e
mkdir "$1/merge" "$1/merge/config"
printf '[Output]\nFormat=sysext\nImageId=ext\n[Content]\nExtraTrees=%s:/usr/share/ext/file\n[Validation]\nVerity=disabled\n' "$1/merge/file" >"$1/merge/config/mkosi.conf"
head -c 100000 /dev/urandom >"$1/merge/file"
for name in $(seq -f e%02g 0 99); do
	"$1/sextant" build --image-id="$name" --output="$name" --output-directory="$1/merge/raw" "$1/merge/config" >"$1/log"
done
ln -s "$(readlink "$1/sextant")" "$1/merge/systemd-sysext"
`
	if out, err := exec.CommandContext(ctx, "sh", "-c", script, "sh", b.dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("prepare: %w\n%s", err, out)
	}
	var list []contest
	for _, kind := range []struct{ name, what, goal string }{
		{"directory", "directories", "≥ 2×"}, {"raw", "unsigned raw images", "≥ 5×"},
	} {
		for _, count := range []int{1, 10, 100} {
			list = append(list, contest{
				name: fmt.Sprintf("%s and unmerge, %d %s", merging, count, kind.what), goal: kind.goal,
				ours:   b.merge(b.path("merge/systemd-sysext"), kind.name, count, "both"),
				theirs: b.merge("systemd-sysext", kind.name, count, "both"),
			})
		}
	}
	return append(list, contest{
		name: merging + ": status of 100 directories", goal: "< 10 ms",
		ours:   b.merge(b.path("merge/systemd-sysext"), "directory", 100, "status"),
		theirs: b.merge("systemd-sysext", "directory", 100, "status"),
	}), nil
}

func (b *bench) merge(program, kind string, count int, what string) job {
	name := "sextant"
	if program == "systemd-sysext" {
		name = "systemd-sysext 262"
	}
	return job{name: name, inSid: true, tool: "merge", command: []string{program, kind, strconv.Itoa(count), what, b.path("merge/raw")}}
}

// timedMerge is run in the chroot: it installs extensions and times a program
// that merges them and takes them away, or shows what is merged.
func timedMerge(ctx context.Context, args []string) error {
	if len(args) != 6 {
		return fmt.Errorf("merge needs a result, a program, a kind, a count, what to time and images")
	}
	result, program, kind, what, images := args[0], args[1], args[2], args[4], args[5]
	count, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	// What is mounted in a namespace of the program is to be seen here.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share /: %w", err)
	}
	for i := range count {
		if err := installOne(kind, i, images); err != nil {
			return err
		}
	}
	verbs := []string{"merge", "unmerge"}
	if what == "status" {
		if _, err := runOnce(ctx, program, "merge"); err != nil {
			return err
		}
		verbs = []string{"status"}
	}
	var sum usage
	for _, verb := range verbs {
		u, err := runOnce(ctx, program, verb)
		if err != nil {
			return err
		}
		sum.Wall, sum.CPU, sum.Peak = sum.Wall+u.Wall, sum.CPU+u.CPU, max(sum.Peak, u.Peak)
	}
	text, err := json.Marshal(sum)
	if err != nil {
		return err
	}
	return os.WriteFile(result, text, 0o644)
}

// installOne puts one extension where it is found. The names are short, as 262
// hands the kernel all lower directories in one page.
func installOne(kind string, i int, images string) error {
	name := fmt.Sprintf("e%02d", i)
	path := filepath.Join("/var/lib/extensions", name)
	if kind == "raw" {
		content, err := os.ReadFile(filepath.Join(images, name+".raw"))
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path+".raw", content, 0o644)
	}
	for file, text := range map[string]string{
		"usr/lib/extension-release.d/extension-release." + name: "ID=_any\n",
		"usr/share/" + name + "/file":                           name + "\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(path, file)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(path, file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func runOnce(ctx context.Context, program, verb string) (u usage, err error) {
	var said strings.Builder
	cmd := exec.CommandContext(ctx, program, verb)
	cmd.Stderr = &said
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return u, fmt.Errorf("%s %s: %w\n%s", program, verb, err, said.String())
	}
	u = usage{Wall: time.Since(start), CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	u.Peak = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	return u, nil
}
