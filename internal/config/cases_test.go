package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/config"
	"sextant/internal/golden"
)

// testCase is a file of testdata/cases:
//
//	what it is about
//	flags: --image-id=x          the command line
//	env: NAME=value              our own environment
//	mkosi: refuses               mkosi does not take it either
//	mkosi: differs: because      not compared with mkosi
//	-- mkosi.conf --             files; " (executable)" and " -> target" too
//	...
//	-- want --                   the settings that are not the default, warnings
type testCase struct {
	name  string
	head  map[string]string
	files []testFile
	text  string // without what is wanted
	want  string
}

type testFile struct {
	path, content, target string
	mode                  os.FileMode
}

func cases(t *testing.T) []testCase {
	t.Helper()
	paths, err := filepath.Glob("testdata/cases/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	var list []testCase
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, parseCase(strings.TrimSuffix(filepath.Base(p), ".txt"), string(text)))
	}
	return list
}

func parseCase(name, text string) testCase {
	c := testCase{name: name, head: map[string]string{}}
	c.text, c.want, _ = strings.Cut(text, "-- want --\n")
	for i, part := range strings.Split("\n"+c.text, "\n-- ") {
		if i == 0 {
			for line := range strings.Lines(part) {
				key, value, _ := strings.Cut(line, ":")
				c.head[key] = strings.TrimSpace(value)
			}
			continue
		}
		path, content, _ := strings.Cut(part, " --")
		f := testFile{path: path, content: strings.TrimPrefix(content, "\n"), mode: 0o640}
		if f.content != "" {
			f.content = strings.TrimSuffix(f.content, "\n") + "\n"
		}
		f.path, f.target, _ = strings.Cut(f.path, " -> ")
		if p, ok := strings.CutSuffix(f.path, " (executable)"); ok {
			f.path, f.mode = p, 0o750
		}
		c.files = append(c.files, f)
	}
	return c
}

// write puts the files of the case below dir.
func (c testCase) write(t *testing.T, dir string) {
	t.Helper()
	for _, f := range c.files {
		path := filepath.Join(dir, f.path)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil && f.target != "" {
			err = os.Symlink(f.target, path)
		} else if err == nil {
			err = os.WriteFile(path, []byte(f.content), f.mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// source describes the case in dir to Load.
func (c testCase) source(dir string, host config.Host) config.Source {
	src := config.Source{Dir: dir, Environ: map[string]string{"HOME": "/home/me"}, Host: host}
	for _, f := range strings.Fields(c.head["flags"]) {
		name, value, _ := strings.Cut(f, "=")
		src.Flags = append(src.Flags, config.Flag{Name: name, Value: value})
	}
	for _, v := range strings.Fields(c.head["env"]) {
		name, value, _ := strings.Cut(v, "=")
		src.Environ[name] = value
	}
	return src
}

// outcome writes what Load made of a case, with DIR for the directory.
func outcome(c *config.Config, err error, dir string) string {
	var b strings.Builder
	if err != nil {
		fmt.Fprintf(&b, "error: %v\n", err)
		writeHint(&b, err)
	} else {
		for _, r := range c.Settings() {
			for _, v := range r.Values {
				if k := v.From.Kind; k != config.FromDefault && k != config.FromHost || r.Name == "Output" || r.Name == "OutputDirectory" {
					fmt.Fprintf(&b, "%s=%s (%s)\n", r.Name, v.Text, v.From)
				}
			}
		}
		for _, w := range c.Warnings {
			fmt.Fprintf(&b, "warning: %v\n", w)
			writeHint(&b, w)
		}
	}
	return strings.ReplaceAll(b.String(), dir, "DIR")
}

func writeHint(b *strings.Builder, err error) {
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		fmt.Fprintf(b, "hint: %s\n", h.Hint())
	}
}

func TestCases(t *testing.T) {
	host := config.Host{Distribution: "debian", Release: "sid", Architecture: "x86-64"}
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			c.write(t, dir)
			loaded, err := config.Load(c.source(dir, host))
			if (err == nil) != (loaded != nil) {
				t.Fatalf("Load = %v, %v", loaded, err)
			}
			got := outcome(loaded, err, dir)
			if golden.Update() {
				if err := os.WriteFile("testdata/cases/"+c.name+".txt", []byte(c.text+"-- want --\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("Load (-want +got):\n%s", diff)
			}
		})
	}
}
