package hierarchy

import "sextant/internal/extension"

// DotDir returns the name of the dot directory of a class.
func DotDir(class extension.Class) string { return ".systemd-" + class.String() }

// ListFile returns the name of the file in the dot directory that lists the
// extensions, which is also where they are mounted below the workspace.
func ListFile(class extension.Class) string {
	if class == extension.Confext {
		return "confexts"
	}
	return "extensions"
}

// The other files of the dot directory.
const (
	DevFile     = "dev"
	WorkDirFile = "work_dir"
	BackingFile = "backing"
	OriginFile  = "origin"
)
