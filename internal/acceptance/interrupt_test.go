package acceptance_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sextant/internal/cli"
	"sextant/internal/testenv"
)

// TestMain lets the test binary be the program itself, so that it can be
// killed.
func TestMain(m *testing.M) {
	if os.Getenv("SEXTANT_MAIN") != "" {
		os.Exit(cli.Run())
	}
	os.Exit(m.Run())
}

// program returns the program as a command in dir.
func program(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SEXTANT_MAIN=1")
	return cmd
}

// bulky makes a configuration whose build takes long enough to be hit.
func bulky(t *testing.T) string {
	t.Helper()
	dir := example(t)
	for i := range 24 {
		content := bytes.Repeat([]byte(fmt.Sprintf("block %d\n", i)), 100_000)
		path := filepath.Join(dir, "mkosi.extra/usr/share/bulk", fmt.Sprint(i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// digests returns the SHA-256 of every file in a directory, links by their
// target.
func digests(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	sums := make(map[string]string)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if target, err := os.Readlink(path); err == nil {
			sums[e.Name()] = "-> " + target
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sums[e.Name()] = fmt.Sprintf("%x", sha256.Sum256(content))
	}
	return sums
}

// TestKilled kills and interrupts builds at many moments. Each time the image
// is the old one or the new one, whole, and nothing else lies around.
func TestKilled(t *testing.T) {
	dir := bulky(t)
	out := filepath.Join(dir, "mkosi.output")
	sextant(t, dir, "build")
	old := digests(t, out)

	if err := os.WriteFile(filepath.Join(dir, "tool-config"), []byte("GREETING=bye\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if out, err := program(dir, "build", "--force", "--output-directory=other").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	took := time.Since(start)
	changed := digests(t, filepath.Join(dir, "other"))

	const runs = 40
	ended := make(map[string]int)
	for i := range runs {
		signal := []syscall.Signal{syscall.SIGKILL, syscall.SIGINT}[i%2]
		delay := took * time.Duration(i) / (runs * 2 / 3)
		ended[killedBuild(t, dir, delay, signal)]++
		got := digests(t, out)
		switch {
		case equal(got, old):
		case equal(got, changed):
		default:
			t.Fatalf("after %v at %v the directory holds %v, want the old files %v or the new %v", signal, delay, got, old, changed)
		}
	}
	t.Logf("a build takes %v; runs ended by %v", took, ended)
}

// killedBuild starts a build, sends it a signal, and returns how it ended.
func killedBuild(t *testing.T, dir string, delay time.Duration, signal syscall.Signal) string {
	t.Helper()
	cmd := program(dir, "build", "--force")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(delay)
	cmd.Process.Signal(signal)
	cmd.Wait()
	return cmd.ProcessState.String()
}

func equal(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for name, sum := range a {
		if b[name] != sum {
			return false
		}
	}
	return true
}

// TestNoRoom builds onto a full disk, and onto one that is read-only. The
// image that was there stays, and nothing else comes.
func TestNoRoom(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Require(t, "unshare", "mount")
	dir := bulky(t)
	for name, c := range map[string]struct{ mount, want string }{
		"full":      {"mount -t tmpfs -o size=2m tmpfs mkosi.output", "no space left on device"},
		"read-only": {"mount -t tmpfs tmpfs mkosi.output; cp first mkosi.output/custom-tools_1.0.0.raw; mount -o remount,ro mkosi.output", "read-only file system"},
	} {
		t.Run(name, func(t *testing.T) {
			script := "mkdir -p mkosi.output; echo old >first; " + c.mount + `
				[ -e mkosi.output/custom-tools_1.0.0.raw ] || cp first mkosi.output/custom-tools_1.0.0.raw
				"$0" build --force; echo "status $?"
				ls -A mkosi.output; cat mkosi.output/custom-tools_1.0.0.raw`
			cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", script, os.Args[0])
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "SEXTANT_MAIN=1")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if !strings.Contains(string(out), c.want) || !strings.Contains(string(out), "sextant: cannot build custom-tools_1.0.0: ") {
				t.Errorf("build said\n%s\nwant %q", out, c.want)
			}
			tail := []string{"status 1", "custom-tools_1.0.0.raw", "old"}
			if len(lines) < 3 || !slices.Equal(lines[len(lines)-3:], tail) {
				t.Errorf("build left\n%s\nwant %v", out, tail)
			}
		})
	}
}
