// Package verdict knows what each release of systemd does with an extension
// image that breaks a rule. It is pure: others look at the image.
//
//	rule broken + release + policy ── table ──> outcome ──> severity
//	all outcomes ──> verdict: "systemd 262: refuses it: ..."
//
// The table has a row for each rule and each release in which something
// changed, with the place in the source that says so. Releases are 252 to 262.
package verdict

import (
	"fmt"
	"slices"
	"strings"

	"sextant/internal/report"
)

// The releases that the table knows.
const (
	Oldest = 252
	Newest = 262
)

// exitRelease is the first release that ends with another status than 0 where
// the process that merges failed (sysext.c).
const exitRelease = 256

// Outcome is what follows from a broken rule, the worse the larger.
type Outcome int

const (
	// Fine: the release has no such rule.
	Fine Outcome = iota

	// Noted: nothing follows, but it is worth knowing.
	Noted

	// Unnoticed: the image is merged, and nobody notices.
	Unnoticed

	// Unchecked: the image is merged, and nobody checks who made it or that
	// it is whole.
	Unchecked

	// Misread: the image is merged, but not all of it can be read, or it
	// reads as something else than was meant.
	Misread

	// LeftOut: the image is passed over, others are merged.
	LeftOut

	// Refused: the merge fails, and other images are not merged either.
	Refused
)

// String gives the word that JSON has too.
func (o Outcome) String() string {
	return [...]string{"fine", "noted", "unnoticed", "unchecked", "misread", "left-out", "refused"}[o]
}

// MarshalText makes an Outcome the string it prints as.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Severity returns how much the outcome matters.
func (o Outcome) Severity() report.Severity {
	switch {
	case o >= Misread:
		return report.Error
	case o >= Unnoticed:
		return report.Warning
	}
	return report.Note
}

// Condition is what else a row depends on.
type Condition int

const (
	// Always holds.
	Always Condition = 0

	// VerityAllowed: the policy lets an image pass that has a hash tree and no
	// signature, so that it does not matter who signed it (systemd 259).
	VerityAllowed Condition = 1 << iota

	// TreeUsed: the release reads the data through dm-verity.
	TreeUsed

	// Directory: the image is a directory.
	Directory
)

// Situation is the release that meets an image, and what it finds there.
type Situation struct {
	Release    int
	Conditions Condition
}

// Outcome returns what the release does about the broken rule, and where that
// stands. A rule that no row has is our own fault.
func (s Situation) Outcome(r Rule) (outcome Outcome, source string) {
	known := false
	for _, row := range table() {
		if row.rule != r {
			continue
		}
		known = true
		if row.since <= s.Release && row.when&s.Conditions == row.when {
			outcome, source = row.outcome, row.source
		}
	}
	if !known {
		panic("internal error: no outcome for rule " + string(r))
	}
	return outcome, source
}

// Verdict is what a release does with an image.
type Verdict struct {
	Release int     `json:"release"`
	Outcome Outcome `json:"outcome"`

	// Reasons are the rules with that outcome in the order of the findings,
	// each once. There are none if the image is merged as it should be.
	Reasons []Rule `json:"reasons,omitempty"`

	// ExitStatus is that of "systemd-sysext merge" with this image alone.
	ExitStatus int `json:"exitStatus"`

	// Blind says that not everything could be looked at.
	Blind bool `json:"blind,omitempty"`
}

// Verdict sums up the findings of a check, whose ids are rules.
func (s Situation) Verdict(findings []report.Finding) Verdict {
	v := Verdict{Release: s.Release}
	for _, f := range findings {
		v.Blind = v.Blind || Rule(f.ID) == Unsupported
		o, _ := s.Outcome(Rule(f.ID))
		if o > v.Outcome {
			v.Outcome, v.Reasons = o, nil
		}
		if o == v.Outcome && o >= Unchecked && !slices.Contains(v.Reasons, Rule(f.ID)) {
			v.Reasons = append(v.Reasons, Rule(f.ID))
		}
	}
	if v.Outcome == Refused && (s.Release >= exitRelease || slices.ContainsFunc(v.Reasons, Rule.early)) {
		v.ExitStatus = 1
	}
	return v
}

// String gives the verdict in one line.
func (v Verdict) String() string {
	return fmt.Sprintf("systemd %d: %s", v.Release, v.act()+v.because())
}

func (v Verdict) act() string {
	switch {
	case v.Blind && v.Outcome < Misread:
		return "may merge it, but not all of it could be looked at"
	case v.Outcome == Unchecked:
		return "merges it unchecked"
	case v.Outcome == Misread:
		return "merges it broken"
	case v.Outcome == LeftOut:
		return "leaves it out"
	case v.Outcome == Refused && v.ExitStatus == 0:
		return "refuses it, with exit status 0"
	case v.Outcome == Refused:
		return "refuses it"
	}
	return "merges it"
}

// because gives the reasons behind a colon.
func (v Verdict) because() string {
	var list []string
	for _, r := range v.Reasons {
		list = append(list, r.Brief())
	}
	if len(list) == 0 {
		return ""
	}
	return ": " + strings.Join(list, ", ")
}
