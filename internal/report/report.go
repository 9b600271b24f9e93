// Package report holds what a check found: every broken rule with its place,
// and what was found in order. The command line prints it as text or JSON.
package report

import (
	"errors"
	"fmt"
)

// Severity says how much a finding matters.
type Severity int

const (
	// Note is worth knowing.
	Note Severity = iota

	// Warning is a broken rule that nobody notices.
	Warning

	// Error makes systemd refuse the image or read other bytes than were
	// meant.
	Error
)

// String returns "note", "warning" or "error".
func (s Severity) String() string {
	switch s {
	case Note:
		return "note"
	case Warning:
		return "warning"
	}
	return "error"
}

// MarshalText makes a Severity the string it prints as.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one broken rule.
type Finding struct {
	Severity Severity `json:"severity"`

	// ID names the kind of finding for programs, such as "tree-block". It may
	// be empty.
	ID string `json:"id"`

	Place string `json:"place"` // "partition 2", "file system: /usr/bin/x"
	Text  string `json:"text"`  // a fact
	Rule  string `json:"rule"`  // where the rule stands, may be empty

	// Cause is the error behind the finding, or nil.
	Cause error `json:"-"`
}

// String gives the finding in one line.
func (f Finding) String() string {
	s := fmt.Sprintf("%s: %s: %s", f.Severity, f.Place, f.Text)
	if f.Rule != "" {
		s += " (" + f.Rule + ")"
	}
	return s
}

// Fact is something that was looked at and found in order.
type Fact struct {
	Subject string `json:"subject"` // "hash tree"
	Text    string `json:"text"`
}

// Report collects what a check finds.
type Report struct {
	Facts    []Fact    `json:"facts"`
	Findings []Finding `json:"findings"`
}

// Good notes what is in order.
func (r *Report) Good(subject, format string, args ...any) {
	r.Facts = append(r.Facts, Fact{subject, fmt.Sprintf(format, args...)})
}

// Add notes a broken rule.
func (r *Report) Add(severity Severity, place, rule, format string, args ...any) {
	r.Findings = append(r.Findings, Finding{Severity: severity, Place: place, Rule: rule, Text: fmt.Sprintf(format, args...)})
}

// AddError notes an error as a broken rule.
func (r *Report) AddError(severity Severity, place string, err error) {
	r.Findings = append(r.Findings, Finding{Severity: severity, Place: place, Text: err.Error(), Cause: err})
}

// Worst returns the severity of the worst finding, and false if there is none.
func (r *Report) Worst() (worst Severity, found bool) {
	for _, f := range r.Findings {
		worst = max(worst, f.Severity)
	}
	return worst, len(r.Findings) > 0
}

// Err joins the findings that are errors, and returns nil if there are none.
func (r *Report) Err() error {
	var all []error
	for _, f := range r.Findings {
		if f.Severity != Error {
			continue
		}
		if f.Cause != nil {
			all = append(all, fmt.Errorf("%s: %w", f.Place, f.Cause))
			continue
		}
		all = append(all, fmt.Errorf("%s: %s", f.Place, f.Text))
	}
	return errors.Join(all...)
}
