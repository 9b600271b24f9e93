package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"sextant/internal/image"
	"sextant/internal/span"
)

// readers are the contests of those who look at images.
func (b *bench) readers() []contest {
	large, squash, signed := b.path("filesystem"), b.path("filesystem.squashfs"), b.path("signed/image.raw")
	verified := []string{"sh", "-c", "veritysetup verify " + b.path("signed.data") + " " + b.path("signed.hash") + " $(cat " + b.path("signed.root") + ")"}
	ours := func(args ...string) job {
		return job{name: "sextant", command: append([]string{b.path("sextant")}, args...)}
	}
	return []contest{
		{
			name: "verify of 1 GiB, signed", goal: "≥ 1.8×, better 2.2×; < 64 MiB",
			ours:   ours("verify", "--certificate="+b.path("verity_cert.crt"), signed),
			theirs: job{name: version("veritysetup", "--version"), command: verified},
		}, {
			name: "inspect of the toolchain", goal: "< 30 ms",
			ours: ours("inspect", large),
		}, {
			name: "ls of the toolchain, EROFS", goal: "≥ 1×",
			ours:   ours("ls", large),
			theirs: job{name: "fsck.erofs", command: []string{"fsck.erofs", large}},
		}, {
			name: "ls of the toolchain, EROFS, and systemd", goal: "≥ 1×",
			ours:   ours("ls", large),
			theirs: job{name: "systemd-dissect 262", inSid: true, command: []string{"systemd-dissect", "--list", large}},
		}, {
			name: "ls of the toolchain, SquashFS", goal: "≥ 1×",
			ours:   ours("ls", squash),
			theirs: job{name: "unsquashfs", command: []string{"unsquashfs", "-l", squash}},
		},
	}
}

// prepareReaders makes a signed image of 1 GiB, its parts in files of their own
// for veritysetup, and the toolchain as SquashFS.
func (b *bench) prepareReaders(ctx context.Context) error {
	script := `set -e
mkdir "$1/gib"
head -c 1073741824 /dev/urandom >"$1/gib/file"
mksquashfs "$1/tree" "$1/filesystem.squashfs" -quiet -no-progress -comp zstd -Xcompression-level 3 >"$1/log"
`
	if out, err := exec.CommandContext(ctx, "sh", "-c", script, "sh", b.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("prepare readers: %w\n%s", err, out)
	}
	text := fmt.Sprintf(treeConf, "signed", b.dir, b.path("gib/file")+":/usr/share/file")
	if err := os.WriteFile(b.path("gib/mkosi.conf"), []byte(text), 0o644); err != nil {
		return err
	}
	if _, err := b.run(ctx, b.build("gib", "signed")); err != nil {
		return err
	}
	return errors.Join(os.Remove(b.path("gib/file")), b.takeApart(b.path("signed/image.raw")))
}

// takeApart writes data, hash tree and root hash of an image to files.
func (b *bench) takeApart(path string) error {
	m, err := image.Open(path)
	if err != nil {
		return err
	}
	defer m.Close()
	v := m.Volumes()[0]
	return errors.Join(
		b.takeOut(m, v.Data.Span, "signed.data"), b.takeOut(m, v.Hash.Span, "signed.hash"),
		os.WriteFile(b.path("signed.root"), []byte(hex.EncodeToString(v.RootHash())), 0o644))
}

func (b *bench) takeOut(m *image.Image, s span.Span, name string) error {
	f, err := os.Create(b.path(name))
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.NewSectionReader(m.Whole(), s.Offset, s.Length))
	return errors.Join(err, f.Close())
}
