package vmtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"sextant/internal/vmtest/guest"
	"sextant/internal/vmtest/rootfs"
)

// Result is what a run brought back.
type Result struct {
	Status         int    // exit status; 128 + signal, 124 when the time was over
	Stdout, Stderr string // of the script or program
	Journal        string // of this boot, only where Status is not 0
	Console        string // what the machine printed
	Dir            string // directory with the files left in $RESULTS
}

// errNoResult says that the machine is off and the script has not run.
var errNoResult = errors.New("powered off without a result: the system did not come up, or the kernel panicked")

// readResult unpacks the output disk below dir. An output disk that is still
// all zeros is an empty archive.
func readResult(disk, dir, console string) (*Result, error) {
	f, err := os.Open(disk)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := guest.Unpack(f, dir); err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	texts := map[string]string{}
	for _, name := range []string{guest.StatusName, guest.StdoutName, guest.StderrName, guest.JournalName} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errNoResult
		}
		if err != nil {
			return nil, fmt.Errorf("read results: %w", err)
		}
		texts[name] = string(content)
	}
	status, err := strconv.Atoi(texts[guest.StatusName])
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	printed, err := os.ReadFile(console)
	if err != nil {
		return nil, err
	}
	return &Result{
		Status: status, Stdout: texts[guest.StdoutName], Stderr: texts[guest.StderrName],
		Journal: texts[guest.JournalName], Console: string(printed), Dir: filepath.Join(dir, guest.ResultsName),
	}, nil
}

// consoleLog returns the file for the console of the current run.
func (vm *VM) consoleLog() string {
	vm.t.Helper()
	dir := os.Getenv("SEXTANT_TEST_ARTIFACTS")
	if dir == "" {
		cache, err := rootfs.CacheDir()
		vm.check("find place for console log", err)
		dir = filepath.Join(cache, "logs")
	}
	dir, err := filepath.Abs(dir)
	vm.check("find place for console log", err)
	vm.check("find place for console log", os.MkdirAll(dir, 0o755))
	name := regexp.MustCompile(`[^A-Za-z0-9_.-]+`).ReplaceAllString(vm.t.Name(), "_")
	return filepath.Join(dir, fmt.Sprintf("%s-%s-%d-%d.log", name, vm.root.Release, vm.runs, os.Getpid()))
}

// keepOrRemove returns what to do with a console log when the test is over.
func (vm *VM) keepOrRemove(log string) func() {
	return func() {
		if !vm.t.Failed() {
			os.Remove(log)
			return
		}
		if _, err := os.Stat(log); err == nil {
			vm.t.Logf("console log: %s", log)
		}
	}
}

// lastWords names a console log and returns its last lines.
func lastWords(log string) string {
	content, err := os.ReadFile(log)
	if err != nil {
		return "no console log: it did not get as far as to start"
	}
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(content), "\r", "")), "\n")
	return "console log: " + log + "\n" + strings.Join(lines[max(0, len(lines)-20):], "\n")
}
