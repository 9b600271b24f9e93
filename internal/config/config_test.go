package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/config"
	"sextant/internal/dps"
	"sextant/internal/extension"
)

// tree writes files ("-- name --" lines begin one, as in txtar) below a new
// directory and returns it.
func tree(t *testing.T, files string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var f *os.File
	for line := range strings.Lines(files) {
		if name, ok := strings.CutPrefix(line, "-- "); ok {
			path := filepath.Join(dir, strings.TrimSuffix(strings.TrimSpace(name), " --"))
			if strings.HasSuffix(strings.TrimSpace(name), "/ --") {
				path += "/.keep"
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if f, err = os.Create(path); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			continue
		}
		if _, err := f.WriteString(line); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func load(t *testing.T, dir string, flags ...string) (*config.Config, error) {
	t.Helper()
	src := config.Source{Dir: dir, Environ: map[string]string{"HOME": "/home/me"}, Host: config.Host{Architecture: "x86-64"}}
	for _, f := range flags {
		name, value, _ := strings.Cut(f, "=")
		src.Flags = append(src.Flags, config.Flag{Name: name, Value: value})
	}
	return config.Load(src)
}

func mustLoad(t *testing.T, dir string, flags ...string) *config.Config {
	t.Helper()
	c, err := load(t, dir, flags...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// seedConf is the example of the document that the project implements.
const seedConf = `-- mkosi.conf --
[Output]
Format=sysext
ImageId=custom-tools
ImageVersion=1.0.0
OutputDirectory=mkosi.output

[Validation]
Verity=signed
VerityKey=verity_key.pem
VerityCertificate=verity_cert.crt

[Content]
ExtraTrees=/path/to/custom-tool:/usr/bin/custom-tool,/path/to/tool-config:/usr/lib/custom-tool/config
`

func TestLoadSeedExample(t *testing.T) {
	dir := tree(t, seedConf)
	c := mustLoad(t, dir)
	if c.Format != extension.Sysext {
		t.Errorf("Format = %v, want sysext", c.Format)
	}
	want := map[string]any{
		"ImageID": "custom-tools", "ImageVersion": "1.0.0", "Output": "custom-tools_1.0.0", "OutputExtension": "raw",
		"OutputDirectory": dir + "/mkosi.output", "Verity": config.VeritySigned,
		"VerityKey": dir + "/verity_key.pem", "VerityCertificate": dir + "/verity_cert.crt",
		"ExtraTrees": []config.Tree{
			{Source: "/path/to/custom-tool", Target: "/usr/bin/custom-tool"},
			{Source: "/path/to/tool-config", Target: "/usr/lib/custom-tool/config"},
		},
		"Architecture": dps.X86_64, "SourceDateEpoch": time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC), "Seed": config.Seed{},
	}
	got := map[string]any{
		"ImageID": c.ImageID, "ImageVersion": c.ImageVersion, "Output": c.Output, "OutputExtension": c.OutputExtension,
		"OutputDirectory": c.OutputDirectory, "Verity": c.Verity,
		"VerityKey": c.VerityKey, "VerityCertificate": c.VerityCertificate, "ExtraTrees": c.ExtraTrees,
		"Architecture": c.Architecture, "SourceDateEpoch": c.SourceDateEpoch, "Seed": c.Seed,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("Load warns: %v", c.Warnings)
	}
	if from := c.Origin("ImageVersion").String(); from != "mkosi.conf:4" {
		t.Errorf("Origin(ImageVersion) = %s, want mkosi.conf:4", from)
	}
	c.Summary(os.Stdout)
}
