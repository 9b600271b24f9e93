package customize

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"sextant/internal/sysroot"
	"sextant/internal/tree"
)

// dirRule is what systemd-tmpfiles would make a directory like.
type dirRule struct {
	mode     tree.Mode // permission bits
	uid, gid uint32
}

// tmpfilesDirs are where its rules are, the first of a name counts
// (tmpfiles.d(5)).
func tmpfilesDirs() []string {
	return []string{"etc/tmpfiles.d", "run/tmpfiles.d", "usr/local/lib/tmpfiles.d", "usr/lib/tmpfiles.d"}
}

// readDirRules reads the lines for directories with a plain path. Of two lines
// for a path the first counts, in the order of the files' names.
func readDirRules(root *sysroot.Root) (map[string]dirRule, error) {
	files := map[string]string{}
	for _, dir := range tmpfilesDirs() {
		entries, err := root.ReadDir(dir)
		if missing(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if _, taken := files[e.Name()]; !taken && strings.HasSuffix(e.Name(), ".conf") {
				files[e.Name()] = path.Join(dir, e.Name())
			}
		}
	}
	rules := map[string]dirRule{}
	ids := readIDs(root)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text, err := root.ReadFile(files[name])
		if err != nil {
			continue // a mask, or a link that leads nowhere
		}
		for line := range strings.Lines(string(text)) {
			at, rule, ok := ids.parse(line)
			if _, taken := rules[at]; ok && !taken {
				rules[at] = rule
			}
		}
	}
	return rules, nil
}

// ids maps the names of users and groups of the base to their numbers.
type ids struct{ users, groups map[string]uint32 }

func readIDs(root fs.FS) ids {
	return ids{idsIn(root, "etc/passwd"), idsIn(root, "etc/group")}
}

func idsIn(root fs.FS, name string) map[string]uint32 {
	m := map[string]uint32{"root": 0}
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return m
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) < 3 {
			continue
		}
		if n, err := strconv.ParseUint(fields[2], 10, 32); err == nil {
			m[fields[0]] = uint32(n)
		}
	}
	return m
}

// parse reads one line: "d /run/x 0755 root root 10d". Lines that make no
// directory at one known path are not ok, nor are those for a user that the
// base does not have yet.
func (i ids) parse(line string) (at string, rule dirRule, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 2 || !strings.ContainsAny(fields[0][:1], "dDvqQ") || strings.ContainsAny(fields[1], `%"*?[\`) {
		return "", dirRule{}, false
	}
	for len(fields) < 5 {
		fields = append(fields, "-")
	}
	if rule.mode, ok = dirMode(fields[2]); !ok {
		return "", dirRule{}, false
	}
	uid, known := lookUp(i.users, fields[3])
	gid, alsoKnown := lookUp(i.groups, fields[4])
	rule.uid, rule.gid = uid, gid
	return path.Clean(fields[1]), rule, known && alsoKnown
}

func dirMode(field string) (tree.Mode, bool) {
	if field == "-" {
		return 0o755, true
	}
	n, err := strconv.ParseUint(strings.TrimLeft(field, "~:"), 8, 12)
	return tree.Mode(n), err == nil
}

func lookUp(names map[string]uint32, field string) (uint32, bool) {
	field = strings.TrimLeft(field, ":")
	if field == "-" || field == "" {
		return 0, true
	}
	if n, err := strconv.ParseUint(field, 10, 32); err == nil {
		return uint32(n), true
	}
	n, ok := names[field]
	return n, ok
}
