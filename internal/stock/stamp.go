package stock

import (
	"strconv"
	"strings"
	"time"
)

// stamp is a point in time as a table of systemd holds it: microseconds since
// 1970. One that is not known is 0, one before 1970 counts for none.
type stamp struct{ time.Time }

// far is the last second that systemd prints.
const far = 253402214399

func (s stamp) micro() int64 {
	if s.IsZero() {
		return 0
	}
	return s.UnixMicro()
}

// text returns "Wed 2026-11-25 16:16:00 UTC" in the zone of the machine.
func (s stamp) text() string {
	switch {
	case s.micro() <= 0:
		return empty
	case s.Unix() > far:
		// Systemd prints the letter X for each digit.
		return "--- " + strings.ReplaceAll("0000-00-00 00:00:00", "0", "X")
	}
	return s.Local().Format("Mon 2006-01-02 15:04:05 MST")
}

func (s stamp) json() string {
	if s.micro() < 0 {
		return "null"
	}
	return strconv.FormatInt(s.micro(), 10)
}

// nothing is an empty cell.
type nothing struct{}

func (nothing) text() string { return empty }
func (nothing) json() string { return "null" }
