package image

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"sextant/internal/extension"
	"sextant/internal/tree"
	"sextant/internal/verdict"
)

// releaseFile is a file with the name of a release file.
type releaseFile struct {
	extension.Candidate
	node *tree.Inode
}

// releaseFiles returns the release files of a class.
func releaseFiles(t *tree.Tree, class extension.Class) (list []releaseFile) {
	dir := follow(t, class.ReleaseDir())
	if dir == nil {
		return nil
	}
	for _, e := range dir.Entries() {
		name, ok := strings.CutPrefix(e.Name, extension.ReleasePrefix)
		if !ok {
			continue
		}
		node, link := e.Inode, e.Inode.Mode.Type() == tree.TypeSymlink
		if link {
			node = follow(t, class.ReleaseDir()+"/"+e.Name)
		}
		if node == nil || !node.Mode.IsRegular() {
			continue
		}
		value, set := node.Xattr(extension.StrictXattr)
		list = append(list, releaseFile{extension.Candidate{
			Name: name, Link: link, Lenient: set && extension.Lenient(string(value)),
		}, node})
	}
	return list
}

// classOf returns the class of an extension, Sysext if that is not clear.
func classOf(t *tree.Tree) extension.Class {
	if len(releaseFiles(t, extension.Sysext)) == 0 && len(releaseFiles(t, extension.Confext)) > 0 {
		return extension.Confext
	}
	return extension.Sysext
}

// extension checks that the files are an extension that fits.
func (v *verifier) extension() error {
	if v.filesErr != nil {
		return v.filesFault()
	}
	v.name()
	if v.class == extension.Confext {
		v.add(verdict.Confext, "extension-release", "systemd %d knows no configuration extensions", v.opts.Systemd)
	}
	if follow(v.files, "/usr/lib/os-release") != nil {
		v.add(verdict.OSRelease, "/usr/lib/os-release", "must not be in an extension, as it would replace the host's")
	}
	if e := v.release(); e != nil {
		v.found.Extension = e
		v.meaning(*e)
	}
	v.hierarchies()
	return nil
}

// filesFault tells why the files could not be read, if nothing else did. The
// check of the file system says more.
func (v *verifier) filesFault() error {
	if len(v.m.Volumes()) == 0 && !v.m.Dir {
		return nil
	}
	for _, f := range v.found.Findings {
		switch verdict.Rule(f.ID) {
		case verdict.FileSystemBroken, verdict.FileSystemUnknown, verdict.Unsupported:
			return nil
		}
	}
	return v.orFinding(verdict.FileSystemBroken, "file system", v.filesErr)
}

// name checks that systemd finds an image of this name.
func (v *verifier) name() {
	if v.m.Path == "" || v.m.Device {
		return
	}
	if _, ok := v.imageName(); !ok {
		v.add(verdict.ImageName, "image", "%q is not the name of an image: systemd looks for names that end in .raw, and for directories", filepath.Base(v.m.Path))
	}
}

// imageName returns the name that systemd gives to the image, and whether it
// would find it.
func (v *verifier) imageName() (string, bool) {
	return extension.ImageName(v.class, filepath.Base(v.m.Path), v.m.Dir || v.m.Device, v.opts.Systemd)
}

// release finds the release file that counts, and reads it.
func (v *verifier) release() *Extension {
	files := releaseFiles(v.files, v.class)
	if len(files) == 0 {
		v.add(verdict.ReleaseMissing, v.class.ReleaseDir(), "there is no file %s*", extension.ReleasePrefix)
		return nil
	}
	file := files[0]
	if _, named := v.imageName(); named && v.m.Path != "" {
		index := v.match(files)
		if index >= 0 {
			file = files[index]
		}
	}
	place := v.class.ReleasePath(file.Name)
	text, err := readNode(file.node)
	if err != nil {
		v.addError(verdict.ReleaseContent, place, err)
		return nil
	}
	release, err := extension.ParseRelease(text)
	if err != nil {
		v.addError(verdict.ReleaseContent, place, err)
		return nil
	}
	return &Extension{v.class, file.Name, release}
}

// match finds the release file that goes with the name of the image, -1 if
// there is none.
func (v *verifier) match(files []releaseFile) int {
	var list []extension.Candidate
	for _, f := range files {
		list = append(list, f.Candidate)
	}
	name, _ := v.imageName()
	index, how := extension.Find(name, list, v.opts.Systemd)
	switch how {
	case extension.Ambiguous:
		v.add(verdict.ReleaseAmbiguous, v.class.ReleaseDir(), "several files would do for an image called %s", name)
	case extension.NoMatch:
		rule := verdict.ReleaseName
		if _, later := extension.Find(name, list, verdict.Newest); later == extension.CutName {
			rule = verdict.ReleaseCutName
		}
		v.add(rule, v.class.ReleaseDir(), "%s%s is not for an image called %s, and has no %s=0", extension.ReleasePrefix, files[0].Name, name, extension.StrictXattr)
	}
	return index
}

// meaning checks what the release file says.
func (v *verifier) meaning(e Extension) {
	place := e.Class.ReleasePath(e.Name)
	scope := e.Class.Prefix() + "_SCOPE"
	scopes, set := e.Release.Lookup(scope)
	good := true
	if e.Release.Value("ID") == "" {
		v.add(verdict.ReleaseContent, place, "ID is empty, so that it fits no host")
		good = false
	}
	if set && len(strings.Fields(scopes)) == 0 {
		v.add(verdict.ReleaseContent, place, "%s is empty, so that it is merged nowhere", scope)
		good = false
	} else if err := extension.CheckRelease(e.Class, e.Release, e.Release.Value("ARCHITECTURE")); err != nil && good {
		v.addError(verdict.ReleaseScope, place, err)
	}
	if arch := e.Release.Value("ARCHITECTURE"); arch != "" && arch != extension.Any && arch != v.architecture(e.Release) {
		v.add(verdict.ReleaseArchitecture, place, "ARCHITECTURE=%s, the partition is for %s", arch, v.architecture(e.Release))
	}
	if good {
		v.found.Good("extension", "%s", e)
	}
	v.fits(e)
}

// architecture returns that of the partition; without one the release file is
// believed.
func (v *verifier) architecture(release extension.Release) string {
	if volumes := v.m.Volumes(); len(volumes) > 0 && volumes[0].Data.Type.Architecture != "" {
		return string(volumes[0].Data.Type.Architecture)
	}
	return release.Value("ARCHITECTURE")
}

// fits checks the extension against the host.
func (v *verifier) fits(e Extension) {
	if v.opts.Host == nil {
		return
	}
	host := *v.opts.Host
	host.Systemd = v.opts.Systemd
	if host.Architecture == "" {
		host.Architecture = e.Release.Value("ARCHITECTURE")
	}
	ok, reason := host.Fits(e.Class, e.Release)
	if !ok {
		v.add(verdict.HostMisfit, "host", "does not take it: %s", reason)
		return
	}
	v.found.Good("host", "takes it: %s", reason)
}

// hierarchies tells what will not be seen.
func (v *verifier) hierarchies() {
	inside := make(map[string]bool)
	for _, h := range v.class.Hierarchies() {
		inside[strings.TrimPrefix(h, "/")] = true
	}
	var outside []string
	for _, e := range v.files.Root.Entries() {
		// An empty directory is where something was mounted at build time.
		if !inside[e.Name] && (!e.Inode.Mode.IsDir() || e.Inode.Len() > 0) {
			outside = append(outside, "/"+e.Name)
		}
	}
	if len(outside) > 0 {
		v.add(verdict.Outside, someOf(outside), "is never merged: a %s has %s", v.class, strings.Join(v.class.Hierarchies(), " and "))
	}
	if !v.anything() {
		v.add(verdict.Nothing, strings.Join(v.class.Hierarchies(), " "), "nothing is there but the release file")
	}
}

// someOf names the first of many paths.
func someOf(paths []string) string {
	const most = 4
	if len(paths) <= most {
		return strings.Join(paths, " ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(paths[:most], " "), len(paths)-most)
}

// anything reports whether there is a file in the hierarchies besides those in
// the directory for release files.
func (v *verifier) anything() bool {
	releases := follow(v.files, v.class.ReleaseDir())
	for _, h := range v.class.Hierarchies() {
		if dir := follow(v.files, h); dir != nil && holdsFile(dir, releases, tree.DepthMax) {
			return true
		}
	}
	return false
}

// holdsFile reports whether something that is no directory is below dir, except
// below skip.
func holdsFile(dir, skip *tree.Inode, depth int) bool {
	if dir == skip || depth == 0 {
		return false
	}
	for _, e := range dir.Entries() {
		if !e.Inode.Mode.IsDir() || holdsFile(e.Inode, skip, depth-1) {
			return true
		}
	}
	return false
}

// follow returns what is at a path, nil if nothing is.
func follow(t *tree.Tree, path string) *tree.Inode {
	node, err := t.Follow(path)
	if err != nil {
		return nil
	}
	return node
}

// readNode reads a small file of a tree.
func readNode(node *tree.Inode) ([]byte, error) {
	r, err := node.Content.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.NewSectionReader(r, 0, min(node.Content.Size(), maxRelease)))
}
