package repart

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sextant/internal/dps"
	"sextant/internal/format/gpt"
)

// addCopy reads CopyFiles=: source[:target[:options]], with C escapes.
func (r *reader) addCopy(text string) error {
	parts, err := colonParts(text)
	if err != nil {
		return err
	}
	if len(parts) > 3 {
		return complain("write source:target; a colon in a path is \\x3a", "more than three parts")
	}
	if len(parts) == 3 {
		if err := checkOptions(parts[2]); err != nil {
			return err
		}
	}
	source, err := r.path(parts[0], false)
	if err != nil {
		return err
	}
	target := source
	if len(parts) > 1 {
		if target, err = r.path(parts[1], false); err != nil {
			return err
		}
	}
	r.d.Copies = append(r.d.Copies, Copy{source, target})
	return nil
}

// checkOptions takes the options of CopyFiles= that change nothing.
func checkOptions(text string) error {
	for _, option := range strings.Split(text, ",") {
		if option != "" && option != "fsverity=off" {
			return complain("", "sextant does not do the option %s", option)
		}
	}
	return nil
}

// colonParts cuts a text at colons and replaces C escapes.
func colonParts(text string) ([]string, error) {
	var (
		parts []string
		part  strings.Builder
	)
	for text != "" {
		switch text[0] {
		case ':':
			parts = append(parts, part.String())
			part.Reset()
			text = text[1:]
		case '\\':
			unescaped, rest, err := unescape(text[1:])
			if err != nil {
				return nil, err
			}
			part.WriteString(unescaped)
			text = rest
		default:
			part.WriteByte(text[0])
			text = text[1:]
		}
	}
	return append(parts, part.String()), nil
}

// unescape reads what follows a backslash (src/basic/escape.c, cunescape_one).
func unescape(text string) (unescaped, rest string, err error) {
	bad := complain("write \\\\ for a backslash", "an unknown escape")
	if text == "" {
		return "", "", bad
	}
	if i := strings.IndexByte(`abfnrtv\"'s`, text[0]); i >= 0 {
		return "\a\b\f\n\r\t\v\\\"' "[i : i+1], text[1:], nil
	}
	digits, base, skip := 0, 16, 1
	switch text[0] {
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	default:
		digits, base, skip = 3, 8, 0
	}
	if len(text) < skip+digits {
		return "", "", bad
	}
	n, err := strconv.ParseUint(text[skip:skip+digits], base, 32)
	if err != nil || n == 0 {
		return "", "", bad
	}
	rest = text[skip+digits:]
	if digits <= 3 { // one byte
		if n > 0xff {
			return "", "", bad
		}
		return string([]byte{byte(n)}), rest, nil
	}
	if !utf8.ValidRune(rune(n)) {
		return "", "", bad
	}
	return string(rune(n)), rest, nil
}

// addExclude reads ExcludeFiles=. A slash at the end stays: it means what is
// in the directory.
func (r *reader) addExclude(text string) error {
	if text == "" {
		r.d.ExcludeFiles = nil
		return nil
	}
	return r.eachWord(text, func(word string) error {
		path, err := r.path(word, true)
		r.d.ExcludeFiles = append(r.d.ExcludeFiles, path)
		return err
	})
}

func (r *reader) addDirs(text string) error {
	return r.eachWord(text, func(word string) error {
		path, err := r.path(word, false)
		if err == nil && !slices.Contains(r.d.MakeDirs, path) {
			r.d.MakeDirs = append(r.d.MakeDirs, path)
		}
		return err
	})
}

func (r *reader) addSymlinks(text string) error {
	return r.eachWord(text, func(word string) error {
		path, target, found := strings.Cut(word, ":")
		if !found || target == "" || strings.Contains(target, ":") {
			return complain("write /path/of/link:target", "%s is not a path and a target", word)
		}
		path, err := r.path(path, false)
		r.d.MakeSymlinks = append(r.d.MakeSymlinks, Symlink{path, target})
		return err
	})
}

// eachWord calls add for the words of a text, which are separated by white
// space and may be quoted. A backslash takes the next character as it is.
func (r *reader) eachWord(text string, add func(string) error) error {
	list, err := quotedWords(text)
	if err != nil {
		return err
	}
	for _, word := range list {
		if err := add(word); err != nil {
			return err
		}
	}
	return nil
}

func quotedWords(text string) ([]string, error) {
	var (
		list   []string
		word   strings.Builder
		inWord bool
		quote  rune
		slash  bool
	)
	flush := func() {
		if inWord {
			list = append(list, word.String())
		}
		word.Reset()
		inWord = false
	}
	for _, c := range text {
		switch {
		case slash:
			word.WriteRune(c)
			slash = false
		case c == '\\':
			slash, inWord = true, true
		case c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '"' || c == '\'':
			quote, inWord = c, true
		case strings.ContainsRune(" \t\n\r", c):
			flush()
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if quote != 0 || slash {
		return nil, complain("", "a quote or a backslash without an end")
	}
	flush()
	return list, nil
}

// path expands specifiers and checks an absolute path. Slashes that do nothing
// are dropped, the one at the end only if keepSlash is not set.
func (r *reader) path(text string, keepSlash bool) (string, error) {
	text, err := r.expand(text)
	if err != nil {
		return "", err
	}
	const most = 4095 // PATH_MAX without the NUL
	switch {
	case !utf8.ValidString(text):
		return "", complain("", "a path that is not UTF-8")
	case !strings.HasPrefix(text, "/"):
		return "", complain("paths start at the root of the built tree, write /usr/...", "path %q is not absolute", text)
	case len(text) > most:
		return "", complain("", "a path with %d bytes, Linux allows %d", len(text), most)
	}
	names := strings.FieldsFunc(text, func(c rune) bool { return c == '/' })
	names = slices.DeleteFunc(names, func(n string) bool { return n == "." })
	for _, n := range names {
		if n == ".." {
			return "", complain("", "path %q climbs with ..", text)
		}
		if len(n) > 255 {
			return "", complain("", "path %q has a name with %d bytes, Linux allows 255", text, len(n))
		}
	}
	clean := "/" + strings.Join(names, "/")
	if keepSlash && strings.HasSuffix(text, "/") && clean != "/" {
		clean += "/"
	}
	return clean, nil
}

// expand replaces the specifiers of systemd that do not depend on the machine
// that builds: %a for the architecture of the image, and %%.
func (r *reader) expand(text string) (string, error) {
	return replaceSpecifiers(text, func(c byte) (string, error) {
		switch {
		case c == 'a':
			return string(r.native), nil
		case strings.IndexByte("bHlqmvTV", c) >= 0:
			return "", complain("", "%%%c depends on the machine that builds", c)
		case strings.IndexByte("ABMowW", c) >= 0:
			return "", complain("", "%%%c comes from the os-release of the system, an extension has none", c)
		}
		return "", complain("write %% for a percent sign", "unknown specifier %%%c", c)
	})
}

// setSplitName reads SplitName=. "-" means that the partition is not split off.
func (r *reader) setSplitName(text string) error {
	switch text {
	case "":
		r.d.SplitName = "%t"
		return nil
	case "-":
		r.d.SplitName = ""
		return nil
	}
	sample, err := expandSplitName(text, dps.Type{}, 0, gpt.GUID{})
	if err != nil {
		return err
	}
	if strings.Contains(sample, "/") || len(sample) > 200 {
		return complain("", "not a part of a file name")
	}
	r.d.SplitName = text
	return nil
}

func expandSplitName(text string, t dps.Type, number int, uuid gpt.GUID) (string, error) {
	return replaceSpecifiers(text, func(c byte) (string, error) {
		switch c {
		case 't':
			return t.Name, nil
		case 'T':
			return hexadecimal(t.UUID), nil
		case 'U':
			return hexadecimal(uuid), nil
		case 'n':
			return strconv.Itoa(number), nil
		case 'a':
			return string(t.Architecture), nil
		}
		return "", complain("the specifiers are %t %T %U %n %a", "%%%c is not one of the specifiers of SplitName=", c)
	})
}

// replaceSpecifiers expands %c by value(c) for letters and digits c, and %% to a percent
// sign. A percent sign before anything else stays.
func replaceSpecifiers(text string, value func(c byte) (string, error)) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "%")
		b.WriteString(before)
		switch {
		case !found:
			return b.String(), nil
		case rest == "" || rest[0] != '%' && !isAlnum(rest[0]):
			b.WriteByte('%')
			text = rest
		case rest[0] == '%':
			b.WriteByte('%')
			text = rest[1:]
		default:
			v, err := value(rest[0])
			if err != nil {
				return "", err
			}
			b.WriteString(v)
			text = rest[1:]
		}
	}
}

func isAlnum(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
