package rootfs

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
)

// Release is a Debian release with the version of systemd that it carries.
type Release struct {
	Suite   string // Debian's name
	Systemd int    // major version of systemd
}

// Releases returns every release there is a recipe for, oldest first.
func Releases() []Release { return []Release{Bookworm(), Trixie(), Sid()} }

// Bookworm is Debian 12.
func Bookworm() Release { return Release{Suite: "bookworm", Systemd: 252} }

// Trixie is Debian 13.
func Trixie() Release { return Release{Suite: "trixie", Systemd: 257} }

// Sid is Debian unstable. What it carries moves with the day of the build.
func Sid() Release { return Release{Suite: "sid", Systemd: 262} }

// String returns the suite.
func (r Release) String() string { return r.Suite }

// packages are what every release gets: systemd with what it loads at run
// time (cryptsetup-bin brings libcryptsetup), a kernel, and tools for tests.
const packages = "systemd systemd-sysv systemd-container udev dbus kmod initramfs-tools linux-image-cloud-amd64 " +
	"erofs-utils squashfs-tools e2fsprogs cryptsetup-bin dmsetup openssl jq attr acl libcap2-bin strace fdisk xz-utils zstd"

// buildTools are in trixie and sid only: bookworm's mkosi 14 knows no system
// extensions, and its systemd-repart is part of systemd.
const buildTools = "systemd-repart mkosi"

// mmdebstrap returns the arguments of mmdebstrap, without the directory.
func (r Release) mmdebstrap() []string {
	include := strings.Fields(packages)
	args := []string{"--variant=apt"}
	switch r.Suite {
	case "trixie":
		include = append(include, strings.Fields(buildTools)...)
	case "sid":
		// systemd 262 only recommends mount, and mounts nothing without it.
		include = append(include, strings.Fields(buildTools+" systemd-tests mount")...)
		// A snapshot of sid that a mirror serves may be older than a week.
		args = append(args, `--aptopt=Acquire::Check-Valid-Until "false"`)
	}
	return append(args, "--include="+strings.Join(include, ","), r.Suite)
}

// mkfs returns the arguments of mkfs.ext4, without directory and image.
func (r Release) mkfs() []string {
	return []string{"-q", "-F", "-L", "root", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1"}
}

// diskSize leaves more than 3 GiB for what tests write; the file is sparse.
const diskSize = 4 << 30

// dir returns where r lies in the cache. The name changes with the recipe.
func (r Release) dir(cache string) string {
	recipe := fmt.Sprintln(r.mmdebstrap(), r.mkfs(), int64(diskSize))
	sum := sha256.Sum256([]byte(recipe))
	return filepath.Join(cache, "rootfs", fmt.Sprintf("%s-%x", r.Suite, sum[:6]))
}
