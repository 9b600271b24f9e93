package stock

import (
	"fmt"
	"io"
	"strings"

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
