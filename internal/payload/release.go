package payload

import (
	"fmt"
	"strings"

	"sextant/internal/extension"
	"sextant/internal/pages"
	"sextant/internal/tree"
)

// name returns what the release file is called after: the extension, or the
// image file where the extension has no name of its own.
func (r Recipe) name() string {
	if r.Extension.ID != "" {
		return r.Extension.ID
	}
	return r.Output
}

// addRelease puts the extension-release file into the tree. One that the user
// wrote keeps all it says; see extension.ComposeRelease.
func (p *Payload) addRelease(recipe Recipe) error {
	id := recipe.Extension
	if id.ID = recipe.name(); id.ID == "" {
		panic("internal error: extension without a name")
	}
	node, err := p.userRelease(recipe)
	if err != nil {
		return err
	}
	user, err := readSmall(node)
	if err != nil {
		return err
	}
	osRelease, err := p.osRelease()
	if err != nil {
		return err
	}
	text, err := extension.ComposeRelease(id, user, osRelease)
	if err != nil {
		return err
	}
	release, err := extension.ParseRelease(text)
	if err != nil {
		return err
	}
	if err := extension.CheckRelease(id.Class, release, id.Architecture); err != nil {
		return err
	}
	return p.putRelease(id, node, text, recipe)
}

// putRelease writes the file under the name that merges on every release of
// systemd: with the attribute that switches the check of the name off.
func (p *Payload) putRelease(id extension.Identity, user *tree.Inode, text []byte, recipe Recipe) error {
	file := &tree.Inode{Mode: tree.TypeRegular | 0o644, ModTime: recipe.Epoch, Origin: "extension-release"}
	if user != nil {
		*file = *user
		file.Xattrs = nil
		for _, x := range user.Xattrs {
			file.PutXattr(x.Name, x.Value)
		}
	}
	file.Content = tree.Bytes(text)
	file.PutXattr(extension.StrictXattr, []byte("0"))
	dir, err := p.Tree.ResolveDir(id.Class.ReleaseDir(), true)
	if err != nil {
		return err
	}
	return dir.Put(extension.ReleasePrefix+id.ID, file)
}

// userRelease returns the release file that came with the sources, or nil. It
// is taken out of the tree if it has the name that mkosi gives it, that of the
// image file.
func (p *Payload) userRelease(recipe Recipe) (*tree.Inode, error) {
	class := recipe.Extension.Class
	dir := p.Tree.Lookup(class.ReleaseDir())
	if dir == nil {
		return nil, nil
	}
	var found []tree.Entry
	for _, e := range dir.Entries() {
		if strings.HasPrefix(e.Name, extension.ReleasePrefix) {
			found = append(found, e)
		}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return p.takeRelease(dir, found[0], recipe)
	}
	return nil, fmt.Errorf("%s holds both %s and %s, so systemd could not tell which one counts",
		class.ReleaseDir(), found[0].Name, found[1].Name)
}

func (p *Payload) takeRelease(dir *tree.Inode, e tree.Entry, recipe Recipe) (*tree.Inode, error) {
	want := extension.ReleasePrefix + recipe.name()
	if !e.Inode.Mode.IsRegular() {
		return nil, fmt.Errorf("%s is a %s", e.Name, e.Inode.Mode.Kind())
	}
	if e.Name == want {
		return e.Inode, nil
	}
	if e.Name == extension.ReleasePrefix+recipe.Output {
		dir.Remove(e.Name)
		p.notice("%s is renamed to %s, which merges under every file name", e.Name, want)
		return e.Inode, nil
	}
	return nil, &advice{
		fmt.Errorf("%s is not called after the image", e.Name),
		fmt.Sprintf("name it %s, or leave it out: sextant writes one", want),
	}
}

// osRelease returns the os-release file of the tree, or nil.
func (p *Payload) osRelease() (extension.Release, error) {
	node := p.Tree.Lookup("/usr/lib/os-release")
	if node == nil || !node.Mode.IsRegular() {
		return nil, nil
	}
	text, err := readSmall(node)
	if err != nil {
		return nil, err
	}
	release, err := extension.ParseRelease(text)
	if err != nil {
		return nil, fmt.Errorf("/usr/lib/os-release: %w", err)
	}
	return release, nil
}

// maxRelease is more than any release file has; systemd would take larger
// ones, but nobody means to write them.
const maxRelease = 1 << 20

// readSmall reads a whole file, or nothing if node is nil.
func readSmall(node *tree.Inode) ([]byte, error) {
	if node == nil {
		return nil, nil
	}
	if node.Size() > maxRelease {
		return nil, fmt.Errorf("%s has %d bytes, at most %d make sense", node.Origin, node.Size(), maxRelease)
	}
	r, err := node.Content.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text := make([]byte, node.Size())
	if _, err := pages.ReadFull(r, text, 0); err != nil {
		return nil, fmt.Errorf("read %s: %w", node.Origin, err)
	}
	return text, nil
}
