package plan

import (
	"fmt"
	"path"
	"strings"

	"sextant/internal/dps"
	"sextant/internal/repart"
	"sextant/internal/tree"
)

// checkRelease returns an error unless the image holds the extension-release
// file, without which systemd merges nothing.
func (p *Plan) checkRelease() error {
	release := p.Extension.Class.ReleasePath(p.Extension.ID)
	for _, part := range p.Partitions {
		if part.Data == nil {
			continue
		}
		at := release
		if part.Definition.Type.Designator == dps.Usr {
			at = strings.TrimPrefix(release, "/usr")
		}
		if part.Data.Tree.Lookup(at) != nil {
			return nil
		}
	}
	return &noRelease{release}
}

// noRelease is the error for definitions that leave out the release file.
type noRelease struct{ path string }

func (n *noRelease) Error() string {
	return fmt.Sprintf("the partition definitions leave out %s, so no host would merge the image", n.path)
}

// Hint says how to get it in.
func (n *noRelease) Hint() string {
	return "a root partition takes it with CopyFiles=/usr/, a usr partition with CopyFiles=/usr/:/"
}

// leftOut returns the paths of the files of t that no definition copies or
// excludes.
func (p *Plan) leftOut(t *tree.Tree) []string {
	copied := make(map[*tree.Inode]bool)
	for _, part := range p.Partitions {
		if part.Data != nil {
			part.Data.Tree.Each(func(_ string, node *tree.Inode) { copied[node] = true })
		}
	}
	var list []string
	t.Each(func(at string, node *tree.Inode) {
		if !node.Mode.IsDir() && !copied[node] && !p.excluded(at) {
			list = append(list, at)
		}
	})
	return list
}

func (p *Plan) excluded(at string) bool {
	for _, part := range p.Partitions {
		if excludes(part.Definition, at) {
			return true
		}
	}
	return false
}

func excludes(d repart.Definition, at string) bool {
	for _, x := range d.ExcludeFiles {
		clean := path.Join("/", x)
		if at == clean || strings.HasPrefix(at, strings.TrimSuffix(clean, "/")+"/") {
			return true
		}
	}
	return false
}
