package merge

import (
	"fmt"
	"os"

	"sextant/internal/extension"
	"sextant/internal/inroot"
)

// noWants reports whether the service manager is not to be told anything. It has
// nothing to do with the system below another root.
func (r *run) noWants() bool { return r.opts.NoReload || r.opts.Root != "" && r.opts.Root != "/" }

// wants notes what an extension wants of the service manager.
func (r *run) wants(name string, release extension.Release) {
	if !r.noWants() && !r.report.Units.add(release) {
		r.opts.log(Warning, fmt.Sprintf("EXTENSION_RELOAD_MANAGER of %s is neither yes nor no, ignoring it.", name))
	}
}

// readWants notes what the extensions that are merged want of the service
// manager when they go.
func (r *run) readWants() {
	if r.noWants() {
		return
	}
	seen := make(map[string]bool)
	for _, s := range r.sites {
		paths := originPaths(s.status.Origin)
		for _, name := range s.status.Extensions {
			if seen[name] {
				continue
			}
			seen[name] = true
			if release, ok := r.mergedRelease(name, paths[name]); ok {
				r.wants(name, release)
			}
		}
	}
}

// mergedRelease finds the release file of an extension that is merged: in its own
// directory if it is one, else in the merged tree, where the kernel has to look
// through all layers for it.
func (r *run) mergedRelease(name, path string) (extension.Release, bool) {
	root := r.opts.Root
	if found, err := os.Stat(path); path != "" && err == nil && found.IsDir() {
		root = path
	}
	dir, err := inroot.Resolve(root, r.opts.Class.ReleaseDir())
	if err != nil {
		return nil, false
	}
	list, err := releaseCandidates(inroot.Join(root, dir), name)
	if err != nil {
		return nil, false
	}
	for i := range list {
		list[i].Lenient = true // systemd takes the only one there is
	}
	index, _ := extension.Find(name, list, r.opts.systemd())
	if index < 0 {
		return nil, false
	}
	release, err := parseReleaseFile(inroot.Join(root, dir+"/"+extension.ReleasePrefix+list[index].Name))
	return release, err == nil
}

// originPaths returns where the extensions come from, by name.
func originPaths(origin []byte) map[string]string {
	all, err := parseOrigin(origin)
	if err != nil {
		return nil
	}
	top, _ := all.(map[string]any)
	list, _ := top["extensions"].(map[string]any)
	paths := make(map[string]string, len(list))
	for name, e := range list {
		extension, _ := e.(map[string]any)
		paths[name], _ = extension["path"].(string)
	}
	return paths
}
