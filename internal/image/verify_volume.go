package image

import (
	"errors"
	"fmt"
	"io"

	"sextant/internal/dps"
	"sextant/internal/fault"
	"sextant/internal/span"
	"sextant/internal/verdict"
)

// volumes checks the root and the usr partition, each with its hash tree and
// signature, then its file system.
func (v *verifier) volumes() error {
	for _, vol := range v.m.Volumes() {
		if v.unused[vol.Role()] {
			continue
		}
		if err := v.volume(v.allowed(vol)); err != nil {
			return err
		}
	}
	return nil
}

// allowed leaves out of a volume what the policy leaves out.
func (v *verifier) allowed(vol Volume) Volume {
	hash, _ := vol.Role().Verity()
	sig, _ := vol.Role().VeritySig()
	if v.unused[hash] {
		vol.Hash = nil
	}
	if v.unused[sig] {
		vol.Signature = nil
	}
	return vol
}

func (v *verifier) volume(vol Volume) error {
	g, err := v.guard(vol)
	if err != nil {
		return err
	}
	defer g.close()
	if err := v.signature(g); err != nil {
		return err
	}
	size, err := v.hashTree(vol, g)
	if err != nil {
		return err
	}
	return v.fileSystem(vol, size)
}

// settle says whether the release reads the volume through dm-verity.
func (v *verifier) settle(vol Volume, g *guard) {
	if g.used {
		v.situation.Conditions |= verdict.TreeUsed
		return
	}
	v.add(verdict.TreeUnused, g.place, "systemd %d mounts %s without it, so nobody checks the content", v.opts.Systemd, vol.Data.Name())
}

// fileSystem checks the file system in the first size bytes of a volume, and
// what is behind it.
func (v *verifier) fileSystem(vol Volume, size int64) error {
	place := vol.Data.Name()
	r := io.NewSectionReader(v.m.Section(vol.Data), 0, size)
	fsys, kind, err := openFileSystem(r, size)
	switch {
	case err != nil && kind == "":
		return v.orFinding(verdict.FileSystemUnknown, place, err)
	case err != nil:
		return v.orFinding(verdict.FileSystemBroken, place, err)
	}
	if err := v.structure(fsys, kind, size); err != nil {
		return err
	}
	end := size
	if sized, ok := fsys.(interface{ Size() int64 }); ok && v.situation.Conditions&verdict.TreeUsed == 0 {
		end = min(size, sized.Size())
	}
	return v.zeros(verdict.PartitionTail, place, span.Between(vol.Data.Span.Offset+end, vol.Data.Span.End()))
}

// maxFlaws is how many findings of one kind are listed one by one.
const maxFlaws = 10

// structure walks a file system to its end.
func (v *verifier) structure(fsys FileSystem, kind Kind, size int64) error {
	c, ok := fsys.(checkable)
	if !ok {
		panic("internal error: no check for file system " + string(kind))
	}
	flaws, err := c.check(v.ctx)
	if err != nil {
		return fmt.Errorf("file system: %w", err)
	}
	for i, f := range flaws {
		rule := verdict.FileSystemBroken
		if f.harmless {
			rule = verdict.FileSystemUntidy
		}
		if i == maxFlaws {
			v.add(rule, "file system", "%d more", len(flaws)-i)
			break
		}
		if errors.Is(f.err, fault.ErrUnsupported) {
			rule = verdict.Unsupported
		}
		v.addError(rule, "file system", f.err)
	}
	if len(flaws) == 0 {
		v.found.Good("file system", "%s, %d bytes", kind, size)
	}
	return nil
}

// sidecar reports on files beside the image that do not do what they seem to.
func (v *verifier) sidecar() error {
	b := v.m.Beside
	for _, path := range b.Ignored {
		v.add(verdict.SidecarName, path, "systemd does not look for this name: the suffix must replace .raw")
	}
	if v.m.Table != nil && b.Tree != "" {
		v.add(verdict.SidecarWithTable, b.Tree, "a hash tree beside an image with a partition table")
	}
	if v.m.Table != nil || v.m.Dir {
		return nil
	}
	switch {
	case b.Tree != "" && b.RootHash == "":
		v.add(verdict.SidecarIncomplete, b.Tree, "a hash tree, but no root hash: nobody checks the content")
	case b.RootHash != "" && b.Tree == "":
		v.add(verdict.SidecarIncomplete, b.From, "a root hash, but no hash tree: nobody checks the content")
	case b.RootHash != "" && b.Role == dps.Usr:
		v.add(verdict.SidecarIncomplete, b.From, "a root hash for usr, but a bare file system counts as root: nobody checks the content")
	}
	return nil
}
