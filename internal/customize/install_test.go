package customize_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sextant/internal/customize"
	"sextant/internal/dps"
	"sextant/internal/imagetest"
	testdisk "sextant/internal/imagetest/disk"
	"sextant/internal/keys"
)

// sysext makes an image of an extension, in the root or the /usr partition.
func sysext(t *testing.T, name, id, version string, signer *testdisk.Pair, role dps.Designator) []byte {
	t.Helper()
	prefix := "usr/"
	if role == dps.Usr {
		prefix = ""
	}
	b := imagetest.NewBuilder()
	b.File(prefix+"bin/tool", 0o755, "#!/bin/sh\n")
	b.File(prefix+"lib/extension-release.d/extension-release."+name, 0o644, fmt.Sprintf("ID=_any\nSYSEXT_ID=%s\nSYSEXT_VERSION_ID=%s\n", id, version))
	r := testdisk.Recipe{Files: b.Tree, Role: role}
	if signer != nil {
		r.Signature = testdisk.SignedBy(t, *signer)
	}
	return r.Make(t).Bytes
}

// installBase makes a base with some release of systemd.
func installBase(t *testing.T, release int, more files) []byte {
	t.Helper()
	all := minimal(files{
		"etc/machine-id": "5e47a27000000000000000000000c0de\n", "etc/os-release": "ID=test\n",
		"usr/lib/systemd/systemd":                       fmt.Sprintf("\x00systemd %d (%d.1-1) running in %%ssystem mode (%%s)\x00", release, release),
		"usr/lib/systemd/system/systemd-sysext.service": "[Service]\nExecStart=systemd-sysext refresh\nExecReload=systemd-sysext refresh\nExecStop=systemd-sysext unmerge\n[Install]\nWantedBy=sysinit.target\n",
		"usr/lib/systemd/system/sysinit.target":         "[Unit]\n",
	})
	for name, text := range more {
		all[name] = text
	}
	return fileSystem(t, ext4, 16<<20, all)
}

func install(t *testing.T, base []byte, in customize.Install) (*customize.Plan, []byte, error) {
	t.Helper()
	b, err := open(t, base)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := customize.NewInstall(context.Background(), b, in)
	if err != nil {
		return nil, nil, err
	}
	out := memory(bytes.Clone(base))
	if err := plan.Apply(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	checkFS(t, out, b)
	return plan, out, nil
}

// names lists the paths of a listing.
func names(list []string) (short []string) {
	for _, line := range list {
		short = append(short, strings.Fields(line)[0])
	}
	return short
}

// TestInstall puts an image under the name of its release file, and replaces
// what is the same extension under any name.
func TestInstall(t *testing.T) {
	signer := testdisk.Generate(t, keys.ECDSAP256, "signer")
	dir := t.TempDir()
	image := filepath.Join(dir, "download-2.0.raw")
	for _, role := range []dps.Designator{dps.Root, dps.Usr} {
		if err := os.WriteFile(image, sysext(t, "tools", "tools", "2", &signer, role), 0o600); err != nil {
			t.Fatal(err)
		}
		base := installBase(t, 257, files{
			"var/lib/extensions/tools_1.raw":                                              string(sysext(t, "tools_1", "tools", "1", nil, dps.Root)),
			"var/lib/extensions/other.raw":                                                string(sysext(t, "other", "other", "1", nil, dps.Root)),
			"var/lib/extensions/broken.raw":                                               "rubbish",
			"etc/extensions/dir/usr/lib/extension-release.d/extension-release.dir":        "ID=_any\nSYSEXT_ID=tools\n",
			"etc/extensions/stranger/usr/lib/extension-release.d/extension-release.other": "ID=_any\n",
			"etc/verity.d/signer.crt":                                                     "another certificate",
		})
		plan, out, err := install(t, base, customize.Install{
			Images:       []string{image},
			Certificates: []customize.Certificate{{Name: "signer.crt", Certificate: signer.Certificate}},
		})
		if err != nil {
			t.Fatal(err)
		}
		got := names(listing(t, out, "var/lib/extensions", "etc/extensions", "etc/verity.d"))
		got = slices.DeleteFunc(got, func(n string) bool { return strings.Contains(n, "stranger/") })
		want := []string{
			"var/lib/extensions/broken.raw", "var/lib/extensions/other.raw", "var/lib/extensions/tools.raw",
			"etc/extensions/stranger", "etc/verity.d/signer-NEW.crt", "etc/verity.d/signer.crt",
		}
		got = strings.Split(regexp.MustCompile("signer-[0-9a-f]{8}").ReplaceAllString(strings.Join(got, " "), "signer-NEW"), " ")
		if !slices.Equal(got, want) {
			t.Errorf("%s: files %q", role, got)
		}
		want = []string{
			"replaces /etc/extensions/dir: sysext dir, hosts with ID=_any",
			"replaces /var/lib/extensions/tools_1.raw: sysext tools_1 1, hosts with ID=_any",
		}
		if !slices.Equal(plan.Notes[:2], want) || !strings.HasPrefix(plan.Notes[2], "/etc/verity.d/signer.crt is another certificate, so this one is signer-") {
			t.Errorf("%s: notes %q", role, plan.Notes)
		}
		list := listing(t, out, "etc/verity.d", "etc/systemd")
		text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signer.Certificate.Raw}))
		if !strings.HasSuffix(list[0], fmt.Sprintf(" 0644 0:0 %q", text)) {
			t.Errorf("%s: certificate %q", role, list[0])
		}
		link := "etc/systemd/system/sysinit.target.wants/systemd-sysext.service symlink 0777 0:0 /usr/lib/systemd/system/systemd-sysext.service"
		if !slices.Contains(list, link) {
			t.Errorf("%s: the service is not enabled: %q", role, list)
		}
	}
}

// TestRequireSigned writes the policy in the form of each release, or refuses.
func TestRequireSigned(t *testing.T) {
	signer := testdisk.Generate(t, keys.ECDSAP256, "signer")
	dir := t.TempDir()
	signed, unsigned := filepath.Join(dir, "signed.raw"), filepath.Join(dir, "unsigned.raw")
	for name, s := range map[string]*testdisk.Pair{signed: &signer, unsigned: nil} {
		if err := os.WriteFile(name, sysext(t, "tools", "tools", "1", s, dps.Root), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const policy = "root=signed+absent:usr=signed+absent:=ignore"
	dropIn := "etc/systemd/system/systemd-sysext.service.d/50-sextant.conf file 0644 0:0 " + fmt.Sprintf("%q", "# Merge only what is signed.\n[Service]\n"+
		"ExecStart=\nExecStart=systemd-sysext refresh --image-policy="+policy+"\nExecReload=\nExecReload=systemd-sysext refresh --image-policy="+policy+"\n")
	setting := "etc/systemd/sysext.conf.d/50-sextant.conf file 0644 0:0 " + fmt.Sprintf("%q", "[SysExt]\nImagePolicy="+policy+"\n")
	for release, want := range map[int]string{252: "", 253: "", 254: dropIn, 257: dropIn, 258: dropIn, 259: setting, 262: setting} {
		in := customize.Install{Images: []string{signed}, RequireSigned: true}
		plan, out, err := install(t, installBase(t, release, nil), in)
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("systemd %d of the base has no image policies", release)) {
				t.Errorf("systemd %d: %v", release, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if list := listing(t, out, "etc/systemd"); !slices.Contains(list, want) {
			t.Errorf("systemd %d: %q, want %q", release, list, want)
		}
		if len(plan.Warnings) != 1 || !strings.Contains(plan.Warnings[0], "directories") || strings.Contains(plan.Warnings[0], "by hand") != (release < 259) {
			t.Errorf("systemd %d: warnings %q", release, plan.Warnings)
		}
		in.Images = []string{unsigned}
		if _, _, err := install(t, installBase(t, release, nil), in); err == nil || !strings.Contains(err.Error(), "is not signed") {
			t.Errorf("systemd %d, unsigned: %v", release, err)
		}
	}
}

// TestInstallRefused refuses what is no extension.
func TestInstallRefused(t *testing.T) {
	dir := t.TempDir()
	plain := testdisk.Recipe{Files: imagetest.NewBuilder().Tree}.Make(t).Bytes
	for name, content := range map[string][]byte{"plain.raw": plain, "rubbish.raw": []byte("rubbish"), "empty.raw": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	base := installBase(t, 257, nil)
	for name, want := range map[string]string{
		"plain.raw": "0 release files", "rubbish.raw": "neither a partition table nor a file system", "empty.raw": "is empty",
		".": "is a directory", "missing.raw": "no such file",
	} {
		_, _, err := install(t, base, customize.Install{Images: []string{filepath.Join(dir, name)}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
