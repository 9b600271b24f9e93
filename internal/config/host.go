package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sextant/internal/dps"
	"sextant/internal/extension"
)

// Host is the machine that builds, as far as it decides defaults. The zero
// Host stands for one that nothing is known of.
type Host struct {
	Distribution string // mkosi's name, or whatever ID= says
	Release      string
	Architecture dps.Architecture // empty means the one this program is built for
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

// DetectHost reads os-release below root, which is "/" but in tests. A machine
// without one is Distribution custom.
func DetectHost(root string) Host {
	h := Host{Architecture: dps.Native()}
	release, err := extension.ReadOS(func(path string) ([]byte, error) { return os.ReadFile(filepath.Join(root, path)) })
	if err == nil {
		h.Distribution, h.Release = identify(release)
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

func parseArchitecture(_ *place, text string) (dps.Architecture, error) {
	var names []string
	for _, a := range dps.Architectures() {
		if text == string(a) {
			return a, nil
		}
		names = append(names, string(a))
	}
	if a, err := dps.ParseArchitecture(text); err == nil {
		return "", complain("write Architecture="+string(a), "not systemd's name of an architecture")
	}
	return "", notOneOf(text, names)
}
