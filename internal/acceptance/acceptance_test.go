package acceptance_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sextant/internal/cli"
)

// sextant runs the program in dir and returns what it printed. It ends the
// test where the exit status is not 0.
func sextant(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, errs, status := run(t, dir, args...)
	if status != 0 {
		t.Fatalf("sextant %s: exit status %d\n%s%s", strings.Join(args, " "), status, out, errs)
	}
	return out
}

// run runs the program in dir.
func run(t testing.TB, dir string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	env := cli.Env{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Dir: dir, Environ: os.Environ(), Now: time.Now,
	}
	status = cli.Main(context.Background(), env, args)
	return out.String(), errs.String(), status
}

// example copies the example of the seed document into a new directory and
// makes its keys.
func example(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "examples", "custom-tools"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "custom-tool"), 0o755); err != nil {
		t.Fatal(err)
	}
	sextant(t, dir, "genkey", "--algorithm", "rsa:2048")
	return dir
}
