package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program builds the program.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sextant")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "sextant/cmd/sextant")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// TestStart wants no code of ours to run before main. A package variable that
// the compiler cannot lay out costs every start page faults for the code and for
// what it fills, of which a merge of one directory, two starts in 6 ms, has
// no time to spare. fault.Corrupt and errors.New of a constant cost nothing.
func TestStart(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), program(t), "version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace strings.Builder
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(trace.String(), "init runtime @") {
		t.Fatalf("the Go runtime does not tell which packages it initialises:\n%s", &trace)
	}
	for line := range strings.Lines(trace.String()) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "init "), " ")
		if strings.HasPrefix(name, "sextant/") {
			t.Errorf("%s has a package variable that is computed at each start: %s", name, line)
		}
	}
}
