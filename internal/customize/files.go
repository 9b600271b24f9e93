package customize

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"sextant/internal/prism"
	"sextant/internal/source"
	"sextant/internal/tree"
)

// hostname writes /etc/hostname.
func (p *planner) hostname(context.Context) error {
	name := p.cfg.OS.Hostname
	if name.Value == "" {
		return nil
	}
	if err := p.putText("/etc/hostname", name.Value+"\n", "os.hostname"); err != nil {
		return placed(name.Pos, "os.hostname", err)
	}
	return nil
}

// files puts os.additionalFiles into the tree.
func (p *planner) files(context.Context) error {
	for _, f := range p.cfg.OS.AdditionalFiles {
		node, err := p.additionalFile(f)
		if err != nil {
			return placed(f.Pos, "os.additionalFiles", err)
		}
		at := absolute(f.Destination.Value)
		p.warnOfMemory(f.Destination.Pos, at)
		if err := p.putFile(at, node, "os.additionalFiles"); err != nil {
			return placed(f.Destination.Pos, "os.additionalFiles", err)
		}
	}
	return nil
}

// additionalFile returns the file, owned by root. Of a source the bits of its
// mode count, not the owner and not the extended attributes: they belong to the
// machine that it is on.
func (p *planner) additionalFile(f prism.AdditionalFile) (*tree.Inode, error) {
	node := &tree.Inode{Mode: tree.TypeRegular | 0o644, Content: tree.Bytes(f.Content.Value)}
	if f.Source.Value != "" {
		var err error
		if node, err = p.sourceFile(p.onHost(f.Source.Value)); err != nil {
			return nil, err
		}
	}
	if f.Permissions.Given() {
		node.Mode = tree.TypeRegular | tree.Mode(f.Permissions.Value)
	}
	return node, nil
}

func (p *planner) sourceFile(name string) (*tree.Inode, error) {
	found, err := source.File(name, source.Options{})
	if err != nil {
		return nil, err
	}
	if !found.Mode.IsRegular() {
		return nil, fmt.Errorf("%s is a %s, not a file", name, found.Mode.Kind())
	}
	content, err := p.zeros.sparse(found.Content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &tree.Inode{Mode: found.Mode, Content: content, Origin: name}, nil
}

// onHost returns the path of a source: relative ones begin at the config.
func (p *planner) onHost(name string) string {
	name = filepath.FromSlash(name)
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.cfg.Dir, name)
}

// absolute returns a destination as a path from the root: as in Image
// Customizer the slash in front may be missing, and no ".." leads out.
func absolute(name string) string { return path.Clean("/" + name) }

// dirs puts os.additionalDirs into the tree.
func (p *planner) dirs(ctx context.Context) error {
	for _, d := range p.cfg.OS.AdditionalDirs {
		from := p.onHost(d.Source.Value)
		files, err := source.Directory(ctx, from, source.Options{})
		if err != nil {
			return placed(d.Source.Pos, "os.additionalDirs", err)
		}
		to := absolute(d.Destination.Value)
		p.warnOfMemory(d.Destination.Pos, to)
		if err := p.dir(d, from, to, files.Root); err != nil {
			return placed(d.Pos, "os.additionalDirs", err)
		}
	}
	return nil
}

// dir puts one directory and what is in it.
func (p *planner) dir(d prism.AdditionalDir, from, to string, files *tree.Inode) error {
	to, err := p.mergeDir(d, to)
	if err != nil {
		return err
	}
	for _, e := range files.Entries() {
		source, dest := filepath.Join(from, e.Name), path.Join(to, e.Name)
		if e.Inode.Mode.IsDir() {
			if err := p.dir(d, source, dest, e.Inode); err != nil {
				return err
			}
			continue
		}
		// A link to a file stands for it, as in Image Customizer.
		node, err := p.sourceFile(source)
		if err != nil {
			return err
		}
		node.Mode = tree.TypeRegular | permissions(d.ChildFilePermissions, 0o755)
		if err := p.putFile(dest, node, "os.additionalDirs"); err != nil {
			return err
		}
	}
	return nil
}

// mergeDir makes a directory, or sets the mode of one that is there.
func (p *planner) mergeDir(d prism.AdditionalDir, to string) (string, error) {
	const why = "os.additionalDirs"
	at, node, err := p.root.Resolve(to)
	if err != nil {
		return "", err
	}
	if node == nil {
		return p.makeAll(d, at, why)
	}
	if !node.Mode.IsDir() {
		return "", fmt.Errorf("%s is a %s, not a directory", at, node.Mode.Kind())
	}
	if d.MergedDirPermissions.Given() {
		changed := node.CopyDir()
		changed.Mode = tree.TypeDir | tree.Mode(d.MergedDirPermissions.Value)
		p.root.Put(at, changed, why)
	}
	return at, nil
}

// makeAll makes a directory and its parents with the mode of the config. Only
// where it has none the rules of systemd-tmpfiles count.
func (p *planner) makeAll(d prism.AdditionalDir, at, why string) (string, error) {
	if !d.NewDirPermissions.Given() {
		return p.makeDirs(at, 0o755, why)
	}
	if parent := path.Dir(at); !p.exists(parent) {
		if _, err := p.makeAll(d, parent, why); err != nil {
			return "", err
		}
	}
	return at, p.put(at, tree.NewDir(tree.Mode(d.NewDirPermissions.Value)), why)
}

func permissions(m prism.Mode, other tree.Mode) tree.Mode {
	if m.Given() {
		return tree.Mode(m.Value)
	}
	return other
}

// warnOfMemory warns of a destination that another file system covers at boot.
func (p *planner) warnOfMemory(at prism.Pos, destination string) {
	place, _, err := p.root.Resolve(destination)
	if err != nil {
		return
	}
	covered := []string{"/run", "/dev", "/proc", "/sys"}
	for _, e := range p.base.lines() {
		if e.Type == "tmpfs" && strings.HasPrefix(e.Target, "/") {
			covered = append(covered, e.Target)
		}
	}
	for _, dir := range covered {
		if strings.HasPrefix(place, dir+"/") {
			p.warn(at, "%s will not be seen: another file system is mounted over %s at boot", destination, dir)
			return
		}
	}
}

// sub returns the tree below a directory.
func (p *planner) sub(at string) (fs.FS, error) {
	if at == "/" {
		return p.root, nil
	}
	return fs.Sub(p.root, at[1:])
}
