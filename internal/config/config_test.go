package config_test

import (
	"encoding/json"
	"io"
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
}

func TestSummary(t *testing.T) {
	dir := tree(t, seedConf)
	c := mustLoad(t, dir, "--signer=sign it", "--image-version=")
	var b strings.Builder
	if err := c.Summary(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"[Output]\nFormat=sysext", "mkosi.conf:3\nImageVersion=", "--image-version\nOutput=custom-tools",
		"default: derived from Format= and ImageId=\n", "default: built-in definitions\n", "Architecture=x86-64   this machine\n",
		"Signer=sign it            --signer\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("Summary has no %q:\n%s", want, b.String())
		}
	}
	text, err := json.Marshal(c.Settings()[3])
	if want := `{"section":"Output","name":"ImageId","values":[{"text":"custom-tools","from":"mkosi.conf:3"}]}`; err != nil || string(text) != want {
		t.Errorf("Marshal = %s, %v, want %s", text, err, want)
	}
}

func TestVerityInForce(t *testing.T) {
	dir := tree(t, "-- mkosi.conf --\n[Output]\nFormat=sysext\n-- k --\n-- c --\n")
	for _, c := range []struct {
		flags []string
		want  config.Verity
	}{
		{nil, config.VerityDisabled},
		{[]string{"--verity-key=k"}, config.VerityDisabled},
		{[]string{"--verity-certificate=c"}, config.VerityDisabled},
		{[]string{"--verity-key=k", "--verity-certificate=c"}, config.VeritySigned},
		{[]string{"--signer=x", "--verity-certificate=c"}, config.VeritySigned},
		{[]string{"--verity=yes", "--signer=x", "--verity-certificate=c"}, config.VeritySigned},
		{[]string{"--verity-key=k", "--verity-certificate=c", "--verity=no"}, config.VerityDisabled},
		{[]string{"--verity-key=k", "--verity-certificate=c", "--verity=hash"}, config.VerityHash},
		{[]string{"--verity=defer"}, config.VerityDefer},
	} {
		if got := mustLoad(t, dir, c.flags...).VerityInForce(); got != c.want {
			t.Errorf("VerityInForce with %q = %s, want %s", c.flags, got, c.want)
		}
	}
}

func TestOpenKeyIsAWarning(t *testing.T) {
	dir := tree(t, "-- mkosi.conf --\n[Output]\nFormat=sysext\n[Validation]\nVerity=hash\nVerityKey=k\n-- k --\n")
	for mode, want := range map[os.FileMode]int{0o600: 0, 0o640: 0, 0o644: 1, 0o604: 1} {
		if err := os.Chmod(filepath.Join(dir, "k"), mode); err != nil {
			t.Fatal(err)
		}
		if got := mustLoad(t, dir).Warnings; len(got) != want {
			t.Errorf("a key of mode %04o: %d warnings (%v), want %d", mode, len(got), got, want)
		} else if want == 1 && got[0].At.String() != "mkosi.conf:5" {
			t.Errorf("warning at %s, want mkosi.conf:5", got[0].At)
		}
	}
}

// TestWorkDir reads a directory from outside: flags are relative to the working
// directory, the configuration to itself.
func TestWorkDir(t *testing.T) {
	work := tree(t, "-- sub/mkosi.conf --\n[Output]\nFormat=sysext\n[Content]\nExtraTrees=in-file\n-- other/x --\n")
	c, err := config.Load(config.Source{
		Dir: filepath.Join(work, "sub"), WorkDir: work,
		Flags: []config.Flag{{Name: "--extra-tree", Value: "in-flag"}, {Name: "--repart-directory", Value: "other"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.ExtraTrees[0].Source, c.ExtraTrees[1].Source, c.Definitions[0], c.OutputDirectory, c.Origin("Format").String(), c.PathName(c.Dir)}
	want := []string{work + "/sub/in-file", work + "/in-flag", work + "/other", work, "sub/mkosi.conf:2", "sub"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
}

// TestSymlinks reads a configuration through links: ".." of a linked directory
// is where the directory really is.
func TestSymlinks(t *testing.T) {
	dir := tree(t, "-- real/deep/mkosi.conf --\n[Output]\nFormat=sysext\n[Content]\nExtraTrees=../a,link/../b,%C/c\n-- elsewhere/x --\n-- elsewhere/far/x --\n-- elsewhere/b --\n")
	for link, target := range map[string]string{"short": "real/deep", "real/deep/link": "../../elsewhere/far"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	c := mustLoad(t, filepath.Join(dir, "short"))
	want := []config.Tree{{Source: dir + "/real/a"}, {Source: dir + "/elsewhere/b"}, {Source: dir + "/real/deep/c"}}
	if diff := cmp.Diff(want, c.ExtraTrees); diff != "" {
		t.Errorf("ExtraTrees (-want +got):\n%s", diff)
	}
}

func TestLoadWithoutDirectory(t *testing.T) {
	dir := tree(t, "-- file --\n")
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): filepath.Join(dir, "none") + ": no such file or directory",
		filepath.Join(dir, "file"): filepath.Join(dir, "file") + ": not a directory",
	} {
		if _, err := config.Load(config.Source{Dir: path}); err == nil || err.Error() != want {
			t.Errorf("Load(%s) = %v, want %s", path, err, want)
		}
	}
	if _, err := load(t, dir, "--nonsense=1"); err == nil || err.Error() != "--nonsense is not a setting" {
		t.Errorf("Load with --nonsense = %v", err)
	}
	if c := mustLoad(t, dir, "--format=confext"); c.Format != extension.Confext || c.Output != "image" {
		t.Errorf("Load without files = %v %s", c.Format, c.Output)
	}
}

func TestDetectHost(t *testing.T) {
	for _, c := range []struct{ release, name, version string }{
		{"ID=debian\nVERSION_ID=13\nVERSION_CODENAME=trixie\n", "debian", "trixie"},
		{"ID=debian\n", "debian", "testing"},
		{"ID=azurelinux\nVERSION_ID=\"3.0\"\n", "azure", "3.0"},
		{"ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=22\nVERSION_CODENAME=wilma\n", "ubuntu", "wilma"},
		{"ID=fedora\nVERSION_ID=42\nVERSION_CODENAME=x\n", "fedora", "42"},
		{"ID=opensuse-tumbleweed\nID_LIKE=\"opensuse suse\"\nVERSION_ID=20260101\n", "opensuse", "tumbleweed"},
		{"ID=nixos\nVERSION_ID=26.05\n", "", "26.05"},
		{"", "", ""},
	} {
		dir := tree(t, "-- usr/lib/os-release --\n"+c.release)
		h := config.DetectHost(dir)
		if h.Distribution != c.name || h.Release != c.version || h.Architecture != dps.Native() {
			t.Errorf("DetectHost(%q) = %v, want %s %s", c.release, h, c.name, c.version)
		}
	}
	if h := config.DetectHost(t.TempDir()); h.Distribution != "" || h.Architecture != dps.Native() {
		t.Errorf("DetectHost of nothing = %v", h)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("[Output]\nFormat=sysext\nImageId=%d-%v%%\n[Match]\nImageVersion=|!>=1\nEnvironment=A=b\n", "1.0", "--extra-tree", "a:/b")
	f.Add("[Build]\nEnvironment='a b'=\"c\\\"\" $X\n[Include]\nInclude=.,mkosi.version\n[Content]\nExtraTrees=~/x,${HOME}/y:/z\n", "", "--seed", "random")
	f.Add("[Config]\nMinimumVersion=1\n[X-Sextant]\nPreserveXattrs=all\n[Validation]\nVerity=yes\n", "#!/", "--verity", "hash")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, conf, version, flag, value string) {
		for name, text := range map[string]string{"mkosi.conf": conf, "mkosi.version": version} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		c, err := config.Load(config.Source{Dir: dir, Flags: []config.Flag{{Name: "--format", Value: "sysext"}, {Name: flag, Value: value}}})
		if (err == nil) != (c != nil) {
			t.Fatalf("Load = %v, %v", c, err)
		}
		if err != nil {
			return
		}
		if err := c.Summary(io.Discard); err != nil {
			t.Error(err)
		}
		if c.Output == "" || strings.Contains(c.Output, "/") || !filepath.IsAbs(c.OutputDirectory) {
			t.Errorf("Output %q in %q", c.Output, c.OutputDirectory)
		}
		for _, e := range c.ExtraTrees {
			if !filepath.IsAbs(e.Source) || e.Target != "" && e.Target != filepath.Clean(e.Target) {
				t.Errorf("ExtraTrees=%v", e)
			}
		}
	})
}

// TestLoadTakesTimeInProportion keeps large files from taking long.
func TestLoadTakesTimeInProportion(t *testing.T) {
	for _, line := range []string{"ExtraTrees=a\n", "Unknown=1\n", " a\n", "[Contents]\n", "RemoveFiles=%i\n", "[Match]\nImageId=*\n", "ToolsTree=x\n"} {
		text := "[Output]\nFormat=sysext\n[Content]\nExtraTrees=a\n"
		text += strings.Repeat(line, (1<<20-len(text))/len(line))
		dir := tree(t, "-- mkosi.conf --\n"+text)
		start := time.Now()
		c, err := load(t, dir)
		if err == nil && len(c.Warnings) > 101 {
			t.Errorf("%q: %d warnings", line, len(c.Warnings))
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%q: Load takes %v", line, d)
		}
		if err != nil && line != "[Match]\nImageId=*\n" {
			t.Errorf("%q: %v", line, err)
		}
	}
}
