package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// treeConf is for the tree, ours and mkosi's. Distribution=custom keeps mkosi
// from looking for packages.
const treeConf = `[Distribution]
Distribution=custom

[Output]
Format=sysext
ImageId=%s
Output=image
Seed=0e2e4b9a-1d5a-4c0f-9a3e-0123456789ab
CompressOutput=no

[Validation]
Verity=signed
VerityKey=%[2]s/verity_key.pem
VerityCertificate=%[2]s/verity_cert.crt

[Content]
ExtraTrees=%[3]s
`

// toolchain is the contest that the limits belong to.
const toolchain = "the Go toolchain, signed"

// contests prepares the inputs and returns what is measured.
func (b *bench) contests(ctx context.Context) ([]contest, error) {
	if err := errors.Join(b.prepare(ctx), b.prepareReaders(ctx), b.prepareBases(ctx)); err != nil {
		return nil, err
	}
	root := b.path("tree")
	return append([]contest{
		{
			name: "the example, signed", goal: "≥ 12×",
			ours:   b.build("example", "out-sextant"),
			theirs: b.mkosi("example", "out-mkosi"),
		}, {
			name: toolchain, goal: "≥ 8×",
			ours:   b.build("large", "out-sextant"),
			theirs: b.mkosi("large", "out-mkosi"),
		}, {
			name: "the Go toolchain, signed, without mkosi", goal: "≥ 8×",
			ours:   b.build("large", "out-sextant"),
			theirs: b.repart(),
		}, {
			name: "the Go toolchain, signed; temporary files of the other on disk", goal: "≥ 8×",
			ours:   b.build("large", "out-sextant"),
			theirs: onDisk(b.mkosi("large", "out-mkosi")),
		}, {
			name: "the Go toolchain, signed, without mkosi; temporary files of the other on disk", goal: "≥ 8×",
			ours:   b.build("large", "out-sextant"),
			theirs: onDisk(b.repart()),
		}, {
			name: "the Go toolchain, signed; others only file system and hash tree", goal: "≥ 1×, better 1.25×",
			ours: b.build("large", "out-sextant"),
			theirs: job{
				name: version("mkfs.erofs", "--version") + " and " + version("veritysetup", "--version"), outputs: []string{b.path("data"), b.path("hash")},
				command: []string{"sh", "-c", "mkfs.erofs --quiet --all-root " + b.path("data") + " " + root +
					" && veritysetup format " + b.path("data") + " " + b.path("hash")},
			},
		}, {
			name: "hash tree alone, 270 MB", goal: "≥ 2×",
			ours: job{name: "sextant", command: []string{b.self, "tool", "hashtree", b.path("filesystem"), b.path("hash-sextant")}, outputs: []string{b.path("hash-sextant")}},
			theirs: job{name: version("veritysetup", "--version"), command: []string{"veritysetup", "format", b.path("filesystem"), b.path("hash")},
				outputs: []string{b.path("hash")}},
		},
		{name: "a file of 2 GiB", goal: "< 100 MiB", ours: b.build("real", "out-sextant")},
		{name: "a file of 2 GiB with one block of data", goal: "< 100 MiB", ours: b.build("sparse", "out-sextant")},
		{limit: true, name: "limit: reading the files of the toolchain, one processor", ours: job{command: []string{b.self, "tool", "read", root}}},
		{limit: true, name: "limit: SHA-256 of as many blocks, all processors", ours: job{command: []string{b.self, "tool", "hash", b.path("filesystem")}}},
		{limit: true, name: "limit: writing as many bytes, one processor", ours: job{
			command: []string{b.self, "tool", "write", b.path("filesystem"), b.path("written")}, outputs: []string{b.path("written")},
		}},
	}, slices.Concat(b.readers(), b.bases())...), nil
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) build(config, out string) job {
	return job{
		name: "sextant", outputs: []string{b.path(out)},
		command: []string{b.path("sextant"), "build", "--output-directory=" + b.path(out), b.path(config)},
	}
}

func (b *bench) mkosi(config, out string) job {
	return job{
		name: "mkosi 27.1", inSid: true, outputs: []string{b.path(out)},
		command: []string{"mkosi", "--directory=" + b.path(config), "--output-directory=" + b.path(out), "build"},
	}
}

func (b *bench) repart() job {
	return job{
		name: "systemd-repart 262", inSid: true, outputs: []string{b.path("repart.raw")},
		command: []string{"systemd-repart", "--make-ddi=sysext", "--copy-source=" + b.path("tree"), "--private-key=" + b.path("verity_key.pem"),
			"--certificate=" + b.path("verity_cert.crt"), b.path("repart.raw")},
	}
}

func onDisk(j job) job {
	j.onDisk = true
	return j
}

// version returns what a tool says of itself in its first words.
func version(name, flag string) string {
	out, _ := exec.Command(name, flag).Output() // what it has to say is all that counts
	words := strings.Fields(string(out))
	return strings.Join(words[:min(len(words), 2)], " ")
}

// prepare makes keys, configurations and inputs.
func (b *bench) prepare(ctx context.Context) error {
	goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	script := `set -e
cp -R examples/custom-tools "$1/example"
sed -i 's/^\[Output\]/[Distribution]\nDistribution=custom\n\n[Output]/' "$1/example/mkosi.conf"
"$1/sextant" genkey --algorithm rsa:2048 --key "$1/verity_key.pem" --certificate "$1/verity_cert.crt" >"$1/log"
cp "$1/verity_key.pem" "$1/verity_cert.crt" "$1/example"
mkdir -p "$1/tree/usr/lib/extension-release.d" "$1/large" "$1/real" "$1/sparse"
cp -R "$2" "$1/tree/usr/lib/go"
printf 'ID=_any\nARCHITECTURE=x86-64\n' >"$1/tree/usr/lib/extension-release.d/extension-release.large"
mkfs.erofs --quiet "$1/filesystem" "$1/tree"
head -c 2147483648 /dev/urandom >"$1/real/file"
head -c 4096 /dev/urandom >"$1/sparse/file"
truncate -s 2147483648 "$1/sparse/file"
`
	cmd := exec.CommandContext(ctx, "sh", "-c", script, "sh", b.dir, strings.TrimSpace(string(goroot)))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("prepare: %w\n%s", err, out)
	}
	for name, extra := range map[string]string{
		"large": b.path("tree"), "real": b.path("real/file") + ":/usr/share/file", "sparse": b.path("sparse/file") + ":/usr/share/file",
	} {
		text := fmt.Sprintf(treeConf, name, b.dir, extra)
		if err := os.WriteFile(filepath.Join(b.dir, name, "mkosi.conf"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
