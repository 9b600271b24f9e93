package tar

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"sextant/internal/fault"
)

// text returns the field's bytes up to the first NUL.
func text(field []byte) string {
	if n := bytes.IndexByte(field, 0); n >= 0 {
		field = field[:n]
	}
	return string(field)
}

// number returns the value of a numeric field; an empty one is 0.
func number(field []byte) (int64, error) {
	if field[0]&0x80 != 0 {
		return base256(field)
	}
	digits := text(bytes.Trim(field, " \x00"))
	if digits == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(strings.TrimRight(digits, " "), 8, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is no octal number: %w", digits, fault.ErrCorrupt)
	}
	return int64(n), nil
}

// base256 returns GNU's big-endian two's complement, in which the field's
// first bit only says that it is one.
func base256(field []byte) (int64, error) {
	var invert byte
	if field[0]&0x40 != 0 {
		invert = 0xff
	}
	var n uint64
	for i, b := range field {
		b ^= invert
		if i == 0 {
			b &= 0x7f
		}
		if n > math.MaxInt64>>8 {
			return 0, fmt.Errorf("number %x does not fit in 64 bits: %w", field, fault.ErrCorrupt)
		}
		n = n<<8 | uint64(b)
	}
	if invert != 0 {
		return ^int64(n), nil
	}
	return int64(n), nil
}

// decimal returns the value of a number in a pax record.
func decimal(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no decimal number: %w", s, fault.ErrCorrupt)
	}
	return n, nil
}

// paxTime returns the value of a time in a pax record: seconds with any number
// of decimals, of which nine count.
func paxTime(s string) (time.Time, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	sec, err := decimal(whole)
	if err != nil {
		return time.Time{}, err
	}
	if strings.Trim(fraction, "0123456789") != "" {
		return time.Time{}, fmt.Errorf("%q is no time: %w", s, fault.ErrCorrupt)
	}
	nsec, err := decimal((fraction + "000000000")[:9])
	if err != nil {
		return time.Time{}, err
	}
	if strings.HasPrefix(whole, "-") {
		nsec = -nsec
	}
	return time.Unix(sec, nsec), nil
}
