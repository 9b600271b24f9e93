package diff

import (
	"fmt"
	"strings"

	"sextant/internal/inspect"
)

// property is a name and its value.
type property struct{ name, value string }

// compare returns the properties that differ, in the order of a, then those
// that only b has.
func compare(a, b []property) []Field {
	list := []Field{}
	other := make(map[string]string, len(b))
	for _, p := range b {
		other[p.name] = p.value
	}
	known := make(map[string]bool, len(a))
	for _, p := range a {
		known[p.name] = true
		if p.value != other[p.name] {
			list = append(list, Field{p.name, p.value, other[p.name]})
		}
	}
	for _, p := range b {
		if !known[p.name] && p.value != "" {
			list = append(list, Field{p.name, "", p.value})
		}
	}
	return list
}

// releaseFields lists the fields of all release files.
func releaseFields(i *inspect.Inspection) (list []property) {
	for _, r := range i.Releases {
		list = append(list, property{r.Class, r.Name})
		for _, f := range r.Fields {
			key, value, _ := strings.Cut(f, "=")
			list = append(list, property{key, value})
		}
	}
	return list
}

// imageFields lists what is around the files: disk, partitions, file system,
// protection, signer.
func imageFields(i *inspect.Inspection) []property {
	list := []property{
		{"kind", i.Kind}, {"size", fmt.Sprint(i.Size)}, {"sector size", fmt.Sprint(i.SectorSize)},
		{"architecture", i.Architecture}, {"disk UUID", i.ImageUUID},
	}
	for _, p := range i.Partitions {
		name := fmt.Sprintf("partition %d ", p.Number)
		list = append(list, property{name + "type", p.Type}, property{name + "UUID", p.UUID}, property{name + "label", p.Label},
			property{name + "attributes", p.Attributes}, property{name + "offset", fmt.Sprint(p.Offset)}, property{name + "size", fmt.Sprint(p.Size)})
	}
	for _, v := range i.Volumes {
		list = append(list, volumeFields(v)...)
	}
	return list
}

func volumeFields(v inspect.Volume) []property {
	f := v.FileSystem
	list := []property{
		{"file system", string(f.Kind)}, {"file system size", fmt.Sprint(f.Size)}, {"block size", fmt.Sprint(f.BlockSize)},
		{"file system UUID", f.UUID}, {"file system label", f.Label}, {"compression", f.Compression},
		{"features", strings.Join(f.Features, ", ")},
	}
	if v.Verity != nil {
		list = append(list, property{"root hash", v.Verity.RootHash}, property{"hash algorithm", v.Verity.Algorithm},
			property{"salt", v.Verity.Salt}, property{"data blocks", fmt.Sprint(v.Verity.DataBlocks)},
			property{"data block size", fmt.Sprint(v.Verity.DataBlockSize)}, property{"hash block size", fmt.Sprint(v.Verity.HashBlockSize)})
	}
	if v.Signature != nil {
		list = append(list, property{"signature", "present"}, property{"certificate fingerprint", v.Signature.Fingerprint})
		for n, s := range v.Signature.Signers {
			list = append(list, property{fmt.Sprintf("signer %d", n+1), strings.TrimSpace(s.Issuer + " " + s.Serial + s.KeyID)})
		}
	}
	for n := range list {
		if v.Role == "root" {
			break // most images have nothing else
		}
		list[n].name = v.Role + " " + list[n].name
	}
	return list
}
