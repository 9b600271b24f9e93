package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"sextant/internal/vmtest/rootfs"
)

// bench is one run of the program.
type bench struct {
	sextant string // path of the program
	self    string // our own path
	dir     string // for all files, in memory
	disk    string // for what is to be on a disk
	bin     string // of the program, on the disk
	sid     rootfs.Rootfs
	runs    int
}

// contest is two ways to do the same.
type contest struct {
	name         string
	goal         string
	ours, theirs job
	limit        bool // a part of the work that cannot be left out
}

// job is one way.
type job struct {
	name    string
	inSid   bool
	tool    string // that runs and times the command, "time" where it is empty
	onDisk  bool   // /var/tmp is on a disk, as on most machines; in memory otherwise
	command []string
	outputs []string // removed before each run, and at the end
}

func newBench(sextant string, runs int) (*bench, error) {
	sextant, err := filepath.Abs(sextant)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	sid, err := rootfs.Open(rootfs.Sid())
	if err != nil {
		return nil, fmt.Errorf("%w; go run ./internal/vmtest/cmd/rootfs makes it", err)
	}
	dir, err := os.MkdirTemp("/dev/shm", "sextant-bench-")
	if err != nil {
		return nil, err
	}
	disk, err := os.MkdirTemp(filepath.Dir(self), "bench-disk-")
	if err != nil {
		return nil, err
	}
	b := &bench{sextant: sextant, self: filepath.Join(dir, "bench"), dir: dir, disk: disk, bin: filepath.Join(disk, "bin"), sid: sid, runs: runs}
	return b, errors.Join(copyExecutable(self, b.self), b.installProgram())
}

// installProgram puts the program on a disk, where those of the others are: of a file in
// memory the kernel maps small pages, which costs each start 0.3 ms.
func (b *bench) installProgram() error {
	program := filepath.Join(b.bin, "sextant")
	return errors.Join(os.MkdirAll(b.bin, 0o755), copyExecutable(b.sextant, program), os.Symlink(program, b.path("sextant")))
}

// close removes all files.
func (b *bench) close() error {
	return errors.Join(os.RemoveAll(b.dir), os.RemoveAll(b.disk))
}

func copyExecutable(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}

// all runs every contest and returns the Markdown.
func (b *bench) all(ctx context.Context, only string) (string, error) {
	contests, err := b.gather(ctx, only)
	if err != nil {
		return "", err
	}
	contests = slices.DeleteFunc(contests, func(c contest) bool { return !strings.Contains(c.name, only) })
	var out strings.Builder
	fmt.Fprintf(&out, "%s, %d processors, Go %s, load %s at the start. Medians of %d runs or more, the sides in turn, after one run of each that is not counted.\n\n",
		time.Now().UTC().Format("2006-01-02"), runtime.NumCPU(), strings.TrimPrefix(runtime.Version(), "go"), load(), b.runs)
	fmt.Fprintln(&out, "| what | goal | sextant | the other | wall clock | processor time | peak memory |")
	fmt.Fprintln(&out, "|---|---|---|---|---|---|---|")
	var least, whole time.Duration
	for _, c := range contests {
		fmt.Fprintln(os.Stderr, c.name)
		ours, theirs, err := b.hold(ctx, c)
		if err != nil {
			return "", fmt.Errorf("%s: %w", c.name, err)
		}
		out.WriteString(c.row(ours, theirs))
		if c.limit {
			least += ours.CPU
		} else if c.name == toolchain {
			whole = ours.CPU
		}
	}
	fmt.Fprintf(&out, "\nLoad %s at the end.\n\n", load())
	if only == "" {
		fmt.Fprintf(&out, "Reading, hashing and writing alone take %s of processor time, the whole build of the toolchain %s, %.2f times that.\n\n",
			ms(least), ms(whole), ratio(whole, least))
	}
	out.WriteString(b.commands(contests))
	return out.String(), nil
}

// gather returns all contests, but prepares only those of the runtime, or of base
// images, where only they are asked for.
func (b *bench) gather(ctx context.Context, only string) ([]contest, error) {
	if strings.HasPrefix(only, customizing) {
		return b.bases(), b.prepareBases(ctx)
	}
	contests, err := b.mergeContests(ctx)
	if err != nil || strings.HasPrefix(only, merging) {
		return contests, err
	}
	others, err := b.contests(ctx)
	return append(others, contests...), err
}

// commands lists what was run.
func (b *bench) commands(contests []contest) string {
	var out strings.Builder
	for _, c := range contests {
		fmt.Fprintf(&out, "%s:\n\n    %s\n", c.name, b.show(c.ours.command))
		if c.theirs.command != nil {
			fmt.Fprintf(&out, "    %s\n", b.show(c.theirs.command))
		}
		fmt.Fprintln(&out)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// show returns a command as one could type it.
func (b *bench) show(command []string) string {
	var words []string
	for _, w := range command {
		for _, dir := range []string{b.dir, b.disk} {
			w = strings.ReplaceAll(strings.ReplaceAll(w, "cd "+dir+" && ", ""), dir+"/", "")
		}
		if strings.ContainsAny(w, " ;&") {
			w = "'" + w + "'"
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// A contest of commands that take milliseconds is held more often, as one run of
// them says little: for so long, up to so many times as often as the others.
const (
	quick    = 5 * time.Second
	muchMore = 9
)

// hold runs the two sides in turn and returns the medians.
func (b *bench) hold(ctx context.Context, c contest) (ours, theirs usage, err error) {
	var a, o []usage
	start := time.Now()
	for i := 0; i <= b.runs || i <= muchMore*b.runs && time.Since(start) < quick; i++ {
		u, err := b.run(ctx, c.ours)
		if err != nil {
			return usage{}, usage{}, fmt.Errorf("sextant: %w", err)
		}
		a = append(a, u)
		if c.theirs.command == nil {
			continue
		}
		if u, err = b.run(ctx, c.theirs); err != nil {
			return usage{}, usage{}, fmt.Errorf("%s: %w", c.theirs.name, err)
		}
		o = append(o, u)
	}
	if err := errors.Join(c.ours.clear(), c.theirs.clear()); err != nil {
		return usage{}, usage{}, err
	}
	syscall.Sync() // or the disk is busy with it while the next contest is held
	if o == nil {
		return middle(a[1:]), usage{}, nil
	}
	return middle(a[1:]), middle(o[1:]), nil
}

// clear removes what a job has made. Gigabytes in memory that are left there make
// those slow that come after.
func (j job) clear() error {
	for _, path := range j.outputs {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// row is the contest's row of the table.
func (c contest) row(ours, theirs usage) string {
	row := fmt.Sprintf("| %s | %s | %s |", c.name, c.goal, ours)
	if c.theirs.command == nil {
		return row + " | | | |\n"
	}
	return row + fmt.Sprintf(" %s: %s | %.2f× | %.2f× | %.2f× |\n", c.theirs.name, theirs,
		ratio(theirs.Wall, ours.Wall), ratio(theirs.CPU, ours.CPU), ratio(theirs.Peak, ours.Peak))
}

// String returns wall clock, processor time and peak memory.
func (u usage) String() string {
	return fmt.Sprintf("%s, %s, %d MiB", ms(u.Wall), ms(u.CPU), u.Peak>>20)
}

// run runs one side once.
func (b *bench) run(ctx context.Context, j job) (u usage, err error) {
	if err := j.clear(); err != nil {
		return u, err
	}
	result := filepath.Join(b.dir, "result")
	args := append([]string{"tool", cmp.Or(j.tool, "time"), result}, j.command...)
	cmd := exec.CommandContext(ctx, b.self, args...)
	if j.inSid {
		binds := []rootfs.Bind{{Host: b.dir, Guest: b.dir}, {Host: b.bin, Guest: b.bin}}
		if j.onDisk {
			binds = append(binds, rootfs.Bind{Host: b.disk, Guest: "/var/tmp"})
		}
		cmd = b.sid.Command(ctx, binds, b.self, args...)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return u, fmt.Errorf("%w\n%s", err, out)
	}
	text, err := os.ReadFile(result)
	if err != nil {
		return u, err
	}
	return u, json.Unmarshal(text, &u)
}

// middle returns the median of each figure.
func middle(list []usage) (m usage) {
	m.Wall = median(list, func(u usage) time.Duration { return u.Wall })
	m.CPU = median(list, func(u usage) time.Duration { return u.CPU })
	m.Peak = median(list, func(u usage) int64 { return u.Peak })
	return m
}

func median[T time.Duration | int64](list []usage, of func(usage) T) T {
	var values []T
	for _, u := range list {
		values = append(values, of(u))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func ratio[T time.Duration | int64](theirs, ours T) float64 {
	return float64(theirs) / float64(max(ours, 1))
}

// ms returns milliseconds, with a digit behind the point where there are few.
func ms(d time.Duration) string {
	if d < 20*time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
