package image

import (
	"fmt"

	"sextant/internal/dps"
	"sextant/internal/format/gpt"
	"sextant/internal/policy"
)

// Allowed returns the volumes that the given release of systemd uses under the
// policy, each without the hash tree and the signature that the policy passes
// over. It wraps fault.ErrUntrusted where the policy refuses the image.
func (m *Image) Allowed(p policy.Policy, systemd int) ([]Volume, error) {
	if len(m.Volumes()) == 0 {
		return nil, nil
	}
	if m.Table == nil {
		used, err := p.JudgeBare(m.bare())
		if err != nil || !used {
			return nil, err
		}
		return m.Volumes(), nil
	}
	used, err := p.Judge(m.judged(), systemd)
	if err != nil {
		return nil, err
	}
	uses := make(map[dps.Designator]bool)
	for _, part := range used {
		uses[part.Designator] = true
	}
	var list []Volume
	for _, v := range m.Volumes() {
		if uses[v.Role()] {
			list = append(list, v.only(uses))
		}
	}
	return list, nil
}

// only leaves out of a volume what is not used.
func (v Volume) only(uses map[dps.Designator]bool) Volume {
	if hash, ok := v.Role().Verity(); !ok || !uses[hash] {
		v.Hash = nil
	}
	if sig, ok := v.Role().VeritySig(); !ok || !uses[sig] {
		v.Signature = nil
	}
	return v
}

// Recognise returns the kind of file system that a partition holds, without
// opening it. "LUKS" is an encrypted volume. One that is not known wraps
// fault.ErrCorrupt.
func (m *Image) Recognise(p *Part) (Kind, error) {
	f, err := recognise(m.Section(p), p.Span.Length)
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.Name(), err)
	}
	return f.kind, nil
}

// LUKS is what Recognise calls an encrypted volume.
const LUKS Kind = "LUKS"

// judged lists the partitions as far as a policy asks.
func (m *Image) judged() (list []policy.Partition) {
	for _, d := range policy.Designators() {
		if p := m.find(d); p != nil && d != dps.Var { // systemd passes over /var: it belongs to one machine
			list = append(list, policy.Partition{
				Designator: d, Encryption: m.encryption(p),
				ReadOnly: p.Attributes&gpt.ReadOnly != 0, GrowFS: p.Attributes&gpt.GrowFS != 0,
			})
		}
	}
	if vol := m.Volumes()[0]; vol.Data.Type.Designator == dps.LinuxGeneric {
		list = append(list, policy.Partition{Designator: dps.Root, Encryption: m.encryption(vol.Data)})
	}
	return list
}

// bare describes a bare file system as far as a policy asks.
func (m *Image) bare() policy.Bare {
	b := m.Beside
	covered := b.Tree != "" && b.RootHash != "" && b.Role == dps.Root
	return policy.Bare{
		Encryption: m.encryption(&m.Parts[0]),
		RootHash:   covered, Signature: covered && b.Signature != "",
	}
}

// encryption tells a LUKS volume from a plain file system. LUKS does not show
// whether there is dm-integrity below it without its header being read.
func (m *Image) encryption(p *Part) policy.Encryption {
	if f, err := recognise(m.Section(p), p.Span.Length); err == nil && f.kind == LUKS {
		return policy.LUKS
	}
	return policy.Plain
}
