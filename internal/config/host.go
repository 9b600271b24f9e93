package config

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"sextant/internal/extension"
)

// Host is the machine that builds, as far as it decides defaults. The zero
// Host stands for one that nothing is known of.
type Host struct {
	Distribution string // mkosi's name, or whatever ID= says
	Release      string
	Architecture string // "x86-64"; empty means the one this program is built for
}

// distribution is what mkosi knows of a distribution without asking it.
type distribution struct {
	release    string // the default release
	filesystem string // %F
}

// distributions are the values of Distribution= in mkosi 27.
func distributions() map[string]distribution {
	centos := distribution{"10", "xfs"}
	return map[string]distribution{
		"fedora":       {"rawhide", "btrfs"},
		"debian":       {"testing", "ext4"},
		"kali":         {"kali-rolling", "ext4"},
		"ubuntu":       {"devel", "ext4"},
		"postmarketos": {"edge", "ext4"},
		"arch":         {"rolling", "ext4"},
		"opensuse":     {"tumbleweed", "btrfs"},
		"mageia":       {"cauldron", "ext4"},
		"openmandriva": {"cooker", "ext4"},
		"azure":        {"3.0", "ext4"},
		"custom":       {"", "ext4"},
		"centos":       centos,
		"rhel":         centos,
		"rhel-ubi":     centos,
		"rocky":        centos,
		"alma":         centos,
	}
}

// architectures are the values of Architecture= in mkosi 27, which are
// systemd's names.
func architectures() []string {
	return []string{
		"alpha", "arc", "arm", "arm64", "ia64", "loongarch64", "mips-le", "mips64-le", "parisc", "ppc", "ppc64",
		"ppc64-le", "riscv32", "riscv64", "s390", "s390x", "tilegx", "x86", "x86-64",
	}
}

// nativeArchitecture returns the architecture that this program runs on.
func nativeArchitecture() string {
	name, known := map[string]string{
		"386": "x86", "amd64": "x86-64", "mipsle": "mips-le", "mips64le": "mips64-le", "ppc64le": "ppc64-le", "loong64": "loongarch64",
	}[runtime.GOARCH]
	if !known {
		return runtime.GOARCH
	}
	return name
}

// DetectHost reads os-release below root, which is "/" but in tests. A machine
// without one is Distribution custom.
func DetectHost(root string) Host {
	h := Host{Architecture: nativeArchitecture()}
	for _, path := range []string{"etc/os-release", "usr/lib/os-release"} {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			continue
		}
		if release, err := extension.ParseRelease(text); err == nil {
			h.Distribution, h.Release = identify(release)
		}
		return h
	}
	return h
}

// identify finds mkosi's name of the distribution in ID= or ID_LIKE=, and its
// release.
func identify(r extension.Release) (name, release string) {
	id := r.Value("ID")
	for _, candidate := range append([]string{id}, strings.Fields(r.Value("ID_LIKE"))...) {
		if candidate == "azurelinux" {
			candidate = "azure"
		}
		if _, known := distributions()[candidate]; known {
			name = candidate
			break
		}
	}
	release = r.Value("VERSION_ID")
	if id == "opensuse-tumbleweed" {
		release = "tumbleweed"
	}
	if codename := r.Value("VERSION_CODENAME"); codename != "" && slices.Contains([]string{"debian", "ubuntu", "kali"}, name) {
		release = codename
	}
	if release == "" {
		release = distributions()[name].release
	}
	return name, release
}

func parseDistribution(_ *place, text string) (string, error) {
	if _, known := distributions()[text]; known {
		return text, nil
	}
	var names []string
	for name := range distributions() {
		names = append(names, name)
	}
	slices.Sort(names)
	return "", notOneOf(text, names)
}

func parseArchitecture(_ *place, text string) (string, error) {
	if slices.Contains(architectures(), text) {
		return text, nil
	}
	alias := map[string]string{
		"amd64": "x86-64", "x86_64": "x86-64", "aarch64": "arm64", "i386": "x86", "i686": "x86", "armv7l": "arm",
		"ppc64le": "ppc64-le", "ppc64el": "ppc64-le", "loong64": "loongarch64", "mipsel": "mips-le", "mips64el": "mips64-le",
	}[text]
	if alias != "" {
		return "", complain("write Architecture="+alias, "not systemd's name of an architecture")
	}
	return "", notOneOf(text, architectures())
}
