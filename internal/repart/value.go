package repart

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"

	"sextant/internal/dps"
	"sextant/internal/format/gpt"
)

func complain(help, format string, args ...any) error {
	return &complaint{fmt.Sprintf(format, args...), help}
}

// setType reads Type=: a name with or without an architecture, or a UUID. A
// name without one is of the architecture of the image.
func (r *reader) setType(text string) error {
	const help = "root, usr, root-verity, usr-x86-64-verity-sig, ..."
	t, err := dps.ParseType(text, r.native)
	if err != nil {
		return complain(help, "not a partition type")
	}
	if _, ok := t.Designator.Data(); !ok {
		return complain(help, "an extension has root and usr partitions with their hash trees and signatures only")
	}
	r.d.Type = t
	return nil
}

// setLabel reads Label=. An empty label is one.
func (r *reader) setLabel(text string) error {
	label, err := r.expand(text)
	if err != nil {
		return err
	}
	const most = 36 // the size of the field in the partition table
	if n := len(utf16.Encode([]rune(label))); n > most {
		return complain("", "the label has %d UTF-16 units, a partition table holds %d", n, most)
	}
	r.d.Label, r.d.HasLabel = label, true
	return nil
}

func (r *reader) setUUID(text string) error {
	switch text {
	case "":
		r.d.UUID, r.d.HasUUID = gpt.GUID{}, false
		return nil
	case "null":
		r.d.UUID, r.d.HasUUID = gpt.GUID{}, true
		return nil
	}
	uuid, err := gpt.ParseGUID(text)
	if err != nil {
		return complain("", "neither a UUID nor null")
	}
	r.d.UUID, r.d.HasUUID = uuid, true
	return nil
}

func (r *reader) setFormat(text string) error {
	switch text {
	case "erofs":
		r.d.Format = text
		return nil
	case "ext4", "btrfs", "xfs", "f2fs", "vfat", "squashfs", "ext2", "ext3":
		return complain("write Format=erofs", "sextant writes erofs only, so far")
	}
	return complain("write Format=erofs", "not a file system that sextant writes")
}

func (r *reader) setMinimize(text string) error {
	if b, err := parseBoolean(text); err == nil {
		r.d.Minimize = MinimizeOff
		if b {
			r.d.Minimize = MinimizeBest
		}
		return nil
	}
	switch m := Minimize(text); m {
	case "":
		r.d.Minimize = MinimizeOff
	case MinimizeOff, MinimizeBest, MinimizeGuess:
		r.d.Minimize = m
	default:
		return complain("", "not one of off, best, guess")
	}
	return nil
}

func (r *reader) setVerity(text string) error {
	switch v := Verity(text); v {
	case "":
		r.d.Verity = VerityOff
	case VerityOff, VerityData, VerityHash, VeritySignature:
		r.d.Verity = v
	default:
		return complain("", "not one of off, data, hash, signature")
	}
	return nil
}

func (r *reader) setWeight(text string) error {
	var n uint64
	if err := setNumber(text, &n); err != nil {
		return err
	}
	if n > 1000000 {
		return complain("", "more than 1000000")
	}
	r.d.Weight = uint32(n)
	return nil
}

// setNumber reads a number as systemd's safe_atou64 does: decimal, or after
// 0x, 0b, 0o or a 0 in that base.
func setNumber(text string, n *uint64) error {
	if strings.Contains(text, "_") {
		return complain("", "not a number")
	}
	v, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		return complain("", "not a number of 64 bits")
	}
	*n = v
	return nil
}

func parseBoolean(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "1", "yes", "y", "true", "t", "on":
		return true, nil
	case "0", "no", "n", "false", "f", "off":
		return false, nil
	}
	return false, complain("write yes or no", "not a boolean")
}

// setTristate reads a boolean; nothing or "auto" means the default.
func setTristate(text string, b **bool) error {
	if *b = nil; text == "" || text == "auto" {
		return nil
	}
	v, err := parseBoolean(text)
	if err == nil {
		*b = &v
	}
	return err
}

// grain is what sizes of partitions are a multiple of.
const grain = 4096

func roundDown(n uint64) uint64 { return n / grain * grain }

func roundUp(n uint64) uint64 {
	if n > math.MaxUint64-grain {
		return Unset - Unset%grain
	}
	return (n + grain - 1) / grain * grain
}

// setSize reads a size. systemd-repart rounds a minimum down and a maximum up,
// the other way round than repart.d(5) says.
func setSize(text string, round func(uint64) uint64, size *uint64) error {
	n, err := parseSize(text)
	if err == nil {
		*size = round(n)
	}
	return err
}

func setBlockSize(text string, size *int) error {
	n, err := parseSize(text)
	if err != nil {
		return err
	}
	if n < 512 || n > 4096 || n&(n-1) != 0 {
		return complain("", "not one of 512, 1024, 2048, 4096")
	}
	*size = int(n)
	return nil
}

// suffixes are the units of a size, from the largest.
const suffixes = "EPTGMKB"

// parseSize reads a size like "512M", "1.5G" or "1G 512M"; K is 1024. The
// units must fall (src/basic/parse-util.c, parse_size).
func parseSize(text string) (uint64, error) {
	bad := complain("write a number and K, M, G, T, P or E", "not a size")
	var sum uint64
	next := 0 // the largest unit that may follow
	rest := strings.TrimLeft(text, " \t")
	if rest == "" {
		return 0, bad
	}
	for rest != "" {
		number, after := cutNumber(rest)
		after = strings.TrimLeft(after, " \t")
		unit := len(suffixes) // no suffix
		if after != "" {
			if unit = strings.IndexByte(suffixes, after[0]); unit < 0 {
				return 0, bad
			}
			after = after[1:]
		}
		if number == "" || unit < next {
			return 0, bad
		}
		n, err := scale(number, unit)
		if err != nil || n > math.MaxUint64-sum {
			return 0, complain("", "more than 64 bits hold")
		}
		sum += n
		next, rest = unit+1, strings.TrimLeft(after, " \t")
	}
	return sum, nil
}

// cutNumber splits off digits with at most one point behind the first of them.
func cutNumber(text string) (number, rest string) {
	n := 0
	for n < len(text) && (isDigit(text[n]) || text[n] == '.' && n > 0 && !strings.Contains(text[:n], ".")) {
		n++
	}
	return text[:n], text[n:]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// scale multiplies a decimal number by the unit with the given index in
// suffixes.
func scale(number string, unit int) (uint64, error) {
	shift := max(0, 10*(len(suffixes)-1-unit))
	whole, fraction, _ := strings.Cut(number, ".")
	n, err := strconv.ParseUint(whole, 10, 64)
	if err != nil {
		return 0, err
	}
	part := 0.0
	if fraction != "" {
		digits, err := strconv.ParseUint(fraction, 10, 64)
		if err != nil {
			return 0, err
		}
		part = float64(digits)
		for range fraction {
			part /= 10
		}
	}
	factor := uint64(1) << shift
	extra := uint64(part * float64(factor))
	if n > (math.MaxUint64-extra)>>shift {
		return 0, strconv.ErrRange
	}
	return n<<shift + extra, nil
}
