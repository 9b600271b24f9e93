package tree

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// RemoveGlobs removes what the patterns match, with all that is in it, and
// returns the paths in byte order. The patterns are those of mkosi's
// RemoveFiles=, which are Python's (pathlib, "Pattern language"):
//
//   - any part of a name, also of one that starts with a dot
//     ?        one character
//     [a-z]    one of these characters
//     [!a-z]   one character, none of these
//     **       as a whole name: any number of directories, none included
//
// A pattern is relative to the root, with or without a slash before it; a
// slash behind it matches directories only. Symbolic links that stay in the
// tree are followed, but not by "**". The root itself cannot be removed, only
// all that is in it.
func (t *Tree) RemoveGlobs(patterns []string) ([]string, error) {
	var found []match
	for _, pattern := range patterns {
		g, err := parseGlob(pattern)
		if err != nil {
			return nil, err
		}
		found = append(found, t.glob(g)...)
	}
	paths := make([]string, 0, len(found))
	for _, m := range found {
		paths = append(paths, m.path())
		m.remove()
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// match is one entry of a directory, or the root where name is empty.
type match struct {
	dir     *Inode
	dirPath string // without a slash at the end
	name    string
}

func (m match) path() string {
	if m.name == "" {
		return m.dirPath
	}
	return m.dirPath + "/" + m.name
}

func (m match) remove() {
	if m.name != "" {
		m.dir.Remove(m.name)
		return
	}
	for _, e := range m.dir.Entries() {
		m.dir.Remove(e.Name)
	}
}

// glob is a parsed pattern: one expression for each name, nil for "**".
type glob struct {
	names    []*regexp.Regexp
	dirsOnly bool
}

func parseGlob(pattern string) (glob, error) {
	names := Split(pattern)
	switch {
	case len(names) == 0:
		return glob{}, fmt.Errorf("pattern %q names nothing", pattern)
	case slices.Contains(names, ".."):
		return glob{}, fmt.Errorf("pattern %q %w", pattern, ErrOutside)
	}
	g := glob{dirsOnly: strings.HasSuffix(pattern, "/")}
	for _, name := range names {
		if name == "**" {
			g.names = append(g.names, nil)
			continue
		}
		expr, err := regexp.Compile(nameExpr(name))
		if err != nil {
			return glob{}, fmt.Errorf("pattern %q: %w", pattern, err)
		}
		g.names = append(g.names, expr)
	}
	// Two in a row match what one does, only slower.
	g.names = slices.CompactFunc(g.names, func(a, b *regexp.Regexp) bool { return a == nil && b == nil })
	return g, nil
}

func (t *Tree) glob(g glob) []match {
	f := finder{tree: t, glob: g, seen: make(map[visit]bool)}
	f.find(match{dir: t.Root}, t.Root, 0)
	return f.found
}

// finder collects matches. It visits a directory once for each position in
// the pattern, however many ways lead to it.
type finder struct {
	tree  *Tree
	glob  glob
	seen  map[visit]bool
	found []match
}

type visit struct {
	dir  *Inode
	next int
}

// find matches the names from next on against what is in dir, which is at.
func (f *finder) find(at match, dir *Inode, next int) {
	if f.seen[visit{dir, next}] {
		return
	}
	f.seen[visit{dir, next}] = true
	last := next == len(f.glob.names)-1
	switch {
	case f.glob.names[next] != nil:
		f.findNames(at, dir, next, last)
	case last:
		f.found = append(f.found, at)
	default:
		f.findDeep(at, dir, next)
	}
}

func (f *finder) findNames(at match, dir *Inode, next int, last bool) {
	for _, e := range dir.Entries() {
		if !f.glob.names[next].MatchString(e.Name) {
			continue
		}
		m := match{dir, at.path(), e.Name}
		behind := f.behind(m, e.Inode)
		switch {
		case last && (behind != nil || !f.glob.dirsOnly):
			f.found = append(f.found, m)
		case !last && behind != nil:
			f.find(m, behind, next+1)
		}
	}
}

// findDeep matches "**" at next: dir itself and every directory below it.
func (f *finder) findDeep(at match, dir *Inode, next int) {
	f.find(at, dir, next+1)
	for _, e := range dir.Entries() {
		if e.Inode.Mode.IsDir() {
			f.find(match{dir, at.path(), e.Name}, e.Inode, next)
		}
	}
}

// behind returns the directory that node, which is at, is or, as a symbolic
// link, leads to without leaving the tree, else nil.
func (f *finder) behind(at match, node *Inode) *Inode {
	if node.Mode.IsDir() {
		return node
	}
	if node.Mode.Type() != TypeSymlink {
		return nil
	}
	dir, err := f.tree.ResolveDir(at.path(), false)
	if err != nil {
		return nil
	}
	return dir
}

// nameExpr returns the regular expression for one name of a pattern, with the
// rules of Python's fnmatch.
func nameExpr(pattern string) string {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for i := 0; i < len(pattern); {
		switch c := pattern[i]; c {
		case '*':
			b.WriteString(`.*`)
		case '?':
			b.WriteString(`.`)
		case '[':
			if class, n := classExpr(pattern[i+1:]); n > 0 {
				b.WriteString(class)
				i += n + 1
				continue
			}
			b.WriteString(`\[`)
		default:
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
		i++
	}
	b.WriteString(`\z`)
	return b.String()
}

// classExpr returns the expression for the character class whose text starts
// after its "[", and the number of bytes up to and with its "]"; 0 if there
// is none. A "]" right at the start belongs to the class.
func classExpr(s string) (expr string, n int) {
	body, negate := strings.CutPrefix(s, "!")
	start := len(s) - len(body)
	if body == "" {
		return "", 0
	}
	end := strings.IndexByte(body[1:], ']')
	if end < 0 {
		return "", 0
	}
	body = body[:end+1]
	n = start + len(body) + 1
	set := classSet([]rune(body))
	switch {
	case set == "" && negate:
		return `.`, n
	case set == "":
		return `[^\x00-\x{10FFFF}]`, n
	case negate:
		return `[^` + set + `]`, n
	}
	return `[` + set + `]`, n
}

// classSet returns the inside of the class. A range whose ends are the wrong
// way round holds nothing.
func classSet(body []rune) string {
	var b strings.Builder
	for i := 0; i < len(body); i++ {
		if i+2 < len(body) && body[i+1] == '-' {
			if body[i] <= body[i+2] {
				fmt.Fprintf(&b, `\x{%X}-\x{%X}`, body[i], body[i+2])
			}
			i += 2
			continue
		}
		fmt.Fprintf(&b, `\x{%X}`, body[i])
	}
	return b.String()
}
