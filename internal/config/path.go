package config

import (
	"os"
	"path/filepath"
	"strings"
)

// path returns the absolute path that text names in this place. Variables and
// a leading ~ are replaced as mkosi does.
func (p *place) path(text string) (string, error) {
	text = p.expand(text)
	if strings.HasPrefix(text, "~") {
		home, rest := p.environ["HOME"], text[1:]
		if home == "" || rest != "" && rest[0] != '/' {
			return "", complain("write the path out", "the home directory in %s is not known", text)
		}
		text = home + rest
	}
	if text == "" {
		return "", complain("", "an empty path")
	}
	if strings.ContainsRune(text, 0) {
		return "", complain("", "a path with a NUL byte")
	}
	if !filepath.IsAbs(text) {
		text = p.dir + "/" + text
	}
	// ".." behind a symbolic link is the parent of where the link leads.
	if strings.Contains(text+"/", "/../") {
		if real, err := filepath.EvalSymlinks(text); err == nil {
			return real, nil
		}
	}
	return filepath.Clean(text), nil
}

// expand replaces $NAME and ${NAME} by the variables that are set; others stay
// as they are.
func (p *place) expand(text string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, length := variableName(after)
		value, set := p.environ[name]
		if length == 0 || !set {
			value = "$" + after[:length]
		}
		b.WriteString(value)
		text = after[length:]
	}
}

// variableName returns the name of a variable that text starts with, bare or
// in braces, and how many bytes it takes up.
func variableName(text string) (name string, length int) {
	if strings.HasPrefix(text, "{") {
		end := strings.IndexByte(text, '}')
		if end < 0 {
			return "", 0
		}
		return text[1:end], end + 1
	}
	n := 0
	for n < len(text) && (text[n] == '_' || isAlnum(text[n])) {
		n++
	}
	return text[:n], n
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// canonical returns the absolute path of the directory without symbolic links.
func canonical(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// isDir and isFile follow symbolic links.
func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
