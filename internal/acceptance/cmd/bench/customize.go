package main

import (
	"context"
	"fmt"
	"os/exec"
)

// prepareBases makes a disk of 4 GiB with 1 GiB of data, raw and as qcow2, and
// an extension of 40 MB to put into it.
func (b *bench) prepareBases(ctx context.Context) error {
	script := `set -e
mkdir -p "$1/root/etc" "$1/root/usr/lib" "$1/root/var" "$1/custom"
for i in $(seq 64); do head -c 16777216 /dev/urandom >"$1/root/usr/lib/$i"; done
mke2fs -q -t ext4 -d "$1/root" "$1/base.raw" 4G
rm -r "$1/root"
qemu-img convert -f raw -O qcow2 "$1/base.raw" "$1/base.qcow2"
head -c 40000000 /dev/urandom >"$1/custom/extension"
printf 'os:\n  additionalFiles:\n  - {source: extension, destination: /var/lib/extension}\n' >"$1/custom/config.yaml"
`
	if out, err := exec.CommandContext(ctx, "sh", "-c", script, "sh", b.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("prepare base images: %w\n%s", err, out)
	}
	return nil
}

// bases are the contests of customize, whose other side only copies.
func (b *bench) bases() []contest {
	return []contest{
		{
			name: "customize a disk of 4 GiB with 1 GiB of data; the other only copies it", goal: "≥ 0.77×",
			ours: b.customize("base.raw", "new.raw"),
			theirs: job{
				name: version("cp", "--version") + " --sparse=always, sync", outputs: []string{b.path("copy.raw")},
				command: []string{"sh", "-c", "cp --sparse=always " + b.path("base.raw") + " " + b.path("copy.raw") + " && sync " + b.path("copy.raw")},
			},
		}, {
			name: "customize a qcow2; the other only copies it", goal: "≥ 1×",
			ours: b.customize("base.qcow2", "new.qcow2"),
			theirs: job{
				name: version("qemu-img", "--version") + " convert", outputs: []string{b.path("copy.qcow2")},
				command: []string{"qemu-img", "convert", "-f", "qcow2", "-O", "qcow2", b.path("base.qcow2"), b.path("copy.qcow2")},
			},
		},
	}
}

func (b *bench) customize(base, out string) job {
	return job{
		name: "sextant", outputs: []string{b.path(out)},
		command: []string{b.path("sextant"), "customize", "--image-file=" + b.path(base), "--config-file=" + b.path("custom/config.yaml"), "--output-image-file=" + b.path(out)},
	}
}
