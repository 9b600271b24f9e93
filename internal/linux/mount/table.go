package mount

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"sextant/internal/linux/smallfile"
)

// Mount is one line of mountinfo.
type Mount struct {
	ID, Parent int
	Dev        string // major:minor
	Root       string // the directory of the file system that is mounted
	Point      string // where, as the calling process sees it
	Options    string // of the mount
	Shared     int    // peer group that it shares with, 0 for none
	Master     int    // peer group that it is a slave of, 0 for none
	Type       string // of the file system
	Source     string
	Super      string // options of the file system
}

// maxTable is more than 100,000 mounts, the most that a namespace may have by
// default (fs.mount-max), need on average, in bytes.
const maxTable = 64 << 20

// Table returns what is mounted in the mount namespace of the calling thread,
// in the order of the kernel.
func Table() ([]Mount, error) {
	raw, err := smallfile.Read("/proc/thread-self/mountinfo", maxTable)
	if err != nil {
		return nil, err
	}
	return ParseTable(raw)
}

// ParseTable parses the text of mountinfo.
func ParseTable(raw []byte) ([]Mount, error) {
	list := make([]Mount, 0, bytes.Count(raw, []byte{'\n'}))
	for line := range strings.Lines(string(raw)) {
		m, ok := parseLine(strings.TrimSuffix(line, "\n"))
		if !ok {
			return nil, fmt.Errorf("mountinfo: line %d: %q has too few fields", len(list)+1, line)
		}
		list = append(list, m)
	}
	return list, nil
}

// parseLine parses "36 35 98:0 /root /point rw,noatime shared:1 - ext4 /dev/sda rw".
func parseLine(line string) (m Mount, ok bool) {
	fields := strings.Split(line, " ")
	dash := 6
	for dash < len(fields) && fields[dash] != "-" {
		dash++
	}
	if dash+3 >= len(fields) {
		return m, false
	}
	m = Mount{
		Dev: fields[2], Root: unescape(fields[3]), Point: unescape(fields[4]), Options: fields[5],
		Type: unescape(fields[dash+1]), Source: unescape(fields[dash+2]), Super: fields[dash+3],
	}
	var err1, err2 error
	m.ID, err1 = strconv.Atoi(fields[0])
	m.Parent, err2 = strconv.Atoi(fields[1])
	for _, f := range fields[6:dash] {
		if n, ok := strings.CutPrefix(f, "shared:"); ok {
			m.Shared, _ = strconv.Atoi(n)
		} else if n, ok := strings.CutPrefix(f, "master:"); ok {
			m.Master, _ = strconv.Atoi(n)
		}
	}
	return m, err1 == nil && err2 == nil
}

// unescape turns \040 into a space, and so on (mangle_path of the kernel).
func unescape(s string) string {
	at := strings.IndexByte(s, '\\')
	if at < 0 {
		return s
	}
	var b strings.Builder
	for at >= 0 {
		b.WriteString(s[:at])
		s = s[at:]
		if code, err := strconv.ParseUint(s[min(1, len(s)):min(4, len(s))], 8, 8); err == nil && len(s) >= 4 {
			b.WriteByte(byte(code))
			s = s[4:]
		} else {
			b.WriteByte('\\')
			s = s[1:]
		}
		at = strings.IndexByte(s, '\\')
	}
	b.WriteString(s)
	return b.String()
}

// Lower returns the lower directories of an overlay, the top one first, as far
// as its options name them.
func (m Mount) Lower() (list []string) {
	for _, option := range m.overlayOptions() {
		if value, ok := strings.CutPrefix(option, "lowerdir="); ok {
			for _, dir := range splitEscaped(value, ':') {
				list = append(list, plain(dir))
			}
		} else if value, ok := strings.CutPrefix(option, "lowerdir+="); ok {
			list = append(list, plain(value))
		}
	}
	return list
}

// Upper returns the upper directory of an overlay, "" if it has none.
func (m Mount) Upper() string { return m.overlayPath("upperdir=") }

// Work returns the work directory of an overlay, "" if it has none.
func (m Mount) Work() string { return m.overlayPath("workdir=") }

func (m Mount) overlayPath(key string) string {
	for _, option := range m.overlayOptions() {
		if value, ok := strings.CutPrefix(option, key); ok {
			return plain(value)
		}
	}
	return ""
}

// overlayOptions splits the options of an overlay, in which two kinds of escape
// meet: \054 and the like are the kernel's, which leaves nothing in them that
// separates, and \134 is a backslash that the overlay was given, to escape what
// follows. What is returned has the second kind only.
func (m Mount) overlayOptions() []string {
	if m.Type != "overlay" {
		return nil
	}
	var b strings.Builder
	for s := m.Super; s != ""; {
		code, err := strconv.ParseUint(s[min(1, len(s)):min(4, len(s))], 8, 8)
		if s[0] != '\\' || err != nil || len(s) < 4 {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		b.WriteByte('\\')
		if code != '\\' {
			b.WriteByte(byte(code))
		}
		s = s[4:]
	}
	return splitEscaped(b.String(), ',')
}

// splitEscaped splits at a separator that has no backslash before it.
func splitEscaped(s string, separator byte) (list []string) {
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case separator:
			list = append(list, s[start:i])
			start = i + 1
		}
	}
	return append(list, s[start:])
}

// plain takes the overlay's backslashes off a path.
func plain(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Escape puts a backslash before what separates the options of an overlay, and
// the directories in one.
func Escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `:`, `\:`).Replace(path)
}
