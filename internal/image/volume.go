package image

import (
	"slices"

	"sextant/internal/dps"
	"sextant/internal/format/gpt"
	"sextant/internal/version"
)

// Volume is a data partition with what protects it.
type Volume struct {
	Data      *Part
	Hash      *Part // nil without dm-verity
	Signature *Part // nil without signature
}

// RootHash returns the root hash that the UUIDs of data and hash partition
// stand for: 32 bytes, as systemd guesses it (dissect-image.c).
func (v Volume) RootHash() []byte {
	return append(append([]byte{}, v.Data.UUID[:]...), v.Hash.UUID[:]...)
}

// Role returns Root or Usr. A bare file system and a generic Linux partition
// are taken as the root.
func (v Volume) Role() dps.Designator {
	if v.Data.Type.Designator == dps.Usr {
		return dps.Usr
	}
	return dps.Root
}

// Volumes returns the root and the /usr partition as systemd chooses them
// (dissect-image.c, dissect_image). A directory has none.
func (m *Image) Volumes() []Volume {
	if m.Dir {
		return nil
	}
	if m.Table == nil {
		return []Volume{{Data: &m.Parts[0]}}
	}
	var list []Volume
	for _, role := range []dps.Designator{dps.Root, dps.Usr} {
		data := m.find(role)
		if data == nil {
			continue
		}
		hash, _ := role.Verity()
		sig, _ := role.VeritySig()
		list = append(list, Volume{Data: data, Hash: m.find(hash), Signature: m.find(sig)})
	}
	if generic := m.generic(); len(list) == 0 && len(generic) == 1 {
		list = []Volume{{Data: generic[0]}}
	}
	return list
}

// generic returns the generic Linux partitions. One alone is the root of an
// image that has neither root nor usr.
func (m *Image) generic() (list []*Part) {
	for i := range m.Parts {
		if p := &m.Parts[i]; p.Type.Designator == dps.LinuxGeneric && p.Attributes&gpt.NoAuto == 0 {
			list = append(list, p)
		}
	}
	return list
}

// find returns the partition of a role that systemd takes: none that is not to
// be mounted, one of this machine's architecture before those of others, and
// then the one whose label is the newest version.
func (m *Image) find(role dps.Designator) *Part {
	var found *Part
	for i := range m.Parts {
		p := &m.Parts[i]
		if p.Type.Designator != role || p.Attributes&gpt.NoAuto != 0 {
			continue
		}
		if found == nil || p.before(found) {
			found = p
		}
	}
	return found
}

// before reports whether systemd takes p instead of other, which has the same
// role and comes before it in the table.
func (p *Part) before(other *Part) bool {
	mine, others := preference(p.Type.Architecture), preference(other.Type.Architecture)
	if mine != others {
		return mine < others
	}
	return p.Type.Architecture == other.Type.Architecture && p.versioned() && version.Compare(p.Partition.Name, other.Partition.Name) > 0
}

// preference ranks architectures: the machine's own, the one it runs too, any
// other.
func preference(a dps.Architecture) int {
	native := dps.Native()
	secondary, _ := native.Secondary()
	if at := slices.Index([]dps.Architecture{native, secondary}, a); at >= 0 {
		return at
	}
	return 2
}

// versioned reports whether the label of a partition tells its version
// (partition_designator_is_versioned).
func (p *Part) versioned() bool {
	_, ok := p.Type.Designator.Data()
	return ok
}
