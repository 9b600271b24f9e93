package fat

import "time"

// Date is a day: bits 0 to 4 the day, 5 to 8 the month, 9 to 15 the years since
// 1980.
type Date uint16

// Time is a time of day: bits 0 to 4 two seconds, 5 to 10 the minute, 11 to 15
// the hour.
type Time uint16

// The first and last time that an entry can hold.
const (
	firstYear = 1980
	lastYear  = 2107
)

// join makes one time of date and time of day, in UTC. A day or month of zero,
// that an entry without a time has, is the first, as in Linux.
func join(d Date, t Time) time.Time {
	year, month, day := firstYear+int(d>>9), max(1, int(d>>5&15)), max(1, int(d&31))
	return time.Date(year, time.Month(month), day, int(t>>11), int(t>>5&63), 2*int(t&31), 0, time.UTC)
}

// split makes date and time of day of a time, rounded down to two seconds.
// What is before 1980 or behind 2107 becomes the first or last time there is,
// as in Linux.
func split(t time.Time) (Date, Time) {
	t = t.UTC()
	switch year := t.Year(); {
	case year < firstYear:
		t = time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC)
	case year > lastYear:
		t = time.Date(lastYear, 12, 31, 23, 59, 58, 0, time.UTC)
	}
	d := (t.Year()-firstYear)<<9 | int(t.Month())<<5 | t.Day()
	s := t.Hour()<<11 | t.Minute()<<5 | t.Second()/2
	return Date(d), Time(s)
}

// hundredths gives the part of a creation time that Time leaves out.
func hundredths(t time.Time) uint8 {
	if year := t.UTC().Year(); year < firstYear || year > lastYear {
		return 0
	}
	return uint8(t.Second()%2*100 + t.Nanosecond()/10_000_000)
}
