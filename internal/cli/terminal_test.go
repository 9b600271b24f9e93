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

// TestNoEscapes: what an image has in its names and texts never gets to the
// terminal as it is.
func TestNoEscapes(t *testing.T) {
	const evil = "a\x1b[2Jb\nc\td\xff"
	b := imagetest.NewBuilder()
	for _, name := range []string{evil, "usr/bin/" + evil, "usr/lib/extension-release.d/extension-release." + evil} {
		b.File(name, 0o644, "ID="+evil[:6]+"\nSYSEXT_SCOPE="+evil[:6]+"\n")
	}
	b.Symlink("usr/bin/link", evil)
	m := disk.Recipe{Files: b.Tree}.Make(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tool.raw"), m.Bytes, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"verify tool.raw", "inspect --files tool.raw", "inspect --bytes tool.raw", "ls tool.raw", "ls -l tool.raw", "mtree tool.raw", "diff tool.raw empty",
		"extract -C out tool.raw", "extract -C out tool.raw", "cat tool.raw " + evil + "/x",
		"verify --json tool.raw", "inspect --json --files tool.raw", "ls --json tool.raw", "diff --json tool.raw empty",
	} {
		var out bytes.Buffer
		env := cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Dir: dir, Now: time.Now}
		cli.Main(context.Background(), env, strings.SplitN(args, " ", 1+strings.Count(strings.SplitN(args, evil, 2)[0], " ")))
		for _, c := range out.Bytes() {
			if c < ' ' && c != '\n' || c == 0x7f || c == 0xff {
				t.Errorf("sextant %q prints %q", args, out.String())
				break
			}
		}
		if !strings.Contains(out.String(), "2Jb") && !strings.HasPrefix(args, "extract") {
			t.Errorf("sextant %q prints nothing of the name: %q", args, out.String())
		}
	}
}
