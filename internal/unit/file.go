package unit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf8"

	"sextant/internal/fault"
)

// maxFile is the largest unit file in bytes that is read. A line of more than
// 1 MiB is an error for systemd (LONG_LINE_MAX); no unit file comes near.
const maxFile = 1 << 20

// assignment is a line of an [Install] section.
type assignment struct{ key, value string }

// readFile returns the content of the regular file at a resolved path.
func (r *root) readFile(p string) (string, error) {
	f, err := r.fsys.Open(name(p))
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxFile {
		return "", fmt.Errorf("%s is larger than %d bytes: %w", p, maxFile, fault.ErrUnsupported)
	}
	return string(text), nil
}

// isMask tells whether a file of that kind masks a unit: an empty one, or
// /dev/null (null_or_empty).
func (r *root) isMask(p string, mode fs.FileMode) (bool, error) {
	if !mode.IsRegular() {
		return mode&fs.ModeCharDevice != 0, nil
	}
	info, err := fs.Lstat(r.fsys, name(p))
	return err == nil && info.Size() == 0, err
}

// parseInstall returns the assignments of the [Install] sections of a unit
// file, by the rules of config_parse and parse_line: what is no assignment is
// passed over, a section header that is none is an error.
func parseInstall(text string) ([]assignment, error) {
	var found []assignment
	section := ""
	for _, line := range logicalLines(text) {
		line = strings.Trim(line, blanks)
		switch {
		case line == "":
		case !utf8.ValidString(line):
			return nil, fmt.Errorf("a line is not UTF-8: %w", fault.ErrCorrupt)
		case line[0] == '[':
			inner, ok := strings.CutSuffix(line[1:], "]")
			if !ok || strings.ContainsFunc(inner, notInHeader) {
				return nil, fmt.Errorf("%q is no section header: %w", line, fault.ErrCorrupt)
			}
			section = inner
		case section == "Install":
			if key, value, ok := strings.Cut(line, "="); ok && key != "" {
				found = append(found, assignment{strings.Trim(key, blanks), strings.Trim(value, blanks)})
			}
		}
	}
	return found, nil
}

// blanks are what systemd strips off a line (WHITESPACE).
const blanks = " \t\n\r"

// notInHeader tells the characters that no section header has (string_is_safe).
func notInHeader(c rune) bool { return c > 0 && c < ' ' || strings.ContainsRune("\"'\\\x7f", c) }

// logicalLines joins the lines that end in a backslash with the next, and
// leaves comments out, also between such lines.
func logicalLines(text string) []string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "\n").Replace(text)
	var lines []string
	var joined strings.Builder
	for line := range strings.SplitSeq(strings.TrimPrefix(text, "\ufeff"), "\n") {
		if body := strings.TrimLeft(line, blanks); body != "" && strings.IndexByte("#;", body[0]) >= 0 {
			continue
		}
		if escapes(joined.String() + line) {
			joined.WriteString(line[:len(line)-1] + " ")
			continue
		}
		lines = append(lines, joined.String()+line)
		joined.Reset()
	}
	return append(lines, joined.String())
}

// escapes reports whether the last byte of line is a backslash that no other
// one protects.
func escapes(line string) bool {
	rest := strings.TrimRight(line, "\\")
	return (len(line)-len(rest))%2 == 1
}

// errWords says that a value cannot be cut into words.
var errWords = errors.New("a quote or a backslash without an end")

// quotedWords cuts a value into words; quotes hold a word together, and
// backslashes stand for themselves (extract_first_word with EXTRACT_UNQUOTE
// and EXTRACT_RETAIN_ESCAPE). With an error the words are those before it.
func quotedWords(value string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote := false, byte(0)
	for i := range len(value) {
		c := value[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case strings.IndexByte(blanks, c) < 0:
			word.WriteByte(c)
			inWord = true
		case inWord:
			words = append(words, word.String())
			word.Reset()
			inWord = false
		}
	}
	if quote != 0 {
		return words, errWords
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// escapedWords cuts a value into words; a backslash takes the meaning from the
// next byte, and quotes are bytes like any other (extract_first_word without
// flags).
func escapedWords(value string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, escaped := false, false
	for i := range len(value) {
		c := value[i]
		switch {
		case escaped:
			word.WriteByte(c)
			escaped = false
		case c == '\\':
			escaped, inWord = true, true
		case strings.IndexByte(blanks, c) < 0:
			word.WriteByte(c)
			inWord = true
		case inWord:
			words = append(words, word.String())
			word.Reset()
			inWord = false
		}
	}
	if escaped {
		return nil, errWords
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
