package stock

import (
	"strconv"
	"time"
)

// stamp is a point in time as a table of systemd holds it: microseconds since
// 1970. One before that counts for none.
type stamp struct{ time.Time }

// far is the last second that systemd prints.
const far = 253402214399

func (s stamp) none() bool { return s.IsZero() || s.Unix() < 0 }

// text returns "Wed 2026-11-25 16:16:00 UTC" in the zone of the machine.
func (s stamp) text() string {
	switch {
	case s.none(), s.UnixMicro() == 0:
		return empty
	case s.Unix() > far:
		return "--- XXXX-XX-XX XX:XX:XX"
	}
	return s.Local().Format("Mon 2006-01-02 15:04:05 MST")
}

func (s stamp) json() string {
	if s.none() {
		return "null"
	}
	return strconv.FormatInt(s.UnixMicro(), 10)
}
