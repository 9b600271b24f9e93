package selinux

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"sextant/internal/fault"
	"sextant/internal/tree"
)

// maxFile is the largest file in bytes that is read. Policies of distributions
// have files of half a MiB.
const maxFile = 16 << 20

// defaultType is the policy where SELINUXTYPE= names none.
const defaultType = "targeted"

// Contexts are the labels that a policy has for files.
type Contexts struct {
	// Policy is the name of the policy, such as "targeted".
	Policy string

	literals map[string][]*rule // by the path that they are for
	patterns map[string][]*rule // by the directory that all their paths are in
	subs     []equivalence      // .subs, then .subs_dist is asked about the result
	subsDist []equivalence
	count    int // of lines
}

// Load reads the policy of a root file system. Without SELinux, or where it is
// disabled, the result is nil. Links are followed as fsys does it.
func Load(fsys fs.FS) (*Contexts, error) {
	policy, err := Policy(fsys)
	if err != nil || policy == "" {
		return nil, err
	}
	c := &Contexts{Policy: policy, literals: map[string][]*rule{}, patterns: map[string][]*rule{}}
	base := filesDir(policy) + "/file_contexts"
	for _, suffix := range []string{"", ".homedirs", ".local"} {
		text, err := read(fsys, base+suffix)
		if errors.Is(err, fs.ErrNotExist) && suffix != "" {
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil // a config without a policy
		}
		if err != nil {
			return nil, err
		}
		if err := c.parse("/"+base+suffix, text); err != nil {
			return nil, err
		}
	}
	if c.subs, err = readSubs(fsys, base+".subs"); err != nil {
		return nil, err
	}
	c.subsDist, err = readSubs(fsys, base+".subs_dist")
	return c, err
}

// Policy returns the name of the policy of a root file system, empty where
// SELinux is disabled or not there (/etc/selinux/config).
func Policy(fsys fs.FS) (string, error) {
	text, err := read(fsys, "etc/selinux/config")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	policy := defaultType
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if value, ok := cutFold(line, "SELINUX="); ok && strings.EqualFold(value, "disabled") {
			return "", nil
		}
		if value, ok := cutFold(line, "SELINUXTYPE="); ok && value != "" {
			policy = value
		}
	}
	if strings.Contains(policy, "/") || policy == "." || policy == ".." {
		return "", fmt.Errorf("/etc/selinux/config: SELINUXTYPE=%s: %w", policy, fault.ErrCorrupt)
	}
	return policy, nil
}

func cutFold(line, key string) (string, bool) {
	if len(line) < len(key) || !strings.EqualFold(line[:len(key)], key) {
		return "", false
	}
	return strings.TrimSpace(line[len(key):]), true
}

// filesDir returns the directory of the policy's files, as fs.FS names it.
func filesDir(policy string) string { return "etc/selinux/" + policy + "/contexts/files" }

func read(fsys fs.FS, name string) (string, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("/%s: %w", name, err)
	}
	if len(text) > maxFile {
		return "", fmt.Errorf("/%s is larger than %d bytes: %w", name, maxFile, fault.ErrUnsupported)
	}
	return string(text), nil
}

// Label returns the label of the file at an absolute path, which need not
// exist; mode says of what type it is. Without ok the policy has none for it.
// The error wraps fault.ErrUnsupported where a line decides that cannot be
// read.
func (c *Contexts) Label(p string, mode tree.Mode) (label string, ok bool, err error) {
	p = tidy(p)
	if q, found := replace(c.subs, p); found {
		p = q
	}
	if q, found := replace(c.subsDist, p); found {
		p = q
	}
	best := c.literal(p, mode)
	if best == nil {
		if best, err = c.pattern(p, mode); err != nil || best == nil {
			return "", false, err
		}
	}
	return best.label, best.label != none, nil
}

// tidy drops slashes that repeat, and one at the end; libselinux does no more.
func tidy(p string) string {
	for strings.Contains(p, "//") {
		p = strings.ReplaceAll(p, "//", "/")
	}
	if len(p) > 1 {
		p = strings.TrimSuffix(p, "/")
	}
	if !strings.HasPrefix(p, "/") {
		p = "/" + p
	}
	return p
}

// none is the label of files that keep what they have.
const none = "<<none>>"

// literal returns the last line that is for p alone.
func (c *Contexts) literal(p string, mode tree.Mode) *rule {
	var best *rule
	for _, r := range c.literals[p] {
		if r.fits(mode) {
			best = r
		}
	}
	return best
}

// pattern returns the last line that matches p. The lines are kept by
// directory, so only those of the directories above p are tried, and of them
// only those that come later than what was found.
func (c *Contexts) pattern(p string, mode tree.Mode) (*rule, error) {
	var best *rule
	subject := bytewise(p)
	for dir := p; dir != ""; {
		dir = dir[:max(0, strings.LastIndexByte(dir, '/'))] // a substitute may have no slash at all
		list := c.patterns[dir]
		for i := len(list) - 1; i >= 0; i-- {
			r := list[i]
			if best != nil && r.order < best.order {
				break
			}
			if !r.fits(mode) || !strings.HasPrefix(p, r.prefix) {
				continue
			}
			match, err := r.match(subject)
			if err != nil {
				return nil, err
			}
			if match {
				best = r
				break
			}
		}
	}
	return best, nil
}

// bytewise makes a string with one rune for each byte, as PCRE looks at bytes.
func bytewise(p string) string {
	for i := range len(p) {
		if p[i] >= 0x80 {
			runes := make([]rune, len(p))
			for j := range len(p) {
				runes[j] = rune(p[j])
			}
			return string(runes)
		}
	}
	return p
}
