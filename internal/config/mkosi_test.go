package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/config"
	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

// TestCasesWithMkosi has mkosi 27.1 read the cases and compares every setting
// that works here.
func TestCasesWithMkosi(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Require(t, "unshare")
	sid := rootfs.Require(t, rootfs.Sid())
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var list []testCase
	for _, c := range cases(t) {
		if strings.HasPrefix(c.head["mkosi"], "differs:") {
			continue
		}
		list = append(list, c)
		c.write(t, filepath.Join(dir, c.name, "c"))
		writeScript(t, filepath.Join(dir, c.name, "run"), c)
	}
	const loop = `for dir in "$0"/*/; do (cd "$dir" && sh ./run >out 2>err </dev/null; echo $? >status); done`
	cmd := sid.Command(t.Context(), []rootfs.Bind{{Host: dir, Guest: dir}}, "sh", "-c", loop, dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mkosi: %v\n%s", err, out)
	}
	host := config.DetectHost(sid.Tree)
	for _, c := range list {
		t.Run(c.name, func(t *testing.T) { compare(t, c, filepath.Join(dir, c.name), host) })
	}
}

// writeScript writes the call of mkosi for a case.
func writeScript(t *testing.T, path string, c testCase) {
	t.Helper()
	command := "cd c && exec env HOME=/home/me " + c.head["env"] + " mkosi " + c.head["flags"] + " --json summary\n"
	if err := os.WriteFile(path, []byte(command), 0o644); err != nil {
		t.Fatal(err)
	}
}

func compare(t *testing.T, c testCase, dir string, host config.Host) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	mine, err := config.Load(c.source(filepath.Join(dir, "c"), host))
	taken := strings.TrimSpace(read("status")) == "0"
	if want := c.head["mkosi"] != "refuses"; taken != want || (err == nil) != want {
		t.Fatalf("mkosi takes it: %v, Load: %v, want %v\n%s", taken, err, want, read("err"))
	}
	if !taken {
		return
	}
	var summary struct{ Images []map[string]any }
	decoder := json.NewDecoder(strings.NewReader(strings.TrimLeft(read("out"), "\x1e")))
	decoder.UseNumber()
	if err := decoder.Decode(&summary); err != nil || len(summary.Images) != 1 {
		t.Fatalf("mkosi's summary: %v, %d images", err, len(summary.Images))
	}
	theirs := summary.Images[0]
	for name, value := range settings(mine) {
		if diff := cmp.Diff(flatten(theirs[name]), value); diff != "" {
			t.Errorf("%s (-mkosi +Load):\n%s", name, diff)
		}
	}
}

// settings gives the Config in the words of mkosi's summary. Left out is what
// is meant to differ: a seed that nobody gave (mkosi draws one), a time that
// nobody gave (mkosi has none), and names of artifacts that no extension has.
func settings(c *config.Config) map[string]string {
	var trees []string
	for _, e := range c.ExtraTrees {
		trees = append(trees, e.Source+":"+e.Target)
	}
	definitions := c.Definitions
	if k := c.Origin("RepartDirectories"); strings.HasSuffix(k.String(), "sysext.repart.d") {
		definitions = nil // mkosi does not read it
	}
	m := map[string]string{
		"Format": c.Format.String(), "ImageId": c.ImageID, "ImageVersion": c.ImageVersion, "Output": c.Output,
		"OutputExtension": c.OutputExtension, "CompressOutput": string(c.CompressOutput), "CompressLevel": fmt.Sprint(c.CompressLevel),
		"ManifestFormat": flatten(c.ManifestFormats), "RepartDirectories": flatten(definitions), "ExtraTrees": flatten(trees),
		"RemoveFiles": flatten(c.RemoveFiles), "Verity": string(c.Verity), "VerityKey": c.VerityKey, "VerityCertificate": c.VerityCertificate,
		"VerityKeySource": c.VerityKeySource + ":", "VerityCertificateSource": c.VerityCertificateSource + ":",
		"Checksum": fmt.Sprint(c.Checksum), "Distribution": c.Distribution, "Release": c.Release, "Architecture": string(c.Architecture),
		"MinimumVersion": c.MinimumVersion,
	}
	if c.Origin("OutputDirectory").Kind != config.FromDefault {
		m["OutputDirectory"] = c.OutputDirectory
	}
	if c.SectorSize != 0 {
		m["SectorSize"] = fmt.Sprint(c.SectorSize)
	}
	if c.Seed.Given && !c.Seed.Random {
		m["Seed"] = c.Seed.String()
	}
	if len(c.SplitArtifacts) > 0 && c.SplitArtifacts[0] == config.ArtifactRoothash {
		m["SplitArtifacts"] = flatten(c.SplitArtifacts)
	}
	if c.Origin("SourceDateEpoch").Kind != config.FromDefault {
		m["SourceDateEpoch"] = fmt.Sprint(c.SourceDateEpoch.Unix())
	}
	var environment []string
	for _, r := range c.Settings() {
		for _, v := range r.Values {
			if r.Name == "Environment" && v.Text != "" {
				environment = append(environment, v.Text)
			}
			if r.Name == "EnvironmentFiles" {
				m["EnvironmentFiles"] = flatten([]string{v.Text})
			}
		}
	}
	slices.Sort(environment)
	m["Environment"] = strings.Join(environment, "\n")
	return m
}

// flatten writes a value, of JSON or ours, as a text with lines.
func flatten(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case json.Number, bool, string:
		return fmt.Sprint(v)
	case []any:
		var lines []string
		for _, e := range v {
			lines = append(lines, flatten(e))
		}
		return strings.Join(lines, "\n")
	case map[string]any:
		for _, pair := range [][2]string{{"Type", "Source"}, {"Source", "Target"}} {
			if first, ok := v[pair[0]]; ok {
				return flatten(first) + ":" + flatten(v[pair[1]])
			}
		}
		var lines []string
		for name, value := range v { // Environment
			lines = append(lines, name+"="+flatten(value))
		}
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	var list []any
	if err := json.Unmarshal(text, &list); err != nil {
		return err.Error()
	}
	return flatten(list)
}
