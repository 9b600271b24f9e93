package merge

import (
	"slices"
	"strings"

	"sextant/internal/extension"
)

// add notes what the release file of an extension wants of the service manager.
// A unit to restart may be one that the manager does not know yet, so it reloads
// too.
func (u *Units) add(release extension.Release) (ok bool) {
	ok = true
	if text := release.Value("EXTENSION_RELOAD_MANAGER"); text != "" {
		yes, no := truth(text)
		u.Reload = u.Reload || yes
		ok = yes || no
	}
	u.Restart = merged(u.Restart, release.Value("EXTENSION_RESTART_UNITS"))
	u.ReloadOrRestart = merged(u.ReloadOrRestart, release.Value("EXTENSION_RELOAD_OR_RESTART_UNITS"))
	u.ReloadOrRestart = slices.DeleteFunc(u.ReloadOrRestart, func(name string) bool { return slices.Contains(u.Restart, name) })
	if len(u.Restart)+len(u.ReloadOrRestart) > 0 {
		u.Reload = true
	}
	return ok
}

// merged adds the words of a text to a sorted list that has each once.
func merged(list []string, text string) []string {
	list = append(list, strings.Fields(text)...)
	slices.Sort(list)
	return slices.Compact(list)
}

// truth reads a boolean as systemd does (src/basic/parse-util.c, parse_boolean).
func truth(text string) (yes, no bool) {
	switch strings.ToLower(text) {
	case "1", "yes", "y", "true", "t", "on":
		return true, false
	}
	return false, extension.Lenient(text)
}
