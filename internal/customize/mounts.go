package customize

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"sextant/internal/dps"
	"sextant/internal/format/gpt"
	"sextant/internal/fstab"
	"sextant/internal/probe"
)

// readFstab reads the fstab of the root.
func (b *Base) readFstab() error {
	root, err := b.Root()
	if err != nil {
		return err
	}
	text, err := root.ReadFile("etc/fstab")
	if err != nil && !missing(err) {
		return err
	}
	b.Fstab = fstab.Parse(string(text))
	return nil
}

// mountLines mounts the partitions that lines name. What is on no partition of
// this disk, and what is not mounted at boot, is left out.
func (b *Base) mountLines(lines []fstab.Entry) error {
	for _, e := range lines {
		if e.Target == "/" || !strings.HasPrefix(e.Target, "/") || noAuto(e) {
			continue
		}
		p, err := b.source(e.Source)
		if err != nil {
			return fmt.Errorf("%s: %w", placeOf(e), err)
		}
		if p == nil || p.Content.Kind == probe.Swap || b.mounted(e.Target) {
			continue
		}
		subvolume, _ := e.Option("subvol")
		b.Mounts = append(b.Mounts, b.mount(e.Target, p, subvolume))
	}
	return nil
}

// placeOf says where a line stands.
func placeOf(e fstab.Entry) string {
	if e.Line == 0 {
		return "mount unit for " + e.Target
	}
	return fmt.Sprintf("/etc/fstab line %d", e.Line)
}

// bindOf returns the directory that a line of fstab shows at another place.
func bindOf(e fstab.Entry) (source string, ok bool) {
	_, bind := e.Option("bind")
	_, rbind := e.Option("rbind")
	ok = (bind || rbind) && strings.HasPrefix(e.Source, "/") && strings.HasPrefix(e.Target, "/") && e.Target != "/" && !noAuto(e)
	return e.Source, ok
}

// noAuto reports whether nothing mounts the entry at boot or when it is used.
func noAuto(e fstab.Entry) bool {
	_, no := e.Option("noauto")
	_, automount := e.Option("x-systemd.automount")
	return no && !automount
}

func (b *Base) mounted(dir string) bool {
	return slices.ContainsFunc(b.Mounts, func(m Mount) bool { return m.Dir == dir })
}

// source returns the partition that the first field of fstab means, nil if it
// is none of this disk. A tag that fits two is an error: which one the system
// takes is chance.
func (b *Base) source(text string) (*Part, error) {
	fits := b.matcher(text)
	if fits == nil {
		return nil, nil
	}
	var found *Part
	for _, p := range b.Parts {
		if !fits(p) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%s fits %s and %s", text, found.Name(), p.Name())
		}
		found = p
	}
	return found, nil
}

// partitionDevice is a disk's name with the number of a partition: sda1,
// nvme0n1p2. Which disk it is cannot be known; a base has one.
const partitionDevice = `^/dev/(?:(?:s|v|xv|h)d[a-z]+|(?:nvme\d+n|mmcblk|loop)\d+p)(\d+)$`

// matcher returns how to tell the partition that the source means.
func (b *Base) matcher(text string) func(*Part) bool {
	tag, value, ok := strings.Cut(text, "=")
	if dir, name, found := cutLast(text); !ok && found {
		tag, value = strings.ToUpper(strings.TrimPrefix(dir, "/dev/disk/by-")), unhex(name)
	}
	switch tag {
	case "UUID":
		return func(p *Part) bool { return strings.EqualFold(p.Content.UUID, value) }
	case "LABEL":
		return func(p *Part) bool { return p.Content.Label == value }
	case "PARTUUID":
		return func(p *Part) bool { return strings.EqualFold(p.UUID, value) }
	case "PARTLABEL":
		return func(p *Part) bool { return p.Label == value }
	}
	if m := regexp.MustCompile(partitionDevice).FindStringSubmatch(text); m != nil {
		return func(p *Part) bool { return fmt.Sprint(p.Number) == m[1] }
	}
	return nil
}

// cutLast cuts a path in /dev/disk.
func cutLast(text string) (dir, name string, ok bool) {
	at := strings.LastIndexByte(text, '/')
	if !strings.HasPrefix(text, "/dev/disk/by-") || at < len("/dev/disk/by-") {
		return "", "", false
	}
	return text[:at], text[at+1:], true
}

// unhex puts the characters in that udev writes as \x and two digits.
func unhex(name string) string {
	return regexp.MustCompile(`\\x[0-9a-f]{2}`).ReplaceAllStringFunc(name, func(s string) string {
		c, _ := hex.DecodeString(s[2:])
		return string(c)
	})
}

// typedDirs says where systemd mounts a partition by its type alone.
func typedDirs() []struct {
	role dps.Designator
	dirs []string
} {
	return []struct {
		role dps.Designator
		dirs []string
	}{
		{dps.Usr, []string{"/usr"}},
		{dps.Home, []string{"/home"}},
		{dps.Srv, []string{"/srv"}},
		{dps.Var, []string{"/var"}},
		{dps.Tmp, []string{"/var/tmp"}},
		{dps.XBOOTLDR, []string{"/boot"}},
		{dps.ESP, []string{"/efi", "/boot"}},
	}
}

// mountByType mounts what fstab does not name and systemd finds by the type
// of the partition (systemd-gpt-auto-generator(8)). It mounts only over
// directories that are empty.
func (b *Base) mountByType(chosen []*Part) error {
	for _, t := range typedDirs() {
		p, err := b.typed(t.role, chosen)
		if err != nil {
			return err
		}
		if p == nil || slices.ContainsFunc(b.Mounts, func(m Mount) bool { return m.Part == p }) {
			continue
		}
		for _, dir := range t.dirs {
			if b.mounted(dir) || b.inFstab(dir) || !b.emptyDir(dir) {
				continue
			}
			b.Mounts = append(b.Mounts, b.mount(dir, p, ""))
			break
		}
	}
	return nil
}

func (b *Base) inFstab(dir string) bool {
	return slices.ContainsFunc(b.Fstab, func(e fstab.Entry) bool { return e.Target == dir })
}

// emptyDir reports whether dir is there and has nothing in it.
func (b *Base) emptyDir(dir string) bool {
	root, err := b.Root()
	if err != nil {
		return false
	}
	entries, err := root.ReadDir(dir[1:])
	return err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() != "lost+found" })
}

// typed returns the partition that systemd takes for a role, nil if there is
// none. Two for /usr are for the user to choose from.
func (b *Base) typed(role dps.Designator, chosen []*Part) (*Part, error) {
	var found []*Part
	for _, p := range b.Parts {
		if p.Type.Designator != role || p.Attributes&gpt.NoAuto != 0 || role == dps.Var && !b.ownVar(p) {
			continue
		}
		if slices.Contains(chosen, p) {
			return p, nil
		}
		found = append(found, p)
	}
	switch {
	case len(found) == 0:
		return nil, nil
	case len(found) > 1 && role == dps.Usr:
		return nil, &advised{fmt.Errorf("%d file systems for /usr: %s", len(found), listParts(found)), "choose one with --partition NUMBER"}
	}
	return found[0], nil
}

// ownVar reports whether a partition for /var belongs to this installation:
// its UUID is then made from the machine id, so that systemd mounts no other's
// (src/shared/gpt.h, src/gpt-auto-generator).
func (b *Base) ownVar(p *Part) bool {
	root, err := b.Root()
	if err != nil {
		return false
	}
	text, err := root.ReadFile("etc/machine-id")
	if err != nil {
		return false
	}
	id, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(id) != 16 {
		return false
	}
	kind, err := hex.DecodeString(strings.ReplaceAll(p.Type.UUID.String(), "-", ""))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, id)
	mac.Write(kind)
	u := mac.Sum(nil)[:16]
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return p.UUID == fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
