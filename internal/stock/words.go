package stock

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"sextant/internal/merge"
	"sextant/internal/settings"
)

// log writes lines to standard error. Where that ends in the journal each has
// its priority in front.
type log struct {
	out    io.Writer
	prefix bool
	upTo   merge.Level
}

func newLog(env Env, environ settings.Environment) log {
	l := log{out: env.Stderr, prefix: env.InJournal, upTo: merge.Info}
	if text, ok := environ.Lookup("SYSTEMD_LOG_LEVEL"); ok {
		if level, ok := parseLevel(text); ok {
			l.upTo = level
		}
	}
	if target, _ := environ.Lookup("SYSTEMD_LOG_TARGET"); target == "null" {
		l.out = io.Discard
	}
	return l
}

func parseLevel(text string) (merge.Level, bool) {
	for n, name := range []string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"} {
		if text == name || text == fmt.Sprint(n) {
			return merge.Level(n), true
		}
	}
	return 0, false
}

func (l log) line(level merge.Level, text string) {
	if level > l.upTo {
		return
	}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		if l.prefix {
			line = fmt.Sprintf("<%d>%s", level, line)
		}
		fmt.Fprintln(l.out, line)
	}
}

// message is an error in systemd's words, which begin with a capital and may end
// with a full stop.
type message string

// Error returns the words.
func (m message) Error() string { return string(m) }

func sayf(format string, args ...any) error { return message(fmt.Sprintf(format, args...)) }

// failure prints an error, unless it was said before.
func (l log) failure(err error) {
	var bad *settings.BadHierarchy
	switch {
	case errors.Is(err, errSaid):
	case errors.As(err, &bad):
		l.line(merge.Err, fmt.Sprintf("Failed to determine %s hierarchies: Invalid argument", bad.Class))
	default:
		l.line(merge.Err, err.Error())
	}
}

// said returns an error in the words of strerror(3), as systemd prints it: with
// a capital.
func said(err error) string {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		err = path.Err
	case errors.As(err, &link):
		err = link.Err
	}
	var no syscall.Errno
	if errors.As(err, &no) {
		text := no.Error()
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return err.Error()
}
