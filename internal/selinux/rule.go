package selinux

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"sextant/internal/fault"
	"sextant/internal/tree"
)

// maxPattern is the length in bytes from which libselinux refuses a pattern.
const maxPattern = 4096

// rule is a line of file_contexts.
type rule struct {
	order   int    // the number of the line, over all files
	source  string // file and line
	pattern string
	prefix  string    // what all its paths start with
	kind    tree.Mode // the type of file, 0 for any
	label   string

	once     sync.Once
	compiled *regexp.Regexp
	fault    error
}

func (r *rule) fits(mode tree.Mode) bool { return r.kind == 0 || mode&tree.TypeMask == r.kind }

// match reports whether the whole of a path matches. The pattern is compiled
// when it is first needed: a policy has thousands, and a base few files that
// change.
func (r *rule) match(subject string) (bool, error) {
	r.once.Do(func() {
		// libselinux puts ^ and $ around the pattern without a group, so an
		// alternative at the top level is anchored on one side.
		r.compiled, r.fault = regexp.Compile("(?s)^" + r.pattern + "$")
		if r.fault != nil {
			r.fault = fmt.Errorf("%s: %s is not understood: %w: %w", r.source, r.pattern, r.fault, fault.ErrUnsupported)
		}
	})
	if r.fault != nil {
		return false, r.fault
	}
	return r.compiled.MatchString(subject), nil
}

// parse adds the lines of one file. An entry that libselinux refuses is an
// error that wraps fault.ErrCorrupt: it then knows no labels at all.
func (c *Contexts) parse(file, text string) error {
	n := 0
	for line := range strings.Lines(text) {
		n++
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		r, err := parseRule(fields)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", file, n, err)
		}
		r.source = fmt.Sprintf("%s:%d", file, n)
		c.add(r)
	}
	return nil
}

func parseRule(fields []string) (*rule, error) {
	if len(fields) < 2 {
		return nil, fmt.Errorf("no label for %s: %w", fields[0], fault.ErrCorrupt)
	}
	r := &rule{pattern: fields[0], label: fields[1]}
	if len(fields) > 2 {
		kind, ok := kindOf(fields[1])
		if !ok {
			return nil, fmt.Errorf("%s is no type of file: %w", fields[1], fault.ErrCorrupt)
		}
		r.kind, r.label = kind, fields[2]
	}
	for i := range len(r.pattern) {
		if r.pattern[i] >= 0x80 {
			return nil, fmt.Errorf("%q is not ASCII: %w", r.pattern, fault.ErrCorrupt)
		}
	}
	if len(r.pattern) >= maxPattern {
		return nil, fmt.Errorf("a pattern of %d bytes: %w", len(r.pattern), fault.ErrCorrupt)
	}
	return r, nil
}

// kindOf returns the type of file that a field of file_contexts stands for.
func kindOf(field string) (tree.Mode, bool) {
	switch field {
	case "--":
		return tree.TypeRegular, true
	case "-d":
		return tree.TypeDir, true
	case "-l":
		return tree.TypeSymlink, true
	case "-b":
		return tree.TypeBlock, true
	case "-c":
		return tree.TypeChar, true
	case "-p":
		return tree.TypeFIFO, true
	case "-s":
		return tree.TypeSocket, true
	}
	return 0, false
}

// special are the characters that make a pattern of a path
// (spec_hasMetaChars).
const special = ".^$?*+|[({"

// add files a rule under what its paths start with.
func (c *Contexts) add(r *rule) {
	r.order = c.count
	c.count++
	prefix, literal := split(r.pattern)
	if literal {
		c.literals[prefix] = append(c.literals[prefix], r)
		return
	}
	r.prefix = prefix
	dir := ""
	if i := strings.LastIndexByte(prefix, '/'); i > 0 {
		dir = prefix[:i]
	}
	c.patterns[dir] = append(c.patterns[dir], r)
}

// split returns the part of a pattern in front of the first special character,
// without backslashes, and whether that is all of it. A character that is
// repeated or optional is not part of it. Where an alternative stands at the
// top level it is the first directory only, in which libselinux looks for the
// others too.
func split(pattern string) (prefix string, literal bool) {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		if strings.IndexByte(special, c) >= 0 {
			prefix = b.String()
			if strings.IndexByte("?*{|", c) >= 0 && prefix != "" {
				prefix = prefix[:len(prefix)-1]
			}
			if alternatives(pattern) {
				prefix = firstDir(prefix)
			}
			return prefix, false
		}
		if c == '\\' && i+1 < len(pattern) {
			i++
			c = pattern[i]
			// A letter or digit behind a backslash is a class or a code.
			if c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' {
				return b.String(), false
			}
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

// firstDir cuts a path behind its second slash.
func firstDir(p string) string {
	if len(p) < 2 {
		return ""
	}
	return p[:strings.IndexByte(p[1:], '/')+2]
}

// alternatives reports whether a | stands outside of all groups.
func alternatives(pattern string) bool {
	depth, class := 0, false
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
			if rest := pattern[i+1:]; strings.HasPrefix(rest, "]") || strings.HasPrefix(rest, "^") {
				i++
			}
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == '|' && depth == 0:
			return true
		}
	}
	return false
}
