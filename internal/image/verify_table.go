package image

import (
	"strings"

	"sextant/internal/dps"
	"sextant/internal/format/gpt"
	"sextant/internal/verdict"
)

// table reports on the partition table.
func (v *verifier) table() error {
	if v.m.Table == nil {
		return nil
	}
	for _, p := range v.m.Problems {
		v.addWith(p.Rule, tableRule(p), tablePlace(p), "%s", p.Text)
	}
	if v.m.Table.SectorSize != defaultSector {
		v.add(verdict.TableSectorSize, "partition table", "sectors of %d bytes", v.m.Table.SectorSize)
	}
	if !v.sectorSizeShows() {
		v.add(verdict.TableSectors, string(gpt.PlacePrimary), "is damaged, and nothing else tells systemd that sectors have %d bytes", v.m.Table.SectorSize)
	}
	if len(v.m.Problems) == 0 {
		v.found.Good("partition table", "%d partitions, sectors of %d bytes", len(v.m.Parts), v.m.Table.SectorSize)
	}
	return nil
}

func tableRule(p gpt.Problem) verdict.Rule {
	switch {
	case p.Hidden:
		return verdict.TableIgnored
	case p.Place == gpt.PlaceMBR:
		return verdict.TableMBR
	case p.Place == gpt.PlacePartition:
		return verdict.TablePartition
	}
	return verdict.TableCopy
}

// tablePlace names the place of a problem, with the number of the partition.
func tablePlace(p gpt.Problem) string {
	place, _, _ := strings.Cut(p.Error(), ":")
	return place
}

// defaultSector is the sector size that systemd assumes where no primary
// header tells another (loop-util.c, probe_sector_size).
const defaultSector = 512

// sectorSizeShows reports whether systemd finds out the sector size: by the
// primary header only, of which it looks at the first bytes (gpt.c).
func (v *verifier) sectorSizeShows() bool {
	size := v.m.Table.SectorSize
	if size == defaultSector {
		return true
	}
	head := make([]byte, 32)
	if _, err := v.m.r.ReadAt(head, int64(size)); err != nil {
		return false
	}
	return string(head[:12]) == gpt.Signature+"\x00\x00\x01\x00" && head[24] == 1
}

// partitions checks that the partitions go together, as dissect_image does.
func (v *verifier) partitions() error {
	if v.m.Table == nil {
		return nil
	}
	for _, role := range []dps.Designator{dps.Root, dps.Usr} {
		v.company(role)
	}
	switch {
	case len(v.m.generic()) > 1 && len(v.m.Volumes()) == 0:
		v.add(verdict.PartitionGeneric, "partition table", "%d generic Linux partitions, and no root or usr", len(v.m.generic()))
	case len(v.m.Volumes()) == 0:
		v.add(verdict.PartitionMissing, "partition table", "no root and no usr partition")
	}
	v.together()
	v.others()
	return nil
}

// company checks that hash and signature partition have what they are for.
func (v *verifier) company(role dps.Designator) {
	hashRole, _ := role.Verity()
	sigRole, _ := role.VeritySig()
	data, hash, sig := v.m.find(role), v.m.find(hashRole), v.m.find(sigRole)
	for _, p := range []*Part{hash, sig} {
		if p != nil && data == nil {
			v.add(verdict.PartitionAlone, p.Name(), "there is no %s partition", role)
		}
	}
	if data != nil && sig != nil && hash == nil {
		v.add(verdict.PartitionAlone, sig.Name(), "a signature, but no hash partition")
	}
}

// together checks root and usr in one image.
func (v *verifier) together() {
	root, usr := v.m.find(dps.Root), v.m.find(dps.Usr)
	rootHash, usrHash := v.m.find(dps.RootVerity), v.m.find(dps.UsrVerity)
	switch {
	case root != nil && usr != nil && root.Type.Architecture != usr.Type.Architecture:
		v.add(verdict.PartitionMixed, usr.Name(), "is for %s, %s for %s", usr.Type.Architecture, root.Name(), root.Type.Architecture)
	case rootHash != nil && usrHash != nil:
		v.add(verdict.PartitionMixed, usrHash.Name(), "two hash partitions, systemd uses one in an image")
	case rootHash != nil && usr != nil:
		v.add(verdict.PartitionMixed, usr.Name(), "a usr partition beside a root partition with hash tree")
	}
}

// others tells of partitions that are not used.
func (v *verifier) others() {
	used := make(map[*Part]bool)
	for _, vol := range v.m.Volumes() {
		used[vol.Data], used[vol.Hash], used[vol.Signature] = true, true, true
	}
	for i := range v.m.Parts {
		p := &v.m.Parts[i]
		_, role := p.Type.Designator.Data()
		switch {
		case used[p]:
		case role && p.Attributes&gpt.NoAuto == 0 && v.m.find(p.Type.Designator) != p:
			v.add(verdict.PartitionTwice, p.Name(), "is not used: %s is for the same", v.m.find(p.Type.Designator).Name())
		default:
			v.add(verdict.PartitionOther, p.Name(), "is not used")
		}
	}
}
