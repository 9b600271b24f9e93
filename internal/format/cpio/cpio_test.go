package cpio_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/fault"
	"sextant/internal/format/cpio"
	"sextant/internal/testenv"
)

// make builds an initramfs with the tools that make real ones.
func build(t *testing.T, script string) []byte {
	t.Helper()
	testenv.Require(t, "cpio")
	dir := t.TempDir()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", `
mkdir -p early/kernel/x86/microcode main/usr/lib/modules/6.1/kernel/fs/overlayfs main/bin
head -c 5001 /dev/zero >early/kernel/x86/microcode/AuthenticAMD.bin
echo module >main/usr/lib/modules/6.1/kernel/fs/overlayfs/overlay.ko.xz
echo sh >main/bin/sh
pack() { (cd "$1"; find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc); }
`+script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "initrd"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func names(initrd []byte) (list []string, err error) {
	err = cpio.Names(bytes.NewReader(initrd), func(name string) error {
		list = append(list, name)
		return nil
	})
	return list, err
}

func TestNames(t *testing.T) {
	early := []string{"kernel", "kernel/x86", "kernel/x86/microcode", "kernel/x86/microcode/AuthenticAMD.bin"}
	main := []string{
		"bin", "bin/sh", "usr", "usr/lib", "usr/lib/modules", "usr/lib/modules/6.1", "usr/lib/modules/6.1/kernel",
		"usr/lib/modules/6.1/kernel/fs", "usr/lib/modules/6.1/kernel/fs/overlayfs", "usr/lib/modules/6.1/kernel/fs/overlayfs/overlay.ko.xz",
	}
	for _, c := range []struct {
		tool, script string
		want         []string
	}{
		{"cpio", "pack main >initrd", main},
		{"cpio", "(pack early; pack main) >initrd", slices.Concat(early, main)},
		{"gzip", "(pack early; pack main | gzip) >initrd", slices.Concat(early, main)},
		{"gzip", "(pack early | gzip; head -c 100 /dev/zero; pack main | gzip) >initrd", slices.Concat(early, main)},
		{"zstd", "(pack early; pack main | zstd -q -19) >initrd", slices.Concat(early, main)},
		{"xz", "(pack early; pack main | xz --check=crc32) >initrd", slices.Concat(early, main)},
		{"xz", "(pack early | xz --check=crc32 --x86 --lzma2=dict=1MiB; head -c 101 /dev/zero; pack main) >initrd", slices.Concat(early, main)},
		{"xz", "(pack early; pack main | xz --format=lzma) >initrd", slices.Concat(early, main)},
		{"lz4", "(pack early; pack main | lz4 -l -q) >initrd", slices.Concat(early, main)},
		{"lz4", "(pack early | lz4 -l -q; head -c 100 /dev/zero; pack main | lz4 -l -9 -q) >initrd", slices.Concat(early, main)},
		{"lz4", "(pack early | lz4 -l -q; pack main | lz4 -l -q) >initrd", slices.Concat(early, main)},
		{"lz4", "(pack early | lz4 -l -q; head -c 100 /dev/zero; pack main) >initrd", slices.Concat(early, main)},
		{"bzip2", "(pack early; pack main | bzip2) >initrd", slices.Concat(early, main)},
	} {
		t.Run(c.script, func(t *testing.T) {
			testenv.Require(t, c.tool)
			got, err := names(build(t, c.script))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("Names (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBroken(t *testing.T) {
	whole := build(t, "pack main >initrd")
	for name, c := range map[string]struct {
		initrd []byte
		want   error
	}{
		"cut in a header":  {whole[:50], fault.ErrCorrupt},
		"cut in a file":    {whole[:len(whole)/2], fault.ErrCorrupt},
		"no archive":       {[]byte("hello world"), fault.ErrUnsupported},
		"bad number":       {append([]byte("070701zzzzzzzz"), make([]byte, 200)...), fault.ErrCorrupt},
		"cut gzip":         {[]byte("\x1f\x8b\x08"), fault.ErrCorrupt},
		"cut lz4":          {[]byte("\x02\x21\x4c\x18\x08\x00\x00\x00"), fault.ErrCorrupt},
		"LZ4 frame":        {[]byte("\x04\x22\x4d\x18\x64\x40\xa7\x00\x00\x00\x00\x05\x5d\xcc\x02"), fault.ErrUnsupported},
		"cut xz":           {[]byte("\xfd7zXZ\x00\x00\x04"), fault.ErrCorrupt},
		"lzma 1 GiB":       {[]byte("\x5d\x00\x00\x00\x40" + "\xff\xff\xff\xff\xff\xff\xff\xff" + "and more"), fault.ErrUnsupported},
		"second is broken": {append(bytes.Clone(whole), "rubbish"...), fault.ErrUnsupported},
	} {
		if _, err := names(c.initrd); !errors.Is(err, c.want) {
			t.Errorf("%s: Names = %v, want %v", name, err, c.want)
		}
	}
	if list, err := names(make([]byte, 4096)); err != nil || list != nil {
		t.Errorf("zeros: Names = %v, %v", list, err)
	}
	stop := errors.New("stop")
	if err := cpio.Names(bytes.NewReader(whole), func(string) error { return stop }); err != stop {
		t.Errorf("Names = %v, want what see returned", err)
	}
}

func FuzzNames(f *testing.F) {
	f.Add([]byte("070701" + "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000b00000000TRAILER!!!\x00\x00\x00\x00"))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Add([]byte("\x02\x21\x4c\x18\x07\x00\x00\x00\x60070701"))
	f.Fuzz(func(t *testing.T, initrd []byte) {
		total := 0
		stop := errors.New("enough")
		err := cpio.Names(bytes.NewReader(initrd), func(name string) error {
			if total++; total > 10000 {
				return stop
			}
			return nil
		})
		_ = err // any error will do: it must end and not panic
	})
}
