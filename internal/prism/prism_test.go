package prism_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"sextant/internal/prism"
	"sextant/internal/testenv"
)

var update = flag.Bool("update", false, "rewrite golden files")

// seed is the config of the seed document, word for word.
const seed = `# config.yaml
os:
  additionalFiles:
  - source: custom-tools.raw
    destination: /var/lib/extensions/custom-tools.raw
  - source: verity_cert.crt
    destination: /etc/verity.d/verity_cert.crt

  services:
    enable:
    - systemd-sysext
`

func TestSeed(t *testing.T) {
	cfg, err := prism.Parse([]byte(seed), "config.yaml", "/prism")
	if err != nil {
		t.Fatal(err)
	}
	at := func(line, column int) prism.Pos { return prism.Pos{File: "config.yaml", Line: line, Column: column} }
	want := &prism.Config{Dir: "/prism", OS: prism.OS{
		AdditionalFiles: []prism.AdditionalFile{
			{
				Pos:         at(4, 5),
				Source:      prism.Text{Value: "custom-tools.raw", Pos: at(4, 13)},
				Destination: prism.Text{Value: "/var/lib/extensions/custom-tools.raw", Pos: at(5, 18)},
			},
			{
				Pos:         at(6, 5),
				Source:      prism.Text{Value: "verity_cert.crt", Pos: at(6, 13)},
				Destination: prism.Text{Value: "/etc/verity.d/verity_cert.crt", Pos: at(7, 18)},
			},
		},
		Services: prism.Services{Enable: []prism.Text{{Value: "systemd-sysext", Pos: at(11, 7)}}},
	}}
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Errorf("Parse(seed) (-want +got):\n%s", diff)
	}
}

// TestCases parses testdata/*.yaml and *.json. What comes out stands in a file
// beside each: the config as JSON without places, or the faults.
func TestCases(t *testing.T) {
	for _, path := range cases(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			var got bytes.Buffer
			cfg, err := prism.Load(path, path)
			if err != nil {
				writeFaults(&got, err)
			} else {
				writeValues(t, &got, cfg)
			}
			golden := strings.TrimSuffix(path, filepath.Ext(path)) + ".want"
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("Load(%s) (-want +got):\n%s", path, diff)
			}
		})
	}
}

func cases(t testing.TB) (paths []string) {
	t.Helper()
	for _, ext := range []string{"yaml", "json"} {
		found, err := filepath.Glob("testdata/*." + ext)
		if err != nil || len(found) == 0 {
			t.Fatalf("no test cases *.%s: %v", ext, err)
		}
		paths = append(paths, found...)
	}
	return paths
}

func writeFaults(w *bytes.Buffer, err error) {
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	for _, err := range list {
		w.WriteString(strings.ReplaceAll(err.Error(), "testdata/", "") + "\n")
		var f *prism.Fault
		if errors.As(err, &f) && f.Help != "" {
			w.WriteString("  hint: " + f.Help + "\n")
		}
	}
}

// writeValues prints what a config says. JSON leaves nothing out, so the zero
// values and the places are taken away.
func writeValues(t *testing.T, w *bytes.Buffer, cfg *prism.Config) {
	t.Helper()
	raw, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	delete(v, "Dir")
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	if err := out.Encode(plain(v)); err != nil {
		t.Fatal(err)
	}
}

// plain replaces each value that has a place by the value alone, and drops what
// was not given.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if value, ok := v["Value"]; ok {
			if v["Line"] == float64(0) {
				return nil
			}
			if _, nested := value.(map[string]any); !nested {
				return value
			}
		}
		delete(v, "Pos")
		m := map[string]any{}
		for name, child := range v {
			if p := plain(child); p != nil {
				m[name] = p
			}
		}
		if len(m) == 0 {
			return nil
		}
		return m
	case []any:
		var list []any
		for _, child := range v {
			list = append(list, plain(child))
		}
		return list
	}
	return v
}

// TestSchema keeps the file that editors use as the code makes it.
func TestSchema(t *testing.T) {
	const path = "../../docs/customize.schema.json"
	var got bytes.Buffer
	out := json.NewEncoder(&got)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	if err := out.Encode(prism.Schema()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got.Bytes()) {
		t.Errorf("%s is not what Schema returns; -update rewrites it", path)
	}
}

// TestSchemaByOthers lets another program validate the test cases by the schema:
// it takes what Load takes and refuses what Load refuses, but for keys that are
// refused only where they ask for something.
func TestSchemaByOthers(t *testing.T) {
	testenv.Require(t, "jsonschema")
	validate := func(instances ...string) ([]byte, error) {
		var args []string
		for _, name := range instances {
			args = append(args, "-i", name)
		}
		return exec.Command("jsonschema", append(args, "../../docs/customize.schema.json")...).CombinedOutput()
	}
	var good []string
	for _, path := range cases(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		// Of two documents the other program would see the first alone.
		if err := yaml.Unmarshal(text, &v); err != nil || v == nil || strings.Contains(path, "idle") || strings.Contains(path, "two") {
			continue
		}
		instance := filepath.Join(t.TempDir(), filepath.Base(path)+".json")
		raw, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(instance, raw, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := prism.Load(path, path); err == nil {
			good = append(good, instance)
		} else if out, theirs := validate(instance); theirs == nil {
			t.Errorf("%s: Load: %v, but the schema takes it\n%s", path, err, out)
		}
	}
	if out, err := validate(good...); err != nil || len(good) < 3 {
		t.Errorf("the schema refuses some of %q: %v\n%s", good, err, out)
	}
}

// TestDocumented keeps docs/customize.md complete.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/customize.md")
	if err != nil {
		t.Fatal(err)
	}
	properties := func(v any) map[string]any { return v.(map[string]any)["properties"].(map[string]any) }
	for key := range properties(properties(prism.Schema())["os"]) {
		if !strings.Contains(string(text), "`os."+key) {
			t.Errorf("docs/customize.md does not name os.%s", key)
		}
	}
}

// TestRefusedKeys wants each of the refused keys refused at its place, by what
// sextant does not do, and passed over where it asks for nothing.
func TestRefusedKeys(t *testing.T) {
	for _, r := range prism.Refused() {
		names := strings.Split(r[0], ".")
		for _, value := range []string{"{a: b}", "[a]", "a", "null", "{}", "[]"} {
			text, line := nest(names, value)
			_, err := prism.Parse([]byte(text), "c.yaml", "/")
			if asks := value == "{a: b}" || value == "[a]" || value == "a"; !asks {
				if err != nil && strings.Contains(err.Error(), r[1]) {
					t.Errorf("%s: refused, but asks for nothing: %v", text, err)
				}
				continue
			}
			if err == nil || !strings.Contains(err.Error(), r[0]+": "+r[1]) {
				t.Errorf("Parse(%q) = %v, want %q", text, err, r[1])
				continue
			}
			var f *prism.Fault
			if !errors.As(err, &f) || f.At.Line != line {
				t.Errorf("Parse(%q) = %v, want line %d", text, err, line)
			}
		}
	}
}

// nest writes a key inside those above it, and returns the line it is on.
func nest(names []string, value string) (text string, line int) {
	indent := ""
	for i, name := range names {
		name, list := strings.CutSuffix(name, "[]")
		if i == len(names)-1 {
			return text + indent + name + ": " + value + "\n", line + 1
		}
		text, line = text+indent+name+":\n", line+1
		indent += "  "
		if list {
			text, line, indent = text+indent+"-\n", line+1, indent+"  "
		}
	}
	return text, line
}

// TestMergeBomb wants bounded work for mappings that double with each line.
func TestMergeBomb(t *testing.T) {
	text := "os:\n  additionalFiles:\n  - &m0 {destination: /x, content: y}\n"
	for i := 1; i <= 30; i++ {
		text += fmt.Sprintf("  - &m%d {<<: [*m%d, *m%d]}\n", i, i-1, i-1)
	}
	_, err := prism.Parse([]byte(text), "c.yaml", "/")
	if err == nil || !strings.Contains(err.Error(), "are merged into each other") {
		t.Errorf("Parse(bomb) = %v, want that it is refused", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, path := range cases(f) {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("a: &a\n  <<: *a\n"))
	f.Add([]byte("os: &o\n  services: {enable: [*o]}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, err := prism.Parse(text, "c.yaml", "/")
		if (cfg == nil) != (err != nil) {
			t.Errorf("Parse = %v, %v", cfg, err)
		}
	})
}
