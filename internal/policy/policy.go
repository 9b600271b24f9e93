package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sextant/internal/dps"
)

// Policy is an image policy: one rule for some designators, and one for all
// others. The zero Policy is none: it allows everything, as * does.
type Policy struct {
	rules  []rule // sorted by designator, no designator twice
	others Flags
	since  int
}

// rule holds the flags as they were given, not extended.
type rule struct {
	designator dps.Designator
	flags      Flags
}

// Allow allows everything, as * does.
func Allow() Policy { return Policy{others: Open} }

// Deny allows no partition at all, as ~ does.
func Deny() Policy { return Policy{others: Absent} }

// IgnoreAll allows everything to exist and nothing to be used, as - does.
func IgnoreAll() Policy { return Policy{others: Ignore} }

// anyUse is what the policies built into systemd allow for root and usr.
const anyUse = Verity | Signed | Encrypted | EncryptedWithIntegrity | Unprotected | Absent

// Sysext returns the policy for system extensions where none is given
// (image_policy_sysext).
func Sysext() Policy { return with(Ignore, rule{dps.Root, anyUse}, rule{dps.Usr, anyUse}) }

// SysextStrict returns the policy for system extensions that an untrusted
// place, the ESP, hands to an initrd (image_policy_sysext_strict).
func SysextStrict() Policy {
	return with(Ignore, rule{dps.Root, Signed | Absent}, rule{dps.Usr, Signed | Absent})
}

// Confext returns the policy for configuration extensions where none is given
// (image_policy_confext).
func Confext() Policy { return with(Ignore, rule{dps.Root, anyUse}) }

// ConfextStrict returns the policy for configuration extensions that an
// untrusted place hands to an initrd (image_policy_confext_strict).
func ConfextStrict() Policy { return with(Ignore, rule{dps.Root, Signed | Absent}) }

func with(others Flags, rules ...rule) Policy { return Policy{rules: rules, others: others} }

// rule returns the flags given for d, as they were given.
func (p Policy) rule(d dps.Designator) (Flags, bool) {
	n, ok := slices.BinarySearchFunc(p.rules, d, compareRule)
	if !ok {
		return 0, false
	}
	return p.rules[n].flags, true
}

func compareRule(r rule, d dps.Designator) int {
	all := Designators()
	return slices.Index(all, r.designator) - slices.Index(all, d)
}

// put sets the flags for d.
func (p *Policy) put(d dps.Designator, f Flags) {
	n, ok := slices.BinarySearchFunc(p.rules, d, compareRule)
	if ok {
		p.rules[n].flags = f
		return
	}
	p.rules = slices.Insert(slices.Clone(p.rules), n, rule{d, f})
}

// Given returns what the policy itself says about d: its rule, or for a hash
// or signature partition what follows from the rule of its data partition. It
// is extended and holds nothing that means nothing for d
// (image_policy_get).
func (p Policy) Given(d dps.Designator) (Flags, bool) {
	if f, ok := p.rule(d); ok {
		return f.normalize(d), true
	}
	data, calling, ok := protects(d)
	if !ok {
		return 0, false
	}
	f, ok := p.Given(data)
	if !ok || !f.Has(calling) {
		return 0, false
	}
	return (Unprotected | f&(Ignore|gptFlags)).normalize(d), true
}

// For returns what is allowed for d, by a rule of its own or by the rule for
// all others (image_policy_get_exhaustively).
func (p Policy) For(d dps.Designator) Flags {
	if f, ok := p.Given(d); ok {
		return f
	}
	return p.others.normalize(d)
}

// Others returns the flags for designators without a rule, as they were given.
func (p Policy) Others() Flags { return p.others }

// Equivalent reports whether two policies allow the same, however they say it.
func (p Policy) Equivalent(other Policy) bool {
	if p.others.Extend() != other.others.Extend() {
		return false
	}
	return !slices.ContainsFunc(Designators(), func(d dps.Designator) bool {
		return p.For(d) != other.For(d)
	})
}

// String gives the policy in systemd's short form, which Parse reads back into
// an equivalent one.
func (p Policy) String() string {
	switch {
	case p.Equivalent(Allow()):
		return "*"
	case p.Equivalent(IgnoreAll()):
		return "-"
	case p.Equivalent(Deny()):
		return "~"
	}
	var parts []string
	for _, r := range p.rules {
		if r.flags != p.others.normalize(r.designator) {
			parts = append(parts, fmt.Sprintf("%s=%s", r.designator, r.flags))
		}
	}
	if p.others.Extend() != Ignore.Extend() {
		parts = append(parts, "="+p.others.String())
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ":")
}

// Long gives every flag of every rule, so that Parse reads back the same
// policy.
func (p Policy) Long() string {
	var parts []string
	for _, r := range p.rules {
		parts = append(parts, fmt.Sprintf("%s=%s", r.designator, r.flags.Long()))
	}
	return strings.Join(append(parts, "="+p.others.Long()), ":")
}

// ErrImpossible says that two policies have nothing in common for some
// partition, so that no image can satisfy both.
var ErrImpossible = errors.New("the policies exclude each other")

// Intersect returns the policy that allows what both allow. It fails with
// ErrImpossible where nothing is left (image_policy_intersect). Of the file
// systems those remain that both name, and none at all means any, as there.
func (p Policy) Intersect(other Policy) (Policy, error) {
	return p.combine(other, func(a, b Flags) Flags { return a & b })
}

// Union returns the policy that allows what either allows (image_policy_union,
// since 260).
func (p Policy) Union(other Policy) Policy {
	u, err := p.combine(other, func(a, b Flags) Flags { return a | b })
	if err != nil {
		panic("internal error: union of policies: " + err.Error())
	}
	return u
}

func (p Policy) combine(other Policy, join func(a, b Flags) Flags) (Policy, error) {
	others := join(p.others.Extend(), other.others.Extend())
	if others.impossible() {
		return Policy{}, ErrImpossible
	}
	result := Policy{others: others.reduce(), since: max(p.since, other.since)}
	for _, d := range Designators() {
		_, mine := p.rule(d)
		_, theirs := other.rule(d)
		if !mine && !theirs {
			continue
		}
		f := join(p.For(d), other.For(d))
		if f.impossible() && f&Open != Absent {
			return Policy{}, fmt.Errorf("partition %s: %w", d, ErrImpossible)
		}
		if f != result.others.normalize(d) {
			result.put(d, f.reduce())
		}
	}
	return result, nil
}

// Ignoring returns the policy with an ignore rule for each of the designators
// (image_policy_ignore_designators).
func (p Policy) Ignoring(designators ...dps.Designator) Policy {
	p.rules = slices.Clone(p.rules)
	for _, d := range designators {
		p.put(d, Ignore)
	}
	return p
}

// Since returns the first release of systemd that understands every word the
// policy was parsed from: 254, or 260 for file systems and
// encryptedwithintegrity. All releases that know policies know the built-in
// ones and those of one character.
func (p Policy) Since() int { return max(p.since, firstRelease) }

// The releases of systemd that brought policies, that let a better protected
// partition pass for a less protected one, and that brought new flags.
const (
	firstRelease   = 254
	lenientRelease = 259
	flagsRelease   = 260
)
