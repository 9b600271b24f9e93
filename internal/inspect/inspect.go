// Package inspect tells what an image is, without checking whether that is
// true: partitions, file systems, protection, signature, release files, and
// what systemd would use it as.
//
// What systemd-dissect --json tells too has its names and its order (systemd
// src/dissect/dissect.c, action_dissect); docs/json.md lists them. Only
// superblocks, the partition table and release files are read, however large
// the image is, unless the files are asked for.
package inspect

import (
	"errors"
	"fmt"
	"path/filepath"

	"sextant/internal/fault"
	"sextant/internal/format/gpt"
	"sextant/internal/image"
	"sextant/internal/span"
)

// Inspection is what is known of an image.
type Inspection struct {
	Name         string   `json:"name"`
	Size         int64    `json:"size"` // bytes, 0 for a directory
	SectorSize   int      `json:"sectorSize,omitempty"`
	Architecture string   `json:"architecture,omitempty"`
	ImageUUID    string   `json:"imageUuid,omitempty"` // of the disk
	Metadata              // what the files say
	Uses                  // what systemd would use it as
	Mounts       []Mount  `json:"mounts"`
	Kind         string   `json:"kind"` // "disk image", "file system", "directory"
	Partitions   []Part   `json:"partitions"`
	Free         []Range  `json:"free"`
	Problems     []string `json:"problems"` // of the table
	Volumes      []Volume `json:"volumes"`
	Beside       *Beside  `json:"beside,omitempty"`
	Files        *Files   `json:"files,omitempty"`
}

// Beside is what files beside the image, and its extended attributes, say about
// its protection. Files are named without their directory.
type Beside struct {
	RootHash  string   `json:"rootHash,omitempty"`
	From      string   `json:"rootHashFrom,omitempty"` // a file or an extended attribute
	Tree      string   `json:"hashTree,omitempty"`
	Signature string   `json:"signature,omitempty"`
	Ignored   []string `json:"ignored,omitempty"` // names that systemd does not look for
}

// Range is a range of bytes.
type Range struct {
	Offset int64 `json:"offset"`
	Size   int64 `json:"size"`
}

// Part is one entry of the partition table, in its order.
type Part struct {
	Number     int    `json:"number"`
	Type       string `json:"type"` // "root-x86-64", or the UUID of an unknown one
	TypeUUID   string `json:"typeUuid"`
	UUID       string `json:"uuid"`
	Label      string `json:"label"`
	Attributes string `json:"attributes"`
	Range
}

// Mount is a partition that systemd knows what to do with, as one row of its
// table.
type Mount struct {
	RW           string  `json:"rw"` // "rw" or "ro"
	Designator   string  `json:"designator"`
	UUID         *string `json:"partition_uuid"`
	Label        *string `json:"partition_label"`
	FSType       *string `json:"fstype"`
	Architecture *string `json:"architecture"`
	Verity       *string `json:"verity"` // "no", "yes" or "signed"
	GrowFS       bool    `json:"growfs"`
	Number       *int    `json:"partno"`
}

// Image inspects an image. What cannot be understood of it is in the
// Inspection; an error says that it could not be read.
func Image(m *image.Image, withFiles bool) (*Inspection, error) {
	i := &Inspection{
		Name: filepath.Base(m.Path), Size: m.Size, Kind: "file system", SectorSize: 512,
		Mounts: []Mount{}, Partitions: []Part{}, Free: []Range{}, Problems: []string{}, Volumes: []Volume{},
	}
	switch {
	case m.Dir:
		i.Kind, i.SectorSize = "directory", 0
	case m.Table != nil:
		i.Kind, i.SectorSize, i.ImageUUID = "disk image", m.Table.SectorSize, m.Table.DiskGUID.String()
		i.addTable(m)
	}
	if err := i.addVolumes(m); err != nil {
		return nil, err
	}
	i.Beside = newBeside(m.Beside)
	if err := i.addMetadata(m); err != nil {
		return nil, err
	}
	i.addMounts(m)
	i.Uses = i.uses(m)
	if !withFiles {
		return i, nil
	}
	t, err := m.Tree()
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	i.Files = Count(t)
	return i, nil
}

func (i *Inspection) addTable(m *image.Image) {
	for _, p := range m.Parts {
		kind := p.Type.Name
		if kind == "" {
			kind = p.Partition.Type.String()
		}
		i.Partitions = append(i.Partitions, Part{
			Number: p.Number, Type: kind, TypeUUID: p.Partition.Type.String(), UUID: p.UUID.String(), Label: p.Partition.Name,
			Attributes: p.Attributes.String(), Range: rangeOf(p.Span),
		})
	}
	for _, s := range m.Free() {
		i.Free = append(i.Free, rangeOf(s))
	}
	for _, p := range m.Problems {
		i.Problems = append(i.Problems, p.Error())
	}
}

func rangeOf(s span.Span) Range { return Range{s.Offset, s.Length} }

// addVolumes describes root and usr, and takes the architecture of the first.
func (i *Inspection) addVolumes(m *image.Image) error {
	for _, vol := range m.Volumes() {
		v, err := newVolume(m, vol)
		if err != nil {
			return err
		}
		i.Volumes = append(i.Volumes, v)
		if i.Architecture == "" {
			i.Architecture = string(vol.Data.Type.Architecture)
		}
	}
	return nil
}

// newBeside returns nil if nothing lies beside the image.
func newBeside(s image.Sidecar) *Beside {
	b := &Beside{RootHash: s.RootHash, From: base(s.From), Tree: base(s.Tree), Signature: base(s.Signature)}
	for _, path := range s.Ignored {
		b.Ignored = append(b.Ignored, base(path))
	}
	if b.From == "" && b.Tree == "" && b.Signature == "" && b.Ignored == nil {
		return nil
	}
	return b
}

// base is filepath.Base, but "" of "".
func base(path string) string {
	if path == "" {
		return ""
	}
	return filepath.Base(path)
}

// addMounts lists what systemd makes of the volumes and their protection.
func (i *Inspection) addMounts(m *image.Image) {
	for n, vol := range m.Volumes() {
		v := i.Volumes[n]
		i.Mounts = append(i.Mounts, newMount(m, vol.Data, string(vol.Role()), v.FileSystem.Kind, v.protection(m)))
		if vol.Hash != nil {
			i.Mounts = append(i.Mounts, newMount(m, vol.Hash, string(vol.Hash.Type.Designator), "DM_verity_hash", ""))
		}
		if vol.Signature != nil {
			i.Mounts = append(i.Mounts, newMount(m, vol.Signature, string(vol.Signature.Type.Designator), "verity_hash_signature", ""))
		}
	}
}

// newMount returns the row of a partition. Read-only is what has the attribute,
// a hash tree, or a file system that cannot be written (fstype_is_ro).
func newMount(m *image.Image, p *image.Part, role string, fsType image.Kind, verity string) Mount {
	ro := p.Attributes&gpt.ReadOnly != 0 || verity == "yes" || verity == "signed" || fsType == "erofs" || fsType == "squashfs" || fsType == "DM_verity_hash" || fsType == "verity_hash_signature"
	row := Mount{RW: "rw", Designator: role, FSType: text(string(fsType)), Verity: text(verity), GrowFS: p.Attributes&gpt.GrowFS != 0 && !ro}
	if ro {
		row.RW = "ro"
	}
	if m.Table == nil {
		return row
	}
	row.UUID, row.Label, row.Number = text(p.UUID.String()), text(p.Partition.Name), &p.Number
	row.Architecture = text(string(p.Type.Architecture))
	return row
}

// text returns nil for what is not known.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// understood sorts an error: one about the bytes becomes a text, one about
// reading them stays one.
func understood(err error) (problem string, fatal error) {
	if errors.Is(err, fault.ErrCorrupt) || errors.Is(err, fault.ErrUnsupported) || errors.Is(err, fault.ErrUntrusted) {
		return err.Error(), nil
	}
	return "", err
}
