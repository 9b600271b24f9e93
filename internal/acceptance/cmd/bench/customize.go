package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// customizing is what the names of contests about base images begin with.
const customizing = "customize"

// prepareBases makes a disk of 4 GiB with 1 GiB of data, raw and as qcow2, in
// memory and on a disk, and a signed extension of 40 MB to put into it.
func (b *bench) prepareBases(ctx context.Context) error {
	script := `set -e
memory=$1 disk=$2
units=$memory/root/usr/lib/systemd/system
mkdir -p "$memory/root/etc" "$memory/root/var" "$units" "$memory/custom/content" "$disk/custom"
printf 'ID=debian\nVERSION_ID=13\n' >"$memory/root/usr/lib/os-release"
printf '[Service]\nExecStart=true\n[Install]\nWantedBy=sysinit.target\n' >"$units/systemd-sysext.service"
for i in $(seq 64); do head -c 16777216 /dev/urandom >"$memory/root/usr/lib/$i"; done
mke2fs -q -t ext4 -d "$memory/root" "$memory/base.raw" 4G
rm -r "$memory/root"
qemu-img convert -f raw -O qcow2 "$memory/base.raw" "$memory/base.qcow2"
cp --sparse=always "$memory/base.raw" "$memory/base.qcow2" "$disk"
rm "$memory/base.raw"
head -c 40000000 /dev/urandom >"$memory/custom/content/file"
cd "$memory/custom"
"$memory/sextant" genkey >/dev/null
"$memory/sextant" build --format=sysext --image-id=extension --image-version= --extra-tree=content:/usr/share/content \
	--verity=signed --verity-key=verity_key.pem --verity-certificate=verity_cert.crt >/dev/null
cp extension.raw verity_cert.crt "$disk/custom"
`
	if out, err := exec.CommandContext(ctx, "sh", "-c", script, "sh", b.dir, b.disk).CombinedOutput(); err != nil {
		return fmt.Errorf("prepare base images: %w\n%s", err, out)
	}
	return nil
}

// bases are the contests of customize, whose other side only copies.
func (b *bench) bases() []contest {
	const convert, command = "qemu-img convert", "qemu-img convert -f qcow2 -O qcow2 base.qcow2 copy"
	return []contest{
		{
			name: customizing + " a disk of 4 GiB with 1 GiB of data, on disk; the other only copies it", goal: "≥ 0.77×, < 64 MiB",
			ours:   b.install(b.disk, "base.raw"),
			theirs: b.copier(b.disk, "cp --sparse=always, sync", "cp --sparse=always base.raw copy && sync copy"),
		}, {
			name: customizing + " a qcow2; the other only copies it", goal: "≥ 1×",
			ours:   b.install(b.dir, "base.qcow2"),
			theirs: b.copier(b.dir, convert, command),
		}, {
			name: customizing + " a qcow2, on disk; the other only copies it", goal: "≥ 1×",
			ours:   b.install(b.disk, "base.qcow2"),
			theirs: b.copier(b.disk, convert+", sync", command+" && sync copy"),
		}, {
			name: customizing + " a qcow2, on disk; the other only copies it, and does not wait for the disk", goal: "≥ 1×",
			ours:   b.install(b.disk, "base.qcow2"),
			theirs: b.copier(b.disk, convert, command),
		},
	}
}

// install puts the extension into a base in dir.
func (b *bench) install(dir, base string) job {
	out := filepath.Join(dir, "new")
	return job{
		name: "sextant", outputs: []string{out},
		command: []string{
			b.path("sextant"), "install", "--image-file=" + filepath.Join(dir, base), "--output-image-file=" + out,
			"--certificate=" + filepath.Join(dir, "custom/verity_cert.crt"), filepath.Join(dir, "custom/extension.raw"),
		},
	}
}

// copier runs a command that makes the file "copy" in dir.
func (b *bench) copier(dir, name, command string) job {
	return job{name: name, outputs: []string{filepath.Join(dir, "copy")}, command: []string{"sh", "-c", "cd " + dir + " && " + command}}
}
