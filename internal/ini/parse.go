package ini

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxSize is the largest file in bytes that is read. It is the length of the
// longest line that systemd takes (LONG_LINE_MAX), and far above any
// configuration that a person writes.
const MaxSize = 1 << 20

// Dialect is one of the two ways to write an INI file.
type Dialect int

// The dialects.
const (
	Mkosi Dialect = iota
	Systemd
)

// Section is one section of a file, from its header to the next.
type Section struct {
	Name string
	At   Position
	Keys []Key
}

// Key is one assignment. The value is trimmed; the parts of a value of several
// lines are joined as the dialect does.
type Key struct {
	Name  string
	Value string
	At    Position
}

// ReadFile reads the file at path, which messages call name. A file larger
// than MaxSize, or one that is not a regular file, is a Fault.
func ReadFile(path, name string) ([]byte, error) {
	return ReadFS(os.DirFS(filepath.Dir(path)), filepath.Base(path), name)
}

// ReadFS is ReadFile for a file in fsys.
func ReadFS(fsys fs.FS, path, name string) ([]byte, error) {
	// Stat first: to open a fifo waits for its other end.
	info, err := fs.Stat(fsys, path)
	if err != nil {
		return nil, named(err, name)
	}
	if !info.Mode().IsRegular() {
		return nil, Faultf(Position{File: name}, "", "not a regular file")
	}
	f, err := fsys.Open(path)
	if err != nil {
		return nil, named(err, name)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, named(err, name)
	}
	if len(text) > MaxSize {
		return nil, Faultf(Position{File: name}, "", "larger than %d bytes", MaxSize)
	}
	return text, nil
}

// named turns an error about a path into one about the name that messages use.
func named(err error, name string) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// Parse returns the sections of text, which is the content of the file that
// messages call name. The error is a *Fault.
func Parse(d Dialect, name string, text []byte) ([]Section, error) {
	if err := check(name, text); err != nil {
		return nil, err
	}
	p := parser{dialect: d, name: name}
	lines := split(string(text))
	parse := p.mkosi
	if d == Systemd {
		parse = p.systemd
	} else {
		dedent(lines)
	}
	if err := parse(lines); err != nil {
		return nil, err
	}
	return p.sections, nil
}

// check refuses what no line of either dialect may hold.
func check(name string, text []byte) error {
	if len(text) > MaxSize {
		return Faultf(Position{File: name}, "", "larger than %d bytes", MaxSize)
	}
	for n, line := range bytes.Split(text, []byte("\n")) {
		at := Position{name, n + 1}
		if !utf8.Valid(line) {
			return Faultf(at, "", "not valid UTF-8")
		}
		if bytes.IndexByte(line, 0) >= 0 {
			return Faultf(at, "", "a NUL byte")
		}
	}
	return nil
}

// split cuts text into lines without their ends, "\n" or "\r\n", and drops a
// byte order mark.
func split(text string) []string {
	lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	return lines
}

// dedent removes the indent that all lines with something on them have in
// common, in place.
func dedent(lines []string) {
	margin, found := "", false
	for _, line := range lines {
		body := strings.TrimLeft(line, " \t")
		if body == "" {
			continue
		}
		indent := line[:len(line)-len(body)]
		if !found {
			margin, found = indent, true
		}
		margin = shared(margin, indent)
	}
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, margin)
	}
}

// shared returns the longest common start of a and b.
func shared(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

// parser collects the sections of one file.
type parser struct {
	dialect  Dialect
	name     string
	sections []Section
}

func (p *parser) mkosi(lines []string) error {
	var key *Key       // the assignment that an indented line continues
	var value []string // the lines of its value
	end := func() {
		if key != nil {
			key.Value = strings.Join(value, "\n")
		}
	}
	defer end()
	for n, line := range lines {
		if i := strings.IndexByte(line, '#'); i >= 0 {
			line = line[:i]
		}
		body := strings.TrimSpace(line)
		if body == "" {
			continue
		}
		if key != nil && indented(line) {
			value = append(value, body)
			continue
		}
		end()
		var err error
		if key, err = p.line(body, n+1); err != nil {
			return err
		}
		if key != nil {
			value = append(value[:0], key.Value)
		}
	}
	return nil
}

// indented reports whether a line starts with white space.
func indented(line string) bool {
	r, _ := utf8.DecodeRuneInString(line)
	return unicode.IsSpace(r)
}

func (p *parser) systemd(lines []string) error {
	var held strings.Builder // the lines so far that ended in a backslash
	start := 0
	for n, line := range lines {
		if body := strings.TrimLeft(line, " \t"); strings.HasPrefix(body, "#") || strings.HasPrefix(body, ";") {
			continue
		}
		if held.Len() == 0 {
			start = n + 1
		}
		if escaped(line) {
			held.WriteString(line[:len(line)-1] + " ")
			continue
		}
		held.WriteString(line)
		if err := p.trimmed(held.String(), start); err != nil {
			return err
		}
		held.Reset()
	}
	return p.trimmed(held.String(), start)
}

// escaped reports whether the line ends in a backslash that no backslash
// before it takes away.
func escaped(line string) bool {
	rest := strings.TrimRight(line, `\`)
	return (len(line)-len(rest))%2 == 1
}

func (p *parser) trimmed(line string, n int) error {
	line = strings.TrimSpace(line)
	if line == "" {
		return nil
	}
	_, err := p.line(line, n)
	return err
}

// line takes one trimmed line that is not empty: a section header or an
// assignment. For an assignment it returns the key, so that its value can
// grow until the next call.
func (p *parser) line(line string, n int) (*Key, error) {
	at := Position{p.name, n}
	if line[0] == '[' {
		return nil, p.header(line, at)
	}
	name, value, found := strings.Cut(line, "=")
	name = strings.TrimSpace(name)
	switch {
	case !found:
		return nil, Faultf(at, "write Key=value, or indent the line to continue the value above it",
			"%s is neither a section nor a setting", quote(line))
	case name == "":
		return nil, Faultf(at, "", "no name before the equals sign in %s", quote(line))
	case len(p.sections) == 0:
		return nil, Faultf(at, "put a line like [Output] above it", "%s= is outside of any section", clip(name))
	}
	s := &p.sections[len(p.sections)-1]
	s.Keys = append(s.Keys, Key{Name: name, Value: strings.TrimSpace(value), At: at})
	return &s.Keys[len(s.Keys)-1], nil
}

func (p *parser) header(line string, at Position) error {
	name, closed := strings.CutSuffix(line[1:], "]")
	if !closed {
		return Faultf(at, "end the line with ]", "section %s does not end", quote(line))
	}
	name = strings.TrimSpace(name)
	if name == "" {
		return Faultf(at, "", "a section without a name")
	}
	if p.dialect == Systemd && strings.ContainsFunc(name, unsafeInName) {
		return Faultf(at, "", "section name %s contains a quote, a backslash or a control character", quote(name))
	}
	p.sections = append(p.sections, Section{Name: name, At: at})
	return nil
}

// unsafeInName reports what systemd does not allow in section names
// (src/basic/string-util.c, string_is_safe).
func unsafeInName(r rune) bool {
	return unicode.IsControl(r) || strings.ContainsRune(`"'\`, r)
}

// quote returns the text in quotes for a message, cut where it is long.
func quote(text string) string { return fmt.Sprintf("%q", clip(text)) }

func clip(text string) string {
	const enough = 60
	if len(text) <= enough {
		return text
	}
	for n := enough; ; n-- {
		if utf8.RuneStart(text[n]) {
			return text[:n] + "…"
		}
	}
}
