package settings

import (
	"strings"

	"sextant/internal/linux/smallfile"
)

// maxCommandLine is more than any kernel takes, in bytes (COMMAND_LINE_SIZE).
const maxCommandLine = 64 << 10

// CommandLine is the command line of the kernel, word by word.
type CommandLine []string

// ReadCommandLine returns the kernel's command line, or what
// $SYSTEMD_PROC_CMDLINE says in its place. It is empty where there is none.
func ReadCommandLine(e Environment) CommandLine {
	text, ok := e.Lookup("SYSTEMD_PROC_CMDLINE")
	if !ok {
		raw, err := smallfile.Read("/proc/cmdline", maxCommandLine)
		if err != nil {
			return nil
		}
		text = string(raw)
	}
	return splitWords(text)
}

// splitWords cuts at white space outside of double and single quotes, which it
// removes.
func splitWords(text string) (words []string) {
	var word strings.Builder
	quote, inWord := rune(0), false
	for _, r := range text {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, inWord = r, true
		case quote == 0 && strings.ContainsRune(" \t\r\n", r):
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}

// Bool returns the last value of key, true where it stands without any, missing
// where it does not stand there, and broken where it is no boolean. A - in the
// key is a _.
func (c CommandLine) Bool(key string, missing, broken bool) bool {
	found, value, has := false, "", false
	for _, word := range c {
		name, text, valued := strings.Cut(word, "=")
		if strings.ReplaceAll(name, "-", "_") != strings.ReplaceAll(key, "-", "_") {
			continue
		}
		found = true
		if valued {
			value, has = text, true
		}
	}
	if !has {
		return found || missing
	}
	if b, ok := ParseBool(value); ok {
		return b
	}
	return broken
}
