package policy

import (
	"strings"

	"sextant/internal/dps"
)

// Flags are the alternatives that a rule allows.
type Flags uint32

// The flags of a rule. At least one of the first group must fit a partition;
// an empty group allows everything it could ask for.
const (
	Verity                 Flags = 1 << iota // exists, used with dm-verity
	Signed                                   // exists, used with dm-verity and a signed root hash
	Encrypted                                // exists, used with LUKS
	EncryptedWithIntegrity                   // exists, used with LUKS and dm-integrity, since 260
	Unprotected                              // exists, used with neither
	Unused                                   // exists, not used
	Absent                                   // does not exist

	ReadOnlyOff // the partition's read-only flag is off
	ReadOnlyOn  // or on
	GrowFSOff   // the partition's growfs flag is off
	GrowFSOn    // or on

	Btrfs // file systems, since 260
	EROFS
	Ext4
	F2FS
	SquashFS
	VFAT
	XFS

	Ignore = Unused | Absent
	Open   = Verity | Signed | Encrypted | EncryptedWithIntegrity | Unprotected | Ignore

	// FileSystems are all flags that name a file system.
	FileSystems = Btrfs | EROFS | Ext4 | F2FS | SquashFS | VFAT | XFS

	readOnly = ReadOnlyOff | ReadOnlyOn
	growFS   = GrowFSOff | GrowFSOn
	gptFlags = readOnly | growFS
)

type flagName struct {
	name string
	flag Flags
}

// flagNames lists the flags in the order in which systemd prints them.
func flagNames() []flagName {
	return []flagName{
		{"verity", Verity},
		{"signed", Signed},
		{"encrypted", Encrypted},
		{"encryptedwithintegrity", EncryptedWithIntegrity},
		{"unprotected", Unprotected},
		{"unused", Unused},
		{"absent", Absent},
		{"read-only-on", ReadOnlyOn},
		{"read-only-off", ReadOnlyOff},
		{"growfs-off", GrowFSOff},
		{"growfs-on", GrowFSOn},
		{"btrfs", Btrfs},
		{"erofs", EROFS},
		{"ext4", Ext4},
		{"f2fs", F2FS},
		{"squashfs", SquashFS},
		{"vfat", VFAT},
		{"xfs", XFS},
	}
}

// flagCalled returns the flags that a word of a policy stands for.
func flagCalled(word string) (Flags, bool) {
	switch word {
	case "open":
		return Open, true
	case "ignore":
		return Ignore, true
	}
	for _, n := range flagNames() {
		if n.name == word {
			return n.flag, true
		}
	}
	return 0, false
}

// FileSystem returns the flag for the file system called name ("erofs"), and
// 0 for one that no flag exists for.
func FileSystem(name string) Flags {
	f, _ := flagCalled(name)
	return f & FileSystems
}

// Has reports whether f and want have a flag in common.
func (f Flags) Has(want Flags) bool { return f&want != 0 }

// Extend fills the groups that say nothing: without any way of use all are
// allowed, and so with the two GPT flags. File systems stay as they are.
func (f Flags) Extend() Flags {
	for _, group := range []Flags{Open, readOnly, growFS} {
		if f&group == 0 {
			f |= group
		}
	}
	return f
}

// reduce empties the groups that allow everything, the reverse of Extend.
func (f Flags) reduce() Flags {
	for _, group := range []Flags{Open, readOnly, growFS} {
		if f&group == group {
			f &^= group
		}
	}
	return f
}

// impossible reports whether extended flags lost a whole group, so that
// nothing can satisfy them.
func (f Flags) impossible() bool {
	return f&Open == 0 || f&readOnly == 0 || f&growFS == 0
}

// normalize extends flags, and drops what means nothing for the designator.
func (f Flags) normalize(d dps.Designator) Flags {
	f = f.Extend()
	if _, _, ok := protects(d); ok {
		f &^= Verity | Signed | Encrypted | EncryptedWithIntegrity
	}
	if _, ok := d.Verity(); !ok {
		f &^= Verity | Signed
	}
	if f&Open == Absent {
		f &^= gptFlags
	}
	return f
}

// String gives the flags in systemd's short form: open and ignore for what
// they stand for, GPT flags only where they restrict, and - for none.
func (f Flags) String() string {
	var words []string
	switch f & Open {
	case Open:
		words = append(words, "open")
	case Ignore:
		words = append(words, "ignore")
	default:
		words = f.words(Open)
	}
	for _, group := range []Flags{readOnly, growFS} {
		if f&group != group {
			words = append(words, f.words(group)...)
		}
	}
	return join(append(words, f.words(FileSystems)...))
}

// Long gives every flag by its name, and - for none.
func (f Flags) Long() string { return join(f.words(^Flags(0))) }

func (f Flags) words(group Flags) []string {
	var words []string
	for _, n := range flagNames() {
		if f.Has(n.flag & group) {
			words = append(words, n.name)
		}
	}
	return words
}

func join(words []string) string {
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, "+")
}
