package image

import (
	"sextant/internal/dps"
	"sextant/internal/extension"
	"sextant/internal/policy"
	"sextant/internal/verdict"
)

// policyRelease is the first release of systemd with image policies.
const policyRelease = 254

// policy judges the image by the policy in force.
func (v *verifier) policy() error {
	if v.m.Dir || len(v.m.Volumes()) == 0 {
		return nil
	}
	if v.opts.Systemd < policyRelease {
		if v.opts.Policy != nil {
			v.add(verdict.PolicyUnknown, "image policy", "systemd %d knows none, so this one does not count", v.opts.Systemd)
		}
		return nil
	}
	p := v.inForce()
	if p.Since() > v.opts.Systemd {
		v.add(verdict.PolicyWord, "image policy", "has words that came with systemd %d", p.Since())
		return nil
	}
	if p.For(v.m.Volumes()[0].Role()).Has(policy.Verity) {
		v.situation.Conditions |= verdict.VerityAllowed
	}
	err := v.judge(p)
	if err == nil && v.opts.Policy == nil {
		v.found.Good("image policy", "the default for a %s", v.class)
	} else if err == nil {
		v.found.Good("image policy", "%s", p)
	}
	if err != nil {
		err = brief{err}
	}
	return v.orFinding(verdict.PolicyBroken, "image policy", err)
}

// inForce returns the policy given, or that of the class.
func (v *verifier) inForce() policy.Policy {
	switch {
	case v.opts.Policy != nil:
		return *v.opts.Policy
	case v.class == extension.Confext:
		return policy.Confext()
	}
	return policy.Sysext()
}

// judge returns an error unless systemd would use a root or usr partition
// under the policy. What it would not use is taken out of the image.
func (v *verifier) judge(p policy.Policy) error {
	if v.m.Table == nil {
		used, err := p.JudgeBare(v.m.bare())
		if err == nil && !used {
			v.add(verdict.PartitionMissing, "image policy", "the file system is not to be used")
		}
		return err
	}
	used, err := p.Judge(v.m.judged(), v.opts.Systemd)
	if err != nil {
		return err
	}
	v.unused = make(map[dps.Designator]bool)
	for _, d := range policy.Designators() {
		v.unused[d] = true
	}
	for _, part := range used {
		delete(v.unused, part.Designator)
	}
	if v.unused[dps.Root] && v.unused[dps.Usr] {
		v.add(verdict.PartitionMissing, "image policy", "neither root nor usr partition is to be used")
	}
	return nil
}
