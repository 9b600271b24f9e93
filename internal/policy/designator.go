package policy

import (
	"slices"

	"sextant/internal/dps"
)

// Designators returns the designators that a policy can have rules for, in the
// order in which systemd sorts the rules.
func Designators() []dps.Designator {
	return []dps.Designator{
		dps.Root, dps.Usr, dps.Home, dps.Srv, dps.ESP, dps.XBOOTLDR, dps.Swap,
		dps.RootVerity, dps.UsrVerity, dps.RootVeritySig, dps.UsrVeritySig, dps.Tmp, dps.Var,
	}
}

func known(d dps.Designator) bool { return slices.Contains(Designators(), d) }

// protects reports whether d is a hash or signature partition, which data
// partition it protects, and which flags of that one's rule call for d.
func protects(d dps.Designator) (data dps.Designator, calling Flags, ok bool) {
	data, _ = d.Data()
	switch {
	case d.IsVerity():
		return data, Verity | Signed, true
	case d.IsVeritySig():
		return data, Signed, true
	}
	return "", 0, false
}
