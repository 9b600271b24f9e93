package settings

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseBool takes what systemd takes for a boolean (parse_boolean in
// src/basic/parse-util.c).
func ParseBool(text string) (value, ok bool) {
	switch strings.ToLower(text) {
	case "1", "yes", "y", "true", "t", "on":
		return true, true
	case "0", "no", "n", "false", "f", "off":
		return false, true
	}
	return false, false
}

// units are the words for spans of time, of systemd.time(7).
func units() map[string]time.Duration {
	return map[string]time.Duration{
		"us": time.Microsecond, "usec": time.Microsecond, "µs": time.Microsecond, "μs": time.Microsecond,
		"ms": time.Millisecond, "msec": time.Millisecond,
		"": time.Second, "s": time.Second, "sec": time.Second, "second": time.Second, "seconds": time.Second,
		"m": time.Minute, "min": time.Minute, "minute": time.Minute, "minutes": time.Minute,
		"h": time.Hour, "hr": time.Hour, "hour": time.Hour, "hours": time.Hour,
		"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
	}
}

// parseSpan takes a span of time as systemd.time(7) writes it, up to days:
// "5min 20s", "1.5", "infinity". Infinity is the longest duration there is.
func parseSpan(text string) (span time.Duration, ok bool) {
	if text = strings.TrimSpace(text); text == "infinity" {
		return math.MaxInt64, true
	}
	for text != "" {
		digits := len(text) - len(strings.TrimLeft(text, "0123456789."))
		n, err := strconv.ParseFloat(text[:digits], 64)
		if err != nil {
			return 0, false
		}
		text = strings.TrimLeft(text[digits:], " \t")
		letters := strings.IndexAny(text, "0123456789 \t")
		if letters < 0 {
			letters = len(text)
		}
		unit, known := units()[text[:letters]]
		if !known || n*float64(unit) > math.MaxInt64/4 {
			return 0, false
		}
		span, ok = span+time.Duration(n*float64(unit)), true
		text = strings.TrimLeft(text[letters:], " \t")
	}
	return span, ok && span >= 0
}
