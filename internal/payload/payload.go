// Package payload makes the file tree of an extension:
//
//	ExtraTrees= ─> one tree ─> + extension-release ─> - RemoveFiles=,
//	empty directories, what lies outside the hierarchies ─> owners, times
//
// The order is mkosi's, so that an os-release in the tree can give the
// extension its ID and be removed afterwards.
package payload

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"sextant/internal/extension"
	"sextant/internal/source"
	"sextant/internal/tree"
)

// Recipe says what goes into the tree.
type Recipe struct {
	Extension extension.Identity
	Output    string // name of the image file without its extension

	Extras      []source.Extra
	RemoveFiles []string // globs, see tree.RemoveGlobs
	Epoch       time.Time

	PreserveOwner        bool
	KeepEmptyDirectories bool
}

// Payload is the finished tree.
type Payload struct {
	Tree *tree.Tree

	// Notices tell in a sentence each what may not be what was meant.
	Notices []string
}

// Assemble makes the tree. Its contents stay on disk, or in the spool of opts.
func Assemble(ctx context.Context, recipe Recipe, opts source.Options) (*Payload, error) {
	if err := extension.CheckName(recipe.name()); err != nil {
		return nil, err
	}
	p := &Payload{Tree: tree.New()}
	for _, extra := range recipe.Extras {
		notices, err := source.Add(ctx, p.Tree, extra, opts)
		if err != nil {
			return nil, err
		}
		p.Notices = append(p.Notices, notices...)
	}
	if err := p.addRelease(recipe); err != nil {
		return nil, fmt.Errorf("extension-release: %w", err)
	}
	if err := p.remove(recipe); err != nil {
		return nil, err
	}
	if err := p.check(recipe); err != nil {
		return nil, err
	}
	if !recipe.PreserveOwner {
		p.Tree.SquashOwners()
	}
	p.Tree.ClampTimes(recipe.Epoch)
	return p, nil
}

func (p *Payload) notice(format string, args ...any) {
	p.Notices = append(p.Notices, fmt.Sprintf(format, args...))
}

// remove takes out what was asked to go and what cannot be merged.
func (p *Payload) remove(recipe Recipe) error {
	if _, err := p.Tree.RemoveGlobs(recipe.RemoveFiles); err != nil {
		return fmt.Errorf("RemoveFiles=: %w", err)
	}
	hierarchies := recipe.Extension.Class.Hierarchies()
	if outside := p.Tree.Restrict(hierarchies); len(outside) > 0 {
		p.notice("%d files outside %s are left out, as a %s cannot add them: %s",
			len(outside), strings.Join(hierarchies, " and "), recipe.Extension.Class, SomeOf(outside))
	}
	if !recipe.KeepEmptyDirectories {
		p.Tree.PruneEmptyDirs()
	}
	return nil
}

// SomeOf joins the first names of a long list.
func SomeOf(names []string) string {
	const most = 10
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// check finds what would keep the image from merging anywhere.
func (p *Payload) check(recipe Recipe) error {
	class := recipe.Extension.Class
	if class == extension.Sysext && p.Tree.Lookup("/usr/lib/os-release") != nil {
		return &advice{
			errors.New("/usr/lib/os-release is in the tree, and systemd refuses an extension that has one"),
			"leave it out with RemoveFiles=/usr/lib/os-release",
		}
	}
	release := class.ReleasePath(recipe.name())
	if p.Tree.Lookup(release) == nil {
		return &advice{fmt.Errorf("RemoveFiles= takes out %s", release), "without it no host merges the extension"}
	}
	if p.onlyRelease(release) {
		return &advice{
			fmt.Errorf("nothing in %s, so the extension would change nothing", strings.Join(class.Hierarchies(), " or ")),
			"name what to put in with ExtraTrees=SOURCE:TARGET or in mkosi.extra/",
		}
	}
	return nil
}

// onlyRelease reports whether the tree has nothing but its release file.
func (p *Payload) onlyRelease(release string) bool {
	only := true
	p.Tree.Each(func(at string, node *tree.Inode) {
		empty := node.Mode.IsDir() && (node.Len() > 0 || strings.HasPrefix(release, path.Join(at, "/")))
		only = only && (empty || at == release)
	})
	return only
}

// advice is an error that knows what to do about it.
type advice struct {
	error
	hint string
}

// Unwrap returns the error without the advice.
func (a *advice) Unwrap() error { return a.error }

// Hint returns the advice.
func (a *advice) Hint() string { return a.hint }
