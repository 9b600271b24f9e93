package repart

import (
	"errors"
	"slices"
	"strings"

	"sextant/internal/dps"
	"sextant/internal/format/gpt"
	"sextant/internal/ini"
)

// reader reads the definition of one partition.
type reader struct {
	native   dps.Architecture
	d        Definition
	flags    uint64
	readOnly *bool // nil is the default
	noAuto   *bool
	growFS   *bool
	at       map[string]ini.Position // where each setting was assigned last
}

func newReader(f file, native dps.Architecture) *reader {
	return &reader{native: native, at: map[string]ini.Position{}, d: Definition{
		Name:    strings.TrimSuffix(f.path, ".conf"),
		At:      ini.Position{File: f.name()},
		SizeMin: Unset, SizeMax: Unset, PaddingMin: Unset, PaddingMax: Unset,
		Weight: 1000, Minimize: MinimizeOff, Verity: VerityOff, SplitName: "%t",
	}}
}

// complaint is the leaf of an error about a value.
type complaint struct{ text, help string }

func (c *complaint) Error() string { return c.text }

// file takes the settings of one file.
func (r *reader) file(f file) error {
	text, err := ini.ReadFS(f.dir.FS, f.path, f.name())
	if err != nil {
		return err
	}
	sections, err := ini.Parse(ini.Systemd, f.name(), text)
	if err != nil {
		return err
	}
	for _, s := range sections {
		if strings.HasPrefix(s.Name, "X-") {
			continue
		}
		if s.Name != "Partition" {
			return ini.Faultf(s.At, "write [Partition]", "unknown section [%s]", s.Name)
		}
		for _, k := range s.Keys {
			if err := r.key(k); err != nil {
				return err
			}
		}
	}
	return nil
}

// key takes one setting.
func (r *reader) key(k ini.Key) error {
	set := r.setters()[k.Name]
	if set == nil {
		return r.refuse(k)
	}
	r.at[k.Name] = k.At
	err := set(k.Value)
	if err == nil {
		return nil
	}
	help := ""
	if c := (*complaint)(nil); errors.As(err, &c) {
		help = c.help
	}
	return ini.Faultf(k.At, help, "%s=%s: %v", k.Name, k.Value, err)
}

func (r *reader) setters() map[string]func(string) error {
	d := &r.d
	return map[string]func(string) error{
		"Type":                     r.setType,
		"Label":                    r.setLabel,
		"UUID":                     r.setUUID,
		"Format":                   r.setFormat,
		"CopyFiles":                r.addCopy,
		"ExcludeFiles":             r.addExclude,
		"MakeDirectories":          r.addDirs,
		"MakeSymlinks":             r.addSymlinks,
		"Minimize":                 r.setMinimize,
		"SizeMinBytes":             func(v string) error { return setSize(v, roundDown, &d.SizeMin) },
		"SizeMaxBytes":             func(v string) error { return setSize(v, roundUp, &d.SizeMax) },
		"PaddingMinBytes":          func(v string) error { return setSize(v, roundDown, &d.PaddingMin) },
		"PaddingMaxBytes":          func(v string) error { return setSize(v, roundUp, &d.PaddingMax) },
		"Weight":                   r.setWeight,
		"Verity":                   r.setVerity,
		"VerityMatchKey":           func(v string) error { d.VerityMatchKey = v; return nil },
		"VerityDataBlockSizeBytes": func(v string) error { return setBlockSize(v, &d.VerityDataBlockSize) },
		"VerityHashBlockSizeBytes": func(v string) error { return setBlockSize(v, &d.VerityHashBlockSize) },
		"ReadOnly":                 func(v string) error { return setTristate(v, &r.readOnly) },
		"NoAuto":                   func(v string) error { return setTristate(v, &r.noAuto) },
		"GrowFileSystem":           func(v string) error { return setTristate(v, &r.growFS) },
		"Flags":                    func(v string) error { return setNumber(v, &r.flags) },
		"SplitName":                r.setSplitName,
	}
}

// others are the settings of systemd-repart that are not taken, why, and the
// values of them that ask for nothing.
func others() map[string]struct {
	why      string
	accepted []string
} {
	type other = struct {
		why      string
		accepted []string
	}
	const (
		space      = "a partition is as large as what is in it, there is no space to share out"
		encrypting = "sextant encrypts nothing"
		disk       = "it is for disks that are in use, sextant writes new images"
		compress   = "sextant does not write compressed file systems"
		mounting   = "the image of an extension is not mounted by fstab or crypttab"
		subvolumes = "erofs has no subvolumes"
	)
	return map[string]other{
		"Priority":             {space, []string{"0"}},
		"PaddingWeight":        {space, []string{"0"}},
		"SupplementFor":        {space, []string{""}},
		"FactoryReset":         {disk, []string{"no", ""}},
		"CopyBlocks":           {"sextant copies files, not blocks", []string{""}},
		"BlockDeviceReplace":   {disk, []string{""}},
		"Encrypt":              {encrypting, []string{"off", ""}},
		"EncryptKDF":           {encrypting, []string{""}},
		"EncryptedVolume":      {encrypting, []string{""}},
		"KeyFile":              {encrypting, []string{""}},
		"TPM2PCRs":             {encrypting, []string{""}},
		"Integrity":            {encrypting, []string{"off", ""}},
		"IntegrityAlgorithm":   {encrypting, []string{""}},
		"Discard":              {encrypting, []string{"no", ""}},
		"VolumeName":           {encrypting, []string{""}},
		"Compression":          {compress, []string{""}},
		"CompressionLevel":     {compress, []string{""}},
		"Subvolumes":           {subvolumes, []string{""}},
		"DefaultSubvolume":     {subvolumes, []string{""}},
		"MountPoint":           {mounting, []string{""}},
		"ExcludeFilesTarget":   {"sextant excludes by the path in the tree, see ExcludeFiles=", []string{""}},
		"AddValidateFS":        {"sextant writes no user.validatefs attributes", []string{"no", ""}},
		"FileSystemSectorSize": {"the sector size of the file system follows SectorSize= of the image", []string{""}},
		"VolumeLabel":          {"sextant writes no file system label", []string{""}},
	}
}

// refuse returns the error for a setting that is not taken, or nil if its value
// asks for nothing.
func (r *reader) refuse(k ini.Key) error {
	if o, known := others()[k.Name]; known {
		value := k.Value
		if b, err := parseBoolean(value); err == nil && !b && k.Name != "Priority" && k.Name != "PaddingWeight" {
			if slices.Contains(o.accepted, "no") || slices.Contains(o.accepted, "off") {
				return nil
			}
		}
		if slices.Contains(o.accepted, value) {
			return nil
		}
		return ini.Faultf(k.At, "", "%s=%s: %s", k.Name, k.Value, o.why)
	}
	for name := range r.setters() {
		if strings.EqualFold(name, k.Name) {
			return ini.Faultf(k.At, "write "+name+"=", "unknown setting %s=", k.Name)
		}
	}
	return ini.Faultf(k.At, "repart.d(5) lists the settings", "unknown setting %s=", k.Name)
}

// finish checks the definition for itself and fills in what follows from it.
func (r *reader) finish() (Definition, error) {
	for _, check := range []func() error{r.checkType, r.checkSizes, r.checkContent, r.checkVerity, r.checkFlags} {
		if err := check(); err != nil {
			return Definition{}, err
		}
	}
	r.d.Attributes = r.attributes()
	return r.d, nil
}

// fault makes an error about the place where a setting was assigned, or the
// file if it was not.
func (r *reader) fault(setting, help, format string, args ...any) error {
	at, ok := r.at[setting]
	if !ok {
		at = r.d.At
	}
	return ini.Faultf(at, help, format, args...)
}

func (r *reader) checkType() error {
	if r.d.Type.UUID.IsZero() {
		return r.fault("Type", "write Type=root, usr, root-verity, ...", "Type= is missing")
	}
	return nil
}

func (r *reader) checkSizes() error {
	d := &r.d
	if d.SizeMin != Unset && d.SizeMax != Unset && d.SizeMin > d.SizeMax {
		return r.fault("SizeMinBytes", "", "SizeMinBytes= is larger than SizeMaxBytes=")
	}
	if d.PaddingMin != Unset && d.PaddingMax != Unset && d.PaddingMin > d.PaddingMax {
		return r.fault("PaddingMinBytes", "", "PaddingMinBytes= is larger than PaddingMaxBytes=")
	}
	return nil
}

// populates reports whether files go into the partition.
func (r *reader) populates() bool {
	return len(r.d.Copies)+len(r.d.MakeDirs)+len(r.d.MakeSymlinks) > 0
}

func (r *reader) checkContent() error {
	d := &r.d
	if d.Verity == VerityHash || d.Verity == VeritySignature {
		if d.Format != "" || r.populates() {
			return r.fault("Verity", "", "Verity=%s goes without Format=, CopyFiles=, MakeDirectories= and MakeSymlinks=", d.Verity)
		}
		if d.Verity == VeritySignature && (d.SizeMin != Unset || d.SizeMax != Unset) {
			return r.fault("Verity", "", "Verity=signature goes without SizeMinBytes= and SizeMaxBytes=")
		}
		if d.Verity == VeritySignature && d.Minimize != MinimizeOff {
			return r.fault("Minimize", "", "Minimize= needs Format= or Verity=hash")
		}
		return nil
	}
	if d.Format == "" {
		return r.fault("Format", "write Format=erofs", "Format= is missing")
	}
	if !r.populates() {
		return r.fault("Format", "write CopyFiles=/usr/", "Format=%s without any CopyFiles=, MakeDirectories= or MakeSymlinks=", d.Format)
	}
	return nil
}

func (r *reader) checkVerity() error {
	d := &r.d
	if d.Verity != VerityOff && d.VerityMatchKey == "" {
		return r.fault("Verity", "", "Verity=%s needs VerityMatchKey=", d.Verity)
	}
	if d.Verity == VerityOff && d.VerityMatchKey != "" {
		return r.fault("VerityMatchKey", "", "VerityMatchKey= needs Verity=")
	}
	if d.Verity != VerityHash && (d.VerityDataBlockSize != 0 || d.VerityHashBlockSize != 0) {
		return r.fault("VerityDataBlockSizeBytes", "write it into the definition of the hash tree", "block sizes need Verity=hash")
	}
	switch role := d.Type.Designator; {
	case role.IsVerity() != (d.Verity == VerityHash), role.IsVeritySig() != (d.Verity == VeritySignature):
		return r.fault("Verity", "root and usr go with off and data, -verity with hash, -verity-sig with signature",
			"Type=%s does not go with Verity=%s", d.Type.Name, d.Verity)
	}
	return nil
}

func (r *reader) checkFlags() error {
	for _, f := range []struct {
		name string
		set  *bool
		bit  gpt.Attributes
	}{{"ReadOnly", r.readOnly, gpt.ReadOnly}, {"NoAuto", r.noAuto, gpt.NoAuto}, {"GrowFileSystem", r.growFS, gpt.GrowFS}} {
		if f.set != nil && r.d.Type.Attributes()&f.bit == 0 {
			return r.fault(f.name, "", "partitions of type %s have no %s flag", r.d.Type.Name, f.name)
		}
	}
	return nil
}

// attributes joins Flags= with the three flags that have settings of their own
// (repart.c, partition_read_definition and partition_merge_flags). A hash tree,
// a signature and what is protected by them are read-only, and what is not
// read-only may be grown.
func (r *reader) attributes() gpt.Attributes {
	bits, known := gpt.Attributes(r.flags), r.d.Type.Attributes()
	put := func(bit gpt.Attributes, on bool) {
		if bits &^= bit & known; on {
			bits |= bit & known
		}
	}
	readOnly := r.readOnly
	if readOnly == nil && r.d.Verity != VerityOff {
		readOnly = new(bool)
		*readOnly = true
	}
	if readOnly != nil {
		put(gpt.ReadOnly, *readOnly)
	}
	if r.noAuto != nil {
		put(gpt.NoAuto, *r.noAuto)
	}
	switch {
	case r.growFS != nil:
		put(gpt.GrowFS, *r.growFS)
	case readOnly == nil || !*readOnly:
		put(gpt.GrowFS, true)
	}
	return bits
}

// checkSets checks that the partitions of each dm-verity set fit together.
func checkSets(list []Definition) error {
	for i := range list {
		d := &list[i]
		if d.Verity == VerityOff {
			continue
		}
		for _, v := range []Verity{VerityData, VerityHash, VeritySignature} {
			if err := d.checkSiblings(list, v); err != nil {
				return err
			}
		}
		if data := d.Sibling(list, VerityData); d.Verity == VerityHash && d.Minimize != MinimizeOff && data.Minimize == MinimizeOff {
			return ini.Faultf(d.At, "write Minimize=best into "+data.At.File, "Minimize= of a hash tree needs Minimize= of its data partition")
		}
	}
	return nil
}

// checkSiblings checks that the set of d has one partition with the part v, or
// for signatures at most one, and that it is of the same kind.
func (d *Definition) checkSiblings(list []Definition, v Verity) error {
	count := 0
	for i := range list {
		q := &list[i]
		if q.Verity != v || q.VerityMatchKey != d.VerityMatchKey {
			continue
		}
		if count++; count > 1 {
			return ini.Faultf(q.At, "", "a second partition with Verity=%s and VerityMatchKey=%s", v, d.VerityMatchKey)
		}
		if !sameSet(q.Type, d.Type) {
			return ini.Faultf(q.At, "", "Type=%s does not belong to Type=%s of %s", q.Type.Name, d.Type.Name, d.At.File)
		}
	}
	if count == 0 && v != VeritySignature {
		return ini.Faultf(d.At, "", "no partition with Verity=%s and VerityMatchKey=%s", v, d.VerityMatchKey)
	}
	return nil
}

// sameSet reports whether two types are parts of the same file system.
func sameSet(a, b dps.Type) bool {
	dataA, _ := a.Designator.Data()
	dataB, _ := b.Designator.Data()
	return dataA == dataB && a.Architecture == b.Architecture
}
