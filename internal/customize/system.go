package customize

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strconv"

	"sextant/internal/dps"
	"sextant/internal/extension"
	"sextant/internal/format/program"
	"sextant/internal/sysroot"
)

// system is what runs on the base.
type system struct {
	os extension.Release // its os-release

	// systemd is the release of systemd, 0 if it could not be found out.
	systemd int

	architecture dps.Architecture // empty if it could not be found out
}

// systemdPaths are where its manager is.
func systemdPaths() []string { return []string{"usr/lib/systemd/systemd", "lib/systemd/systemd"} }

func readSystem(root *sysroot.Root) (s system, err error) {
	s.os, err = extension.ReadOS(func(path string) ([]byte, error) { return root.ReadFile(path[1:]) })
	if err != nil && !missing(err) {
		return s, err
	}
	for _, name := range systemdPaths() {
		if state, err := root.Stat(name); err == nil && state.Mode().IsRegular() {
			s.architecture = architectureOf(root, name)
			s.systemd, err = systemdRelease(root, name)
			return s, err
		}
	}
	return s, nil
}

// systemdRelease finds the release of systemd by the name of its library, or
// else by what the manager would say when it starts.
func systemdRelease(root *sysroot.Root, manager string) (int, error) {
	dirs := []string{path.Dir(manager)}
	for _, pattern := range []string{"usr/lib/*/systemd", "usr/lib64/systemd", "lib/*/systemd"} {
		found, err := fs.Glob(root, pattern)
		if err != nil {
			return 0, err
		}
		dirs = append(dirs, found...)
	}
	library := regexp.MustCompile(`^libsystemd-shared-(\d+)`)
	for _, dir := range dirs {
		entries, err := root.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if m := library.FindStringSubmatch(e.Name()); m != nil {
				return strconv.Atoi(m[1])
			}
		}
	}
	return releaseInside(root, manager)
}

// maxManager bounds what is read of the manager, which has a few megabytes.
const maxManager = 64 << 20

func releaseInside(root *sysroot.Root, manager string) (int, error) {
	f, err := root.Open(manager)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	said := regexp.MustCompile(`systemd (\d+)[^\x00]* running in %ssystem mode`)
	// The text may lie across two pieces, so each begins with the end of the
	// one before.
	const piece, overlap = 1 << 20, 256
	buf := make([]byte, 0, piece+overlap)
	for total := 0; total < maxManager; {
		n, err := io.ReadFull(f, buf[len(buf):len(buf)+piece])
		buf = buf[:len(buf)+n]
		total += n
		if m := said.FindSubmatch(buf); m != nil {
			return strconv.Atoi(string(m[1]))
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		buf = append(buf[:0], bytes.Clone(buf[max(0, len(buf)-overlap):])...)
	}
	return 0, nil
}

// architectureOf reads the architecture of a program.
func architectureOf(root *sysroot.Root, name string) dps.Architecture {
	f, err := root.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	r, ok := f.(io.ReaderAt)
	if !ok {
		return ""
	}
	header, err := program.ReadELF(r)
	if err != nil {
		return ""
	}
	return architectureFor(header)
}

func architectureFor(p program.ELF) dps.Architecture {
	// pick takes the architecture with the program's width and byte order.
	pick := func(big32, big64, little32, little64 dps.Architecture) dps.Architecture {
		switch wide := p.Class == program.Class64; {
		case p.Order == program.Big && wide:
			return big64
		case p.Order == program.Big:
			return big32
		case wide:
			return little64
		}
		return little32
	}
	switch p.Machine {
	case program.X86_64: // 32 bits wide too, as x32
		return dps.X86_64
	case program.I386:
		return dps.X86
	case program.AArch64:
		return dps.ARM64
	case program.ARM:
		return dps.ARM
	case program.RISCV:
		return pick("", "", dps.RISCV32, dps.RISCV64)
	case program.PPC:
		return dps.PPC
	case program.PPC64:
		return pick("", dps.PPC64, "", dps.PPC64LE)
	case program.S390:
		return pick(dps.S390, dps.S390X, "", "")
	case program.LoongArch:
		return pick("", "", "", dps.LoongArch64)
	case program.MIPS:
		return pick(dps.MIPS, dps.MIPS64, dps.MIPSLE, dps.MIPS64LE)
	case program.Alpha:
		return dps.Alpha
	case program.ARC, program.ARCv2:
		return dps.ARC
	case program.IA64:
		return dps.IA64
	case program.PARISC:
		return dps.PARISC
	case program.TILEGx:
		return dps.TILEGx
	}
	return ""
}
