package policy

import "slices"

// Designator names the purpose of a partition, whatever its architecture
// (UAPI.2, Discoverable Partitions Specification).
type Designator string

// The designators that a policy can have rules for.
const (
	Root          Designator = "root"
	Usr           Designator = "usr"
	Home          Designator = "home"
	Srv           Designator = "srv"
	ESP           Designator = "esp"
	XBOOTLDR      Designator = "xbootldr"
	Swap          Designator = "swap"
	RootVerity    Designator = "root-verity"
	UsrVerity     Designator = "usr-verity"
	RootVeritySig Designator = "root-verity-sig"
	UsrVeritySig  Designator = "usr-verity-sig"
	Tmp           Designator = "tmp"
	Var           Designator = "var"
)

// Designators returns all designators in the order in which systemd sorts the
// rules of a policy.
func Designators() []Designator {
	return []Designator{
		Root, Usr, Home, Srv, ESP, XBOOTLDR, Swap,
		RootVerity, UsrVerity, RootVeritySig, UsrVeritySig, Tmp, Var,
	}
}

func (d Designator) known() bool { return slices.Contains(Designators(), d) }

func (d Designator) compare(other Designator) int {
	all := Designators()
	return slices.Index(all, d) - slices.Index(all, other)
}

// hasVerity reports whether a hash partition can protect the partition.
func (d Designator) hasVerity() bool { return d == Root || d == Usr }

// verity and veritySig return the partitions that protect a data partition.
// They are the empty designator for partitions that have none.
func (d Designator) verity() Designator    { return d.companion(RootVerity, UsrVerity) }
func (d Designator) veritySig() Designator { return d.companion(RootVeritySig, UsrVeritySig) }

func (d Designator) companion(ofRoot, ofUsr Designator) Designator {
	switch d {
	case Root:
		return ofRoot
	case Usr:
		return ofUsr
	}
	return ""
}

// protects returns the data partition that a hash or signature partition
// belongs to, and which flags of the data partition's rule call for it.
func (d Designator) protects() (data Designator, flags Flags) {
	switch d {
	case RootVerity:
		return Root, Verity | Signed
	case UsrVerity:
		return Usr, Verity | Signed
	case RootVeritySig:
		return Root, Signed
	case UsrVeritySig:
		return Usr, Signed
	}
	return "", 0
}
