package merge

import (
	"errors"
	"fmt"
	"strings"

	"sextant/internal/discover"
	"sextant/internal/extension"
	"sextant/internal/fault"
)

// The rules that decide about a candidate.
const (
	RuleRelease   = "release"    // its release file does not fit the host
	RuleOSRelease = "os-release" // it would replace the host's os-release
	RuleFile      = "file"       // it cannot be read
	RuleKind      = "kind"       // what it is made of cannot be merged
	RuleTable     = "table"      // its partition table or file system is broken
	RulePolicy    = "policy"     // the image policy forbids it
	RuleVerity    = "verity"     // its hash tree does not fit
	RuleSignature = "signature"  // nobody who is trusted vouches for it
	RuleSigned    = "signed"     // only signed images were asked for
	RuleMount     = "mount"      // the kernel does not mount it
	RuleLimit     = "limit"      // there are more than the kernel takes
	RuleHierarchy = "hierarchy"  // what it has at a hierarchy is no directory
)

// releaseFile is what was found where the release file of an extension is.
type releaseFile struct {
	how     extension.Match
	release extension.Release

	// others are the names of release files that do not count.
	others []string

	// osRelease says that there is a /usr/lib/os-release.
	osRelease bool
}

func leaveOut(c discover.Candidate, rule string, err error) Decision {
	return Decision{Image: c, Verdict: LeftOut, Reason: err.Error(), Rule: rule, Err: err}
}

// judge decides about an extension whose files can be read. One that is made for
// another system is nobody's fault; an empty directory without release file is
// how a user hides an extension of the same name.
func judge(c discover.Candidate, found releaseFile, host extension.Host, force bool) Decision {
	switch {
	case force:
		return Decision{Image: c, Verdict: Merged, Reason: "forced", Rule: RuleRelease}
	case found.osRelease:
		return leaveOut(c, RuleOSRelease, errors.New("has a /usr/lib/os-release, which would replace the host's"))
	case found.how == extension.NoMatch || found.how == extension.Ambiguous:
		err := found.missing(c)
		if c.Kind.Image() {
			return leaveOut(c, RuleRelease, err)
		}
		return Decision{Image: c, Verdict: Ignored, Reason: err.Error(), Rule: RuleRelease, Err: err}
	}
	ok, reason := host.Fits(c.Class, found.release)
	if !ok {
		return Decision{Image: c, Verdict: Ignored, Reason: reason, Rule: RuleRelease}
	}
	return Decision{Image: c, Verdict: Merged, Reason: reason, Rule: RuleRelease}
}

// missing tells what is there instead of the release file.
func (f releaseFile) missing(c discover.Candidate) error {
	want := c.Class.ReleasePath(c.Name)
	switch {
	case f.how == extension.Ambiguous:
		return fmt.Errorf("has no %s, and of %s more than one could be meant: %w", want, strings.Join(f.others, ", "), fault.ErrCorrupt)
	case len(f.others) > 0:
		return fmt.Errorf("has no %s, only one for %s: %w", want, strings.Join(f.others, ", "), fault.ErrCorrupt)
	}
	return fmt.Errorf("has no %s: %w", want, fault.ErrCorrupt)
}
