package image_test

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/dps"
	"sextant/internal/format/pkcs7"
	"sextant/internal/image"
	"sextant/internal/imagetest"
	"sextant/internal/imagetest/disk"
	"sextant/internal/keys"
	"sextant/internal/policy"
	"sextant/internal/signature"
	"sextant/internal/tree"
)

// TestVerdicts looks at images with one fault each, as several releases see
// them. What systemd itself says of the like is in internal/acceptance.
func TestVerdicts(t *testing.T) {
	signer, other := disk.Generate(t, keys.ECDSAP256, "signer"), disk.Generate(t, keys.ECDSAP256, "other")
	signed := disk.Recipe{Signature: disk.SignedBy(t, signer)}.Make(t)
	unsigned := disk.Recipe{}.Make(t)
	blank := disk.Recipe{Signature: func([]byte) []byte { return make([]byte, signature.PartitionSize) }}.Make(t)
	change := func(m disk.Disk, how func(b disk.Blob)) disk.Blob {
		b := bytes.Clone(m.Bytes)
		how(b)
		return b
	}
	strict := policyOf(t, "root=signed+absent:=ignore")
	data, _ := signed.Part(1)
	hash, _ := signed.Part(2)

	for _, test := range []struct {
		name     string
		bytes    disk.Blob
		trust    []disk.Pair
		policy   *policy.Policy
		systemd  int
		findings []string
		verdict  string
	}{
		{"good", signed.Bytes, []disk.Pair{signer}, nil, 262, nil, "merges it"},
		{"good to 252", signed.Bytes, []disk.Pair{signer}, nil, 252, nil, "merges it"},
		{"good under a strict policy", signed.Bytes, []disk.Pair{signer}, &strict, 262, nil, "merges it"},
		{"two trusted", signed.Bytes, []disk.Pair{other, signer}, nil, 257, nil, "merges it"},
		{"nobody trusted", signed.Bytes, nil, nil, 262, []string{"warning signature-untrusted"}, "merges it unchecked: no trusted certificate vouches for it"},
		{"nobody trusted by 259", signed.Bytes, nil, nil, 259, []string{"warning signature-untrusted"}, "merges it unchecked: no trusted certificate vouches for it"},
		{"nobody trusted by 258", signed.Bytes, nil, nil, 258, []string{"error signature-untrusted"}, "refuses it: no trusted certificate vouches for it"},
		{"nobody trusted by 255", signed.Bytes, nil, nil, 255, []string{"error signature-untrusted"}, "refuses it, with exit status 0: no trusted certificate vouches for it"},
		{"other trusted, strict policy", signed.Bytes, []disk.Pair{other}, &strict, 262, []string{"error signature-untrusted"}, "refuses it: no trusted certificate vouches for it"},
		{"policy unknown to 252", signed.Bytes, []disk.Pair{signer}, &strict, 252, []string{"warning policy-unknown"}, "merges it"},
		{"no signature", unsigned.Bytes, []disk.Pair{signer}, nil, 262, []string{"note signature-missing"}, "merges it"},
		{"no signature to 257", unsigned.Bytes, []disk.Pair{signer}, nil, 257, []string{"warning tree-unused", "note signature-missing"}, "merges it unchecked: it does not use the hash tree"},
		{"no signature, strict policy", unsigned.Bytes, []disk.Pair{signer}, &strict, 262, []string{"error policy", "note signature-missing"}, "refuses it: the image policy does not allow it"},
		{"blank signature", blank.Bytes, []disk.Pair{signer}, nil, 262, []string{"error signature-broken"}, "refuses it: the signature partition cannot be read"},
		{"data changed", change(signed, func(b disk.Blob) { b[data+5000] ^= 1 }), []disk.Pair{signer}, nil, 262, []string{"error tree-block"}, "merges it broken: blocks do not match the hash tree"},
		{"hash tree changed", change(signed, func(b disk.Blob) { b[hash+4096] ^= 1 }), []disk.Pair{signer}, nil, 262, []string{"error tree-root"}, "refuses it: the root hash does not match"},
		{"unused data changed to 257", change(unsigned, func(b disk.Blob) { b[data+5000] ^= 1 }), nil, nil, 257, []string{"warning tree-unused", "note signature-missing", "error tree-block"}, "merges it broken: blocks do not match the hash tree"},
		{"no protective MBR", change(signed, func(b disk.Blob) { b[450] = 0 }), []disk.Pair{signer}, nil, 262, []string{"error table-ignored"}, "refuses it: the protective MBR hides the partition table"},
		{"odd MBR", change(signed, func(b disk.Blob) { b[446] = 0x80 }), []disk.Pair{signer}, nil, 262, []string{"warning table-mbr"}, "merges it"},
		{"damaged primary header", change(signed, func(b disk.Blob) { b[512+40] ^= 1 }), []disk.Pair{signer}, nil, 262, []string{"warning table-copy"}, "merges it"},
		{"damaged backup header", change(signed, func(b disk.Blob) { b[len(b)-512+40] ^= 1 }), []disk.Pair{signer}, nil, 262, []string{"warning table-copy"}, "merges it"},
		{"usr to 262", disk.Recipe{Role: dps.Usr, Files: usrTree("tool"), Signature: disk.SignedBy(t, signer)}.Make(t).Bytes, []disk.Pair{signer}, nil, 262, nil, "merges it"},
		{"usr to 257", disk.Recipe{Role: dps.Usr, Files: usrTree("tool"), Signature: disk.SignedBy(t, signer)}.Make(t).Bytes, []disk.Pair{signer}, nil, 257, []string{"warning tree-unused", "warning signature-ignored"}, "merges it unchecked: it does not use the hash tree, it does not look at the signature"},
		{"signature without tree", disk.Recipe{NoHash: true, Signature: disk.SignedBy(t, signer)}.Make(t).Bytes, []disk.Pair{signer}, nil, 262, []string{"error partition-alone"}, "refuses it: a partition lacks the one that it is for"},
		{"sectors of 4096", disk.Recipe{SectorSize: 4096, Signature: disk.SignedBy(t, signer)}.Make(t).Bytes, []disk.Pair{signer}, nil, 262, nil, "merges it"},
		{"room behind the content", disk.Recipe{Tail: 8192, Signature: disk.SignedBy(t, signer)}.Make(t).Bytes, []disk.Pair{signer}, nil, 262, nil, "merges it"},
	} {
		var trusted []*x509.Certificate
		for _, p := range test.trust {
			trusted = append(trusted, p.Certificate)
		}
		found := verify(t, test.bytes, image.Options{Certificates: trusted, Systemd: test.systemd, Policy: test.policy, Now: disk.Now()})
		if diff := cmp.Diff(test.findings, summary(found)); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", test.name, diff)
		}
		if _, got, _ := strings.Cut(found.Verdict.String(), ": "); got != test.verdict {
			t.Errorf("%s: verdict %q, want %q", test.name, got, test.verdict)
		}
	}
}

// usrTree is the content of a usr partition.
func usrTree(name string) *tree.Tree {
	b := imagetest.NewBuilder()
	b.File("bin/tool", 0o755, "#!/bin/sh\n")
	b.File("lib/extension-release.d/extension-release."+name, 0o644, "ID=_any\n")
	return b.Tree
}

func policyOf(t *testing.T, text string) policy.Policy {
	t.Helper()
	p, err := policy.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestContentRules looks at trees with one fault each.
func TestContentRules(t *testing.T) {
	for _, test := range []struct {
		name     string // of the image, without .raw
		build    func(b imagetest.Builder)
		systemd  int
		findings []string
		verdict  string
	}{
		{"tool", nil, 262, nil, "merges it"},
		{"tool.sysext", nil, 262, nil, "merges it"},
		{"tool.sysext", nil, 255, []string{"error release-name"}, "refuses it: no extension-release file fits its name"},
		{"tool_1.0", nil, 262, nil, "merges it"},
		{"tool_1.0", nil, 255, []string{"error release-cut-name"}, "refuses it: no extension-release file fits its name"},
		{"other", nil, 262, []string{"error release-name"}, "refuses it: no extension-release file fits its name"},
		{"tool", func(b imagetest.Builder) { b.File("usr/lib/os-release", 0o644, "ID=x\n") }, 262, []string{"error os-release"}, "leaves it out: it has /usr/lib/os-release"},
		{"tool", func(b imagetest.Builder) { b.File("usr/lib/os-release", 0o644, "ID=x\n") }, 252, []string{"error os-release"}, "leaves it out: it has /usr/lib/os-release"},
		{"tool", func(b imagetest.Builder) { b.Symlink("usr/lib/os-release", "../../etc/os-release") }, 262, nil, "merges it"},
		{"tool", func(b imagetest.Builder) { b.File("etc/x", 0o644, "x") }, 262, []string{"note outside-hierarchies"}, "merges it"},
		{"tool", func(b imagetest.Builder) {
			b.File("usr/lib/extension-release.d/extension-release.x", 0o644, "ID=_any\n")
		}, 262, nil, "merges it"},
		{"tool", func(b imagetest.Builder) {
			b.File("usr/lib/extension-release.d/extension-release.tool", 0o644, "A=b\n")
		}, 262, []string{"error release-content"}, "leaves it out: its extension-release fits no host"},
		{"tool", func(b imagetest.Builder) {
			b.File("usr/lib/extension-release.d/extension-release.tool", 0o644, "ID=_any\nSYSEXT_SCOPE=moon\n")
		}, 262, []string{"warning release-scope"}, "merges it"},
	} {
		b := disk.Content("tool")
		if test.build != nil {
			test.build(b)
		}
		path := writeImage(t, test.name+".raw", disk.RenderEROFS(t, b.Tree))
		found := verifyFile(t, path, image.Options{Systemd: test.systemd})
		if diff := cmp.Diff(test.findings, summary(found)); diff != "" {
			t.Errorf("%s to %d: findings (-want +got):\n%s", test.name, test.systemd, diff)
		}
		if _, got, _ := strings.Cut(found.Verdict.String(), ": "); got != test.verdict {
			t.Errorf("%s to %d: verdict %q, want %q", test.name, test.systemd, got, test.verdict)
		}
	}
}

// TestDirectory looks at an extension that is a directory.
func TestDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tool")
	for path, text := range map[string]string{"usr/bin/tool": "#!/bin/sh\n", "usr/lib/extension-release.d/extension-release.tool": "ID=_any\n"} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	found := verifyFile(t, dir, image.Options{})
	if found.Findings != nil || found.Verdict.String() != "systemd 262: merges it" {
		t.Errorf("findings %v, verdict %q", found.Findings, found.Verdict)
	}
	if err := os.Rename(dir, dir+"_1"); err != nil {
		t.Fatal(err)
	}
	found = verifyFile(t, dir+"_1", image.Options{Systemd: 255})
	if diff := cmp.Diff([]string{"error release-cut-name"}, summary(found)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// TestHost asks whether an extension fits a host.
func TestHost(t *testing.T) {
	b := disk.Content("tool")
	b.File("usr/lib/extension-release.d/extension-release.tool", 0o644, "ID=debian\nVERSION_ID=13\n")
	m := disk.Recipe{Files: b.Tree}.Make(t)
	for text, want := range map[string][]string{
		"ID=debian\nVERSION_ID=13\n": {"note signature-missing"},
		"ID=debian\nVERSION_ID=12\n": {"note signature-missing", "error host"},
		"ID=fedora\nVERSION_ID=13\n": {"note signature-missing", "error host"},
	} {
		found := verify(t, m.Bytes, image.Options{Host: host(t, text)})
		if diff := cmp.Diff(want, summary(found)); diff != "" {
			t.Errorf("host %q (-want +got):\n%s", text, diff)
		}
	}
}

// TestSidecars looks at bare file systems with files beside them.
func TestSidecars(t *testing.T) {
	signer := disk.Generate(t, keys.RSA2048, "signer")
	data := disk.RenderEROFS(t, disk.Content("tool").Tree)
	hash, root := disk.HashTree(t, data)
	text := []byte(hex.EncodeToString(root) + "\n")
	p7s, err := signer.Key.SignPKCS7(t.Context(), text[:len(text)-1], signer.Certificate, pkcs7.Options{})
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(data)
	bad[len(bad)-100] ^= 1
	gpt := disk.Recipe{Signature: disk.SignedBy(t, signer)}.Make(t)
	for _, test := range []struct {
		name     string
		image    []byte
		beside   map[string][]byte
		systemd  int
		findings []string
	}{
		{"alone", data, nil, 262, nil},
		{"tree and root hash", data, map[string][]byte{"tool.verity": hash, "tool.roothash": text}, 262, []string{"note signature-missing"}},
		{"signed", data, map[string][]byte{"tool.verity": hash, "tool.roothash": text, "tool.roothash.p7s": p7s}, 257, nil},
		{"changed", bad, map[string][]byte{"tool.verity": hash, "tool.roothash": text, "tool.roothash.p7s": p7s}, 257, []string{"error tree-block"}},
		{"wrong signature", data, map[string][]byte{"tool.verity": hash, "tool.roothash": text, "tool.roothash.p7s": p7s[:40]}, 257, []string{"error signature-pkcs7"}},
		{"no root hash", data, map[string][]byte{"tool.verity": hash}, 262, []string{"warning sidecar-incomplete"}},
		{"no tree", data, map[string][]byte{"tool.roothash": text}, 262, []string{"warning sidecar-incomplete"}},
		{"for usr", data, map[string][]byte{"tool.verity": hash, "tool.usrhash": text}, 262, []string{"warning sidecar-incomplete"}},
		{"misnamed", data, map[string][]byte{"tool.raw.verity": hash, "tool.raw.roothash": text}, 262, []string{"warning sidecar-name"}},
		{"not hexadecimal", data, map[string][]byte{"tool.verity": hash, "tool.roothash": []byte("zz")}, 262, []string{"error sidecar-broken"}},
		{"beside a table", gpt.Bytes, map[string][]byte{"tool.verity": hash}, 262, []string{"error sidecar-with-table"}},
		{"root hash beside a table", gpt.Bytes, map[string][]byte{"tool.roothash": []byte(hex.EncodeToString(gpt.Root))}, 262, nil},
		{"other root hash beside a table", gpt.Bytes, map[string][]byte{"tool.roothash": bytes.Repeat([]byte("ab"), 32)}, 262,
			[]string{"error signature-broken", "error sidecar-broken", "warning signature-untrusted", "error tree-root"}},
	} {
		path := writeImage(t, "tool.raw", test.image)
		for name, content := range test.beside {
			if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		found := verifyFile(t, path, image.Options{Certificates: []*x509.Certificate{signer.Certificate}, Systemd: test.systemd})
		if diff := cmp.Diff(test.findings, summary(found)); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", test.name, diff)
		}
	}
}
