package merge

import (
	"fmt"
	"os"
	"path/filepath"

	"sextant/internal/linux/mount"
)

// notePropagation tells where a merge will not be seen by all: in a mount
// namespace of its own whose mounts go nowhere. There systemd reports success and
// nothing appears; ours appears in the namespace it is made in, and nowhere else.
func (r *run) notePropagation(table []mount.Mount) {
	if sameNamespace() {
		return
	}
	for _, s := range r.sites {
		if m, ok := holder(s.real, table); ok && m.Shared == 0 {
			text := fmt.Sprintf("%s lies on a mount that is not shared, in a mount namespace that is not the system's: only what runs in this one sees the merge.", s.real)
			r.report.Notices = append(r.report.Notices, text)
			r.opts.log(Debug, text)
		}
	}
}

// sameNamespace reports whether this is for sure the mount namespace of process 1.
func sameNamespace() bool {
	ours, err1 := os.Readlink("/proc/thread-self/ns/mnt")
	system, err2 := os.Readlink("/proc/1/ns/mnt")
	return err1 == nil && err2 == nil && ours == system
}

// holder returns the mount that a hierarchy is mounted on, or will be.
func holder(path string, table []mount.Mount) (mount.Mount, bool) {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		id, err := mount.ID(dir)
		if err == nil {
			for _, m := range table {
				if m.ID == id {
					return m, true
				}
			}
			return mount.Mount{}, false
		}
		if dir == "/" {
			return mount.Mount{}, false
		}
	}
}
