package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sextant/internal/cli"
	"sextant/internal/imagetest"
	"sextant/internal/imagetest/disk"
)

// cutter cuts a file as soon as something is written to it.
type cutter struct {
	bytes.Buffer
	path string
}

func (c *cutter) Write(p []byte) (int, error) {
	if err := os.Truncate(c.path, 1<<20+64<<10); err != nil {
		return 0, err
	}
	return c.Buffer.Write(p)
}

// TestShrinks cuts an image while a verb prints what is in it.
func TestShrinks(t *testing.T) {
	b := disk.Content("tool")
	for _, name := range []string{"a", "b", "c"} {
		b.Content("usr/share/"+name, 0o644, imagetest.Noise{Seed: 5, Length: 3 << 20})
	}
	m := disk.Recipe{Files: b.Tree, NoHash: true}.Make(t)
	for _, args := range [][]string{
		{"cat", "tool.raw", "usr/share/a", "usr/share/c"}, {"extract", "--tar=-", "tool.raw"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "tool.raw")
		if err := os.WriteFile(path, m.Bytes, 0o644); err != nil {
			t.Fatal(err)
		}
		var errs bytes.Buffer
		env := cli.Env{Stdin: strings.NewReader(""), Stdout: &cutter{path: path}, Stderr: &errs, Dir: dir, Now: time.Now}
		status := cli.Main(context.Background(), env, args)
		if status == 0 || !strings.Contains(errs.String(), "it became shorter") {
			t.Errorf("sextant %s: exit status %d, %s", strings.Join(args, " "), status, errs.String())
		}
	}
}
