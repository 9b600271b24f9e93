package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sextant/internal/cli"
	"sextant/internal/golden"
)

// run runs the program in dir, at a fixed time, and returns what it printed.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	env := cli.Env{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Dir: dir,
		Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	}
	if status := cli.Main(context.Background(), env, args); status != 0 {
		t.Fatalf("sextant %s: exit status %d\n%s", strings.Join(args, " "), status, errs.String())
	}
	return out.String()
}

// TestInspectGolden holds what inspect prints: its JSON is an interface. What
// comes from the new key of each run is left out.
func TestInspectGolden(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"tool": "#!/bin/sh\necho hello\n", "mkosi.conf": `[Output]
Format=sysext
ImageId=tools
ImageVersion=1.0
Seed=0e9a6fe0-68f6-408c-bbeb-136054d20445
[Distribution]
Architecture=x86-64
[Validation]
Verity=signed
VerityKey=verity_key.pem
VerityCertificate=verity_cert.crt
[Content]
SourceDateEpoch=1700000000
ExtraTrees=tool:/usr/bin/tool
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, "genkey", "--algorithm", "rsa:2048")
	run(t, dir, "build")
	fixed := regexp.MustCompile(`((?i:fingerprint"?:?|SHA-256|serial"?:?|serial number) +"?)[0-9a-f]{30,}`)
	for name, args := range map[string][]string{
		"inspect.golden": {"inspect", "--files", "tools_1.0.raw"}, "inspect.json.golden": {"inspect", "--files", "--json", "tools_1.0.raw"},
	} {
		golden.Compare(t, filepath.Join("testdata", name), fixed.ReplaceAllString(run(t, dir, args...), "${1}…"))
	}
}
