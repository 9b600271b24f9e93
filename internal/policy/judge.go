package policy

import (
	"fmt"
	"slices"

	"sextant/internal/dps"
	"sextant/internal/fault"
)

// Encryption says how the content of a partition is encrypted.
type Encryption int

// A partition holds a plain file system, a LUKS volume, or a LUKS volume with
// dm-integrity.
const (
	Plain Encryption = iota
	LUKS
	LUKSIntegrity
)

// flags returns the flags that the content can meet. What dm-verity protects
// cannot be seen in the content.
func (e Encryption) flags() Flags {
	switch e {
	case LUKS:
		return Encrypted
	case LUKSIntegrity:
		return Encrypted | EncryptedWithIntegrity
	}
	return Unprotected | Verity | Signed
}

// Partition is one partition of an image, as far as a policy asks.
type Partition struct {
	Designator       dps.Designator
	ReadOnly, GrowFS bool // the GPT flags of that name
	Encryption       Encryption
}

// Judge returns which of an image's partitions the given release of systemd
// would use under the policy, in its order, or an error that wraps
// fault.ErrUntrusted where it would refuse the image. No two partitions may
// have the same designator; those without a rule in any policy, such as
// generic Linux partitions, do not count. It follows dissect_image and
// dissected_image_probe_filesystems of src/shared/dissect-image.c.
//
// Up to 258 a data partition with a hash partition in use counts as verity,
// and with a signature partition in use as signed, as nothing else; from 259
// on also as what protects less. Which file systems the policy names is for
// the caller to compare: systemd does not refuse others, it takes a single
// name as the type to mount.
func (p Policy) Judge(image []Partition, release int) ([]Partition, error) {
	used, ignored, err := p.choose(image)
	if err != nil {
		return nil, err
	}
	for _, d := range Designators() {
		if err := p.checkUse(d, found(d, used, ignored, release)); err != nil {
			return nil, err
		}
		if part, ok := used[d]; ok {
			if err := p.checkGPT(part); err != nil {
				return nil, err
			}
		}
	}
	var list []Partition
	for _, d := range Designators() {
		part, ok := used[d]
		if !ok {
			continue
		}
		if err := p.checkUse(d, part.Encryption.flags()); err != nil {
			return nil, err
		}
		list = append(list, part)
	}
	return list, nil
}

// choose splits the partitions into those to use and those to pass over.
func (p Policy) choose(image []Partition) (used map[dps.Designator]Partition, ignored []dps.Designator, err error) {
	used = make(map[dps.Designator]Partition)
	for _, part := range image {
		d := part.Designator
		if !known(d) {
			continue
		}
		switch p.For(d) & Open &^ Absent {
		case 0:
			return nil, nil, refusal(d, "must not exist")
		case Unused:
			ignored = append(ignored, d)
		default:
			used[d] = part
		}
	}
	return used, ignored, nil
}

// found returns what the table alone tells about the partition: whether it is
// there, and how it is protected.
func found(d dps.Designator, used map[dps.Designator]Partition, ignored []dps.Designator, release int) Flags {
	has := func(d dps.Designator, _ bool) bool { _, ok := used[d]; return ok }
	switch {
	case slices.Contains(ignored, d):
		return Unused
	case !has(d, true):
		return Absent
	case !has(d.Verity()):
		return Encrypted | EncryptedWithIntegrity | Unprotected
	case release >= lenientRelease && has(d.VeritySig()):
		return Signed | Verity | Unprotected
	case release >= lenientRelease:
		return Verity | Unprotected
	case has(d.VeritySig()):
		return Signed
	}
	return Verity
}

// Bare is an image without partition table: a file system, or a LUKS volume.
type Bare struct {
	Encryption Encryption
	RootHash   bool // a root hash for it lies beside the image
	Signature  bool // and a signature of that
}

// JudgeBare returns whether systemd would use a bare image under the policy, as
// the root partition without GPT flags, or an error that wraps
// fault.ErrUntrusted where it would refuse the image. In all releases an image
// with a root hash counts as verity only, with a signature as signed only.
func (p Policy) JudgeBare(image Bare) (used bool, err error) {
	part := Partition{Designator: dps.Root}
	_, ignored, err := p.choose([]Partition{part})
	if err != nil || len(ignored) > 0 {
		return false, err
	}
	level := image.Encryption.flags() &^ (Verity | Signed)
	switch {
	case image.RootHash && image.Signature:
		level = Signed
	case image.RootHash:
		level = Verity
	}
	if err := p.checkUse(dps.Root, level); err != nil {
		return false, err
	}
	if err := p.checkGPT(part); err != nil {
		return false, err
	}
	return true, nil
}

func (p Policy) checkUse(d dps.Designator, found Flags) error {
	wanted := p.For(d)
	if wanted.Has(found) {
		return nil
	}
	if found == Absent {
		return refusal(d, "does not exist, must be "+(wanted&Open).String())
	}
	return refusal(d, fmt.Sprintf("is %s, must be %s", found, wanted&Open))
}

func (p Policy) checkGPT(part Partition) error {
	f := p.For(part.Designator)
	for _, c := range []struct {
		name    string
		set     bool
		on, off Flags
	}{
		{"read-only", part.ReadOnly, ReadOnlyOn, ReadOnlyOff},
		{"growfs", part.GrowFS, GrowFSOn, GrowFSOff},
	} {
		if c.set && f&(c.on|c.off) == c.off {
			return refusal(part.Designator, "has the "+c.name+" flag, must not")
		}
		if !c.set && f&(c.on|c.off) == c.on {
			return refusal(part.Designator, "has no "+c.name+" flag, must")
		}
	}
	return nil
}

func refusal(d dps.Designator, text string) error {
	return fmt.Errorf("image policy: partition %s %s: %w", d, text, fault.ErrUntrusted)
}
