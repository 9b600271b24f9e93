package dps

import (
	"fmt"
	"slices"
	"strings"

	"sextant/internal/format/gpt"
)

// Designator is the role of a partition, whatever its architecture.
type Designator string

// The roles. The first six have a type for each architecture.
const (
	Root          Designator = "root"
	RootVerity    Designator = "root-verity"
	RootVeritySig Designator = "root-verity-sig"
	Usr           Designator = "usr"
	UsrVerity     Designator = "usr-verity"
	UsrVeritySig  Designator = "usr-verity-sig"

	ESP          Designator = "esp"
	XBOOTLDR     Designator = "xbootldr"
	Swap         Designator = "swap"
	Home         Designator = "home"
	Srv          Designator = "srv"
	Var          Designator = "var"
	Tmp          Designator = "tmp"
	UserHome     Designator = "user-home"
	LinuxGeneric Designator = "linux-generic"
)

// Verity returns the role of the hash tree for the data role d: Root or Usr.
func (d Designator) Verity() (Designator, bool) { return d.partner(RootVerity, UsrVerity) }

// VeritySig returns the role of the signature for the data role d.
func (d Designator) VeritySig() (Designator, bool) { return d.partner(RootVeritySig, UsrVeritySig) }

func (d Designator) partner(root, usr Designator) (Designator, bool) {
	switch d {
	case Root:
		return root, true
	case Usr:
		return usr, true
	}
	return "", false
}

// Data returns the data role, Root or Usr, that d belongs to: that of a hash
// tree or a signature, and d itself for the two.
func (d Designator) Data() (Designator, bool) {
	switch d {
	case Root, RootVerity, RootVeritySig:
		return Root, true
	case Usr, UsrVerity, UsrVeritySig:
		return Usr, true
	}
	return "", false
}

// IsVerity reports whether d is the role of a hash tree.
func (d Designator) IsVerity() bool { return d == RootVerity || d == UsrVerity }

// IsVeritySig reports whether d is the role of a signature.
func (d Designator) IsVeritySig() bool { return d == RootVeritySig || d == UsrVeritySig }

// Type is a partition type.
type Type struct {
	UUID gpt.GUID

	// Name is systemd's name, such as "root-x86-64-verity", which is also the
	// label that systemd-repart gives to a partition of this type.
	Name string

	Designator Designator

	// Architecture is empty for types that do not depend on it.
	Architecture Architecture

	// Description is how fdisk calls it, such as "Linux root verity (x86-64)".
	Description string
}

// Types lists all types, those with an architecture first.
func Types() []Type {
	var all []Type
	for _, r := range rows("") {
		for nth := range r.uuids {
			all = append(all, r.typ(nth))
		}
	}
	return append(all, plainTypes()...)
}

func describe(d Designator, architecture string) string {
	what := "Linux root"
	if data, _ := d.Data(); data == Usr {
		what = "Linux /usr"
	}
	switch {
	case d.IsVerity():
		what += " verity"
	case d.IsVeritySig():
		what += " verity sign."
	}
	return what + " (" + architecture + ")"
}

func plainTypes() []Type {
	plain := func(d Designator, uuid, description string) Type {
		return Type{UUID: gpt.MustParseGUID(uuid), Name: string(d), Designator: d, Description: description}
	}
	return []Type{
		plain(ESP, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EFI System"),
		plain(XBOOTLDR, "bc13c2ff-59e6-4262-a352-b275fd6f7172", "Linux extended boot"),
		plain(Swap, "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "Linux swap"),
		plain(Home, "933ac7e1-2eb4-4f13-b844-0e14e2aef915", "Linux home"),
		plain(Srv, "3b8f8425-20e0-4f3b-907f-1a25a76f98e8", "Linux server data"),
		plain(Var, "4d21b016-b534-45c2-a9fb-5c16e091fd2d", "Linux variable data"),
		plain(Tmp, "7ec6f557-3bc5-4aca-b293-16ef5df639d1", "Linux temporary data"),
		plain(UserHome, "773f91ef-66d4-49b5-bd83-d683bf40ad16", "Linux user's home"),
		plain(LinuxGeneric, "0fc63daf-8483-4772-8e79-3d69d8477de4", "Linux filesystem"),
	}
}

// TypeOf returns the type with the given UUID.
func TypeOf(uuid gpt.GUID) (Type, bool) {
	text := uuid.String()
	for _, r := range rows(text) {
		if nth := slices.Index(r.uuids, text); nth >= 0 {
			return r.typ(nth), true
		}
	}
	return plainType(func(t Type) bool { return t.UUID == uuid })
}

// TypeFor returns the type of a role on an architecture. The architecture does
// not matter for roles that do not depend on it.
func TypeFor(d Designator, a Architecture) (Type, bool) {
	for _, r := range rows(string(a)) {
		nth := slices.Index(r.roles(), d)
		if nth >= 0 && r.architecture == a {
			return r.typ(nth), true
		}
	}
	return plainType(func(t Type) bool { return t.Designator == d })
}

func plainType(wanted func(Type) bool) (Type, bool) {
	all := plainTypes()
	if i := slices.IndexFunc(all, wanted); i >= 0 {
		return all[i], true
	}
	return Type{}, false
}

// ParseType takes what Type= of systemd-repart takes: a name with an
// architecture or one of its aliases ("root-x86-64", "usr-aarch64-verity"), a
// name without one, which means native ("root-verity"), the 32-bit partner of
// native ("root-secondary"), a plain type ("esp"), or a UUID. A UUID that is
// not in the table gives a Type with nothing but that UUID.
func ParseType(text string, native Architecture) (Type, error) {
	if uuid, err := gpt.ParseGUID(text); err == nil {
		if t, ok := TypeOf(uuid); ok {
			return t, nil
		}
		return Type{UUID: uuid}, nil
	}
	if t, ok := TypeFor(Designator(text), native); ok {
		return t, nil
	}
	role, rest, _ := strings.Cut(text, "-")
	name, suffix := rest, ""
	for _, s := range []string{"-verity-sig", "-verity"} {
		if before, found := strings.CutSuffix(rest, s); found {
			name, suffix = before, s
			break
		}
	}
	architecture, err := ParseArchitecture(name)
	if secondary, ok := native.Secondary(); ok && name == "secondary" {
		architecture, err = secondary, nil
	}
	if err == nil && (role == "root" || role == "usr") {
		if t, ok := TypeFor(Designator(role+suffix), architecture); ok {
			return t, nil
		}
	}
	return Type{}, fmt.Errorf("unknown partition type %q", text)
}

// Attributes returns the attribute bits that the specification gives a meaning
// for this type. systemd-repart ignores ReadOnly=, GrowFileSystem= and NoAuto=
// for the others. For signatures systemd 262 knows ReadOnly, 257 does not.
func (t Type) Attributes() gpt.Attributes {
	switch t.Designator {
	case Root, Usr, Home, Srv, Var, Tmp, XBOOTLDR:
		return gpt.ReadOnly | gpt.GrowFS | gpt.NoAuto
	case RootVerity, UsrVerity:
		return gpt.ReadOnly | gpt.NoAuto
	case RootVeritySig, UsrVeritySig:
		return gpt.ReadOnly
	case Swap:
		return gpt.NoAuto
	}
	return 0
}
