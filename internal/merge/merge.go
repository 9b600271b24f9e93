package merge

import (
	"time"

	"sextant/internal/discover"
	"sextant/internal/extension"
	"sextant/internal/hierarchy"
	"sextant/internal/policy"
)

// Options say what to merge, into what, and how.
type Options struct {
	// Root is the system to work on, "" or "/" for the running one.
	Root string

	// Class is the kind of extension.
	Class extension.Class

	// Hierarchies are the directories to merge into, nil for those of the
	// class.
	Hierarchies []string

	// Images returns the candidates, one for each name. It is called with the
	// lock held.
	Images func() ([]discover.Candidate, error)

	// Policy is the image policy that was asked for, nil for that of the class.
	Policy *policy.Policy

	// Mutable is what becomes of changes below the hierarchies.
	Mutable Mutable

	// MountOptions replace those that a mutable overlay has otherwise, if not
	// nil.
	MountOptions *string

	// NoExec says whether programs may run from the overlay, nil for what the
	// class does.
	NoExec *bool

	// Force merges what does not fit the host.
	Force bool

	// NoReload leaves Report.Units empty: nobody is going to tell the service
	// manager.
	NoReload bool

	// AlwaysRefresh makes a new overlay even where nothing changed.
	AlwaysRefresh bool

	// RequireSigned takes signed images only: neither directories nor
	// subvolumes nor what no certificate vouches for.
	RequireSigned bool

	// Submounts says who wins below a hierarchy.
	Submounts Submounts

	// Verity switches ways of finding and checking root hashes off.
	Verity Verity

	// Systemd is the release whose rules count, verdict.Newest if 0.
	Systemd int

	// OSRelease is the path of the os-release that counts, "" for the usual ones
	// (SYSTEMD_OS_RELEASE).
	OSRelease string

	// before is called before each call that changes something; see kernel.
	before func(call string) error

	// Log is told what happens, nil for nobody.
	Log func(Level, string)
}

// Verity says how root hashes are found and checked. The zero value is
// systemd's default; each field mirrors an environment variable of it.
type Verity struct {
	NoSidecar   bool // SYSTEMD_DISSECT_VERITY_SIDECAR=0
	NoEmbedded  bool // SYSTEMD_DISSECT_VERITY_EMBEDDED=0
	NoGuess     bool // SYSTEMD_DISSECT_VERITY_GUESS=0
	NoSignature bool // SYSTEMD_DISSECT_VERITY_SIGNATURE=0
	NoSharing   bool // SYSTEMD_VERITY_SHARING=0

	// NoUserspace lets only the kernel's keyring vouch for signatures:
	// SYSTEMD_ALLOW_USERSPACE_VERITY=0, systemd.allow_userspace_verity=0.
	NoUserspace bool

	// Timeout is how long to wait for a device, 30 s if 0
	// (SYSTEMD_DISSECT_VERITY_TIMEOUT_SEC).
	Timeout time.Duration

	// FileSystems are the file systems that may be mounted, nil for systemd's
	// list (SYSTEMD_DISSECT_FILE_SYSTEMS).
	FileSystems []string
}

// Mutable is what becomes of changes below a merged hierarchy.
type Mutable string

// The modes of systemd-sysext(8), --mutable=.
const (
	MutableNo              Mutable = "no"
	MutableYes             Mutable = "yes"
	MutableAuto            Mutable = "auto"
	MutableImport          Mutable = "import"
	MutableEphemeral       Mutable = "ephemeral"
	MutableEphemeralImport Mutable = "ephemeral-import"
)

// Submounts says what becomes of mounts of others below a hierarchy.
type Submounts string

// Keep carries them over the extensions, as systemd does from 257 on.
// Extension leaves one out where an extension has files below it. Refuse
// merges nothing then.
const (
	SubmountsKeep      Submounts = "keep"
	SubmountsExtension Submounts = "extension"
	SubmountsRefuse    Submounts = "refuse"
)

// Level is how much a line of the log matters.
type Level int

// The levels, as syslog orders them.
const (
	Err     Level = 3
	Warning Level = 4
	Notice  Level = 5
	Info    Level = 6
	Debug   Level = 7
)

// Outcome says how a run ended, as systemd tells it.
type Outcome string

// The outcomes. Nothing means that there is nothing to merge, and what was
// merged is gone; Skipped that what is merged is what would be merged. Failed is
// for callers that hand a report on together with an error.
const (
	Done          Outcome = "done"
	Nothing       Outcome = "nothing"
	Skipped       Outcome = "skipped"
	AlreadyMerged Outcome = "already-merged"
	Failed        Outcome = "failed"
)

// Verdict says what becomes of a candidate.
type Verdict string

// A candidate is merged; or ignored as it does not fit, which is nobody's
// fault; or left out as something is wrong with it, which is an error. NotMerged
// goes with the outcome Failed: nothing is wrong with this one.
const (
	Merged    Verdict = "merged"
	Ignored   Verdict = "ignored"
	LeftOut   Verdict = "left-out"
	NotMerged Verdict = "not-merged"
)

// Decision is what becomes of one candidate and why.
type Decision struct {
	Image   discover.Candidate `json:"image"`
	Verdict Verdict            `json:"verdict"`

	// Reason is the fact that decided, as a sentence without a full stop.
	Reason string `json:"reason"`

	// Rule names what the reason is about: release, policy, signature …
	Rule string `json:"rule"`

	// Err is what the reason was made of, nil where nothing is wrong.
	Err error `json:"-"`
}

// Report is what a run did, or would do.
type Report struct {
	Outcome Outcome `json:"outcome"`

	// Decisions has one for each candidate, in the order of their names.
	Decisions []Decision `json:"decisions"`

	// Merged and Unmerged are the hierarchies that were.
	Merged   []string `json:"merged"`
	Unmerged []string `json:"unmerged"`

	// Hierarchy is the one that is already merged.
	Hierarchy string `json:"hierarchy,omitempty"`

	// Gap is how long the longest of the hierarchies was without extensions
	// during a refresh, in ns: 0 where the new overlay could be put beneath the
	// old one.
	Gap time.Duration `json:"gap,omitempty"`

	// Foreign are mounts of others that meet the hierarchies.
	Foreign []hierarchy.Foreign `json:"foreign,omitempty"`

	// Notices are facts that a user should know, one a line.
	Notices []string `json:"notices,omitempty"`

	// Units are what the extensions want of the service manager.
	Units Units `json:"units"`
}

// Units are what extensions, those that came and those that went, want of the
// service manager.
type Units struct {
	Reload          bool     `json:"reload"`                    // EXTENSION_RELOAD_MANAGER
	Restart         []string `json:"restart,omitempty"`         // EXTENSION_RESTART_UNITS
	ReloadOrRestart []string `json:"reloadOrRestart,omitempty"` // EXTENSION_RELOAD_OR_RESTART_UNITS
}
