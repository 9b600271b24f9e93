package merge

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"sextant/internal/discover"
	"sextant/internal/extension"
	"sextant/internal/hierarchy"
	"sextant/internal/linux/mount"
	"sextant/internal/selinux"
	"sextant/internal/version"
)

// run is one run of the engine.
type run struct {
	ctx    context.Context
	opts   Options
	k      kernel
	report *Report
	host   extension.Host

	sites      []*site
	candidates []discover.Candidate
	identities map[string]identity // by path
	layers     []*layer            // what is merged, in the order of names
	origin     string

	table   []mount.Mount  // of the host, see hostTable
	undo    []func() error // what takes back what was done
	done    []func() error // what is left to do when all is done
	kept    []*os.File     // copies of old overlays
	space   *namespace
	lock    *os.File            // the host's own workspace
	anchors []*x509.Certificate // of verity.d, when they are needed
	dry     bool                // nothing outside of the namespace may change

	selinux  bool
	contexts func() (*selinux.Contexts, error) // of the running system's policy, read when they are needed
}

func newRun(ctx context.Context, opts Options) *run {
	return &run{
		ctx: ctx, opts: opts, k: kernel{before: opts.before}, report: &Report{Outcome: Done},
		selinux: selinuxOn(), contexts: sync.OnceValues(loadContexts),
	}
}

// now is what the merge is dated with.
func (r *run) now() time.Time { return time.Now() }

// Allowed reports whether this process may merge.
func Allowed() bool { return mount.Allowed() }

// Plan returns what Refresh would do, without doing it: everything is mounted
// and checked where nobody sees it.
func Plan(ctx context.Context, opts Options) (*Report, error) {
	r := newRun(ctx, opts)
	r.dry = true
	return r.report, r.locked(func() error {
		r.space = r.k.enter()
		defer r.space.leave()
		if err := r.prepare(); err != nil {
			return err
		}
		if err := r.assemble(); err != nil || r.report.Outcome != Done {
			return err
		}
		for _, s := range r.sites {
			if r.wanted(s) {
				r.report.Merged = append(r.report.Merged, s.real)
			}
			if s.status.Merged {
				r.report.Unmerged = append(r.report.Unmerged, s.real)
			}
		}
		return nil
	})
}

// Merge merges the candidates. Where a hierarchy is merged already, nothing is
// done and the outcome is AlreadyMerged. The report is there with an error too,
// as far as it came.
func Merge(ctx context.Context, opts Options) (*Report, error) {
	r := newRun(ctx, opts)
	return r.report, r.locked(func() error {
		if err := r.recover(); err != nil {
			return err
		}
		for _, s := range r.sites {
			if s.status.Merged {
				r.report.Outcome, r.report.Hierarchy = AlreadyMerged, s.path
				return nil
			}
		}
		return r.replace()
	})
}

// Refresh puts what would be merged in place of what is merged. Whatever goes
// wrong, what was merged is merged still.
func Refresh(ctx context.Context, opts Options) (*Report, error) {
	r := newRun(ctx, opts)
	return r.report, r.locked(func() error {
		if err := r.recover(); err != nil {
			return err
		}
		if err := r.sound(); err != nil {
			return err
		}
		return r.replace()
	})
}

// Unmerge takes away what is merged.
func Unmerge(ctx context.Context, opts Options) (*Report, error) {
	r := newRun(ctx, opts)
	return r.report, r.locked(func() error {
		if err := r.recover(); err != nil {
			return err
		}
		if err := r.sound(); err != nil {
			return err
		}
		return errors.Join(r.unmergeAll(), r.covered())
	})
}

// sound reports what keeps overlays from being taken away: their dot directories
// must say how.
func (r *run) sound() (err error) {
	for _, s := range r.sites {
		err = cmp.Or(err, s.status.Broken)
	}
	return err
}

// Status returns what lies on each of the hierarchies that exist.
func Status(ctx context.Context, opts Options) ([]hierarchy.Status, error) {
	r := newRun(ctx, opts)
	table, err := mount.Table()
	if err != nil {
		return nil, err
	}
	var list []hierarchy.Status
	for _, path := range r.hierarchies() {
		status, err := hierarchy.Look(opts.Root, opts.Class, path)
		if err != nil {
			return list, fmt.Errorf("hierarchy %s: %w", path, err)
		}
		if status.Real == "" {
			continue
		}
		if err := r.foreignNow(&status, table); err != nil {
			return list, err
		}
		list = append(list, status)
	}
	return list, nil
}

// replace makes the new overlays and puts them in place of the old ones.
func (r *run) replace() (err error) {
	// Now, as it takes three times as long while a namespace is made: both want the
	// kernel's lock of all mounts.
	if _, err := r.hostTable(); err != nil {
		return err
	}
	r.space = r.k.enter()
	defer r.space.leave()
	if err := r.covered(); err != nil {
		r.notice(Warning, err.Error())
		r.report.Foreign = nil // it will be listed among the others
	}
	if err := r.prepare(); err != nil {
		return err
	}
	if err := r.assemble(); err != nil {
		return r.undoAll(err)
	}
	switch r.report.Outcome {
	case Skipped:
		return nil
	case Nothing:
		return r.unmergeAll()
	}
	if err := r.swapAll(); err != nil {
		return err
	}
	for _, l := range r.layers {
		r.wants(l.Name, l.release)
	}
	return nil
}

// prepare reads what must be read outside of the namespace, while that is being
// made.
func (r *run) prepare() (err error) {
	if r.sites == nil {
		if err := r.look(); err != nil {
			return err
		}
	}
	if err := r.listCandidates(); err != nil {
		return err
	}
	if err := r.readHost(); err != nil {
		return err
	}
	r.identities = make(map[string]identity, len(r.candidates))
	for i, c := range r.candidates {
		if c.Fault != nil {
			continue
		}
		if r.identities[c.Path], err = identify(c); err != nil {
			r.candidates[i].Fault = err // it vanished, or cannot be read
		}
	}
	return r.lookAround()
}

// lookAround finds the mounts of others that meet the hierarchies.
func (r *run) lookAround() error {
	table, err := r.hostTable()
	if err != nil {
		return err
	}
	r.notePropagation(table)
	for _, s := range r.sites {
		if s.foreign, err = hierarchy.Foreigners(s.real, r.opts.Class, table); err != nil {
			return err
		}
		if s.status.Real == "" {
			continue
		}
		if s.submounts, err = below(s.real, hierarchy.DotDir(r.opts.Class), table); err != nil {
			return fmt.Errorf("mounts below %s: %w", s.real, err)
		}
	}
	return nil
}

// listCandidates lists what is installed, in the order of names.
func (r *run) listCandidates() (err error) {
	r.candidates, err = r.opts.Images()
	slices.SortFunc(r.candidates, func(a, b discover.Candidate) int { return version.Compare(a.Name, b.Name) })
	return err
}

// assemble surveys what there is, and builds the overlays that can be built while
// the old ones are there, if anything is to be done. When the kernel does not take
// a layer it builds again without it.
func (r *run) assemble() error {
	err := r.space.do(func() error {
		if err := r.survey(); err != nil || r.report.Outcome != Done {
			return err
		}
		r.sayUsing()
		return r.buildEach()
	})
	for errors.Is(err, errBlamed) {
		if err = r.startAgain(); err == nil {
			err = r.space.do(r.buildEach)
		}
	}
	return err
}

// survey mounts the candidates and decides about them, and whether there is
// anything to do.
func (r *run) survey() error {
	if err := r.mountWorkspace(); err != nil {
		return err
	}
	if err := r.uncover(); err != nil {
		return err
	}
	if err := r.mountLayers(); err != nil {
		return err
	}
	r.chooseLayers()
	change := r.findHidden()
	if err := r.compare(change); err != nil || r.report.Outcome != Done {
		return err
	}
	return r.meetForeign()
}

// mountWorkspace covers the workspace with a tmpfs.
func (r *run) mountWorkspace() error {
	tree, err := r.k.newMount("tmpfs", r.opts.Class.String(), []mount.Option{{Key: "mode", Value: "0700"}}, 0)
	if err != nil {
		return err
	}
	defer tree.Close()
	return r.k.attach(tree, workspace)
}

// compare says whether there is nothing to merge, or nothing new.
func (r *run) compare(change bool) error {
	if len(r.layers) == 0 && r.opts.mutable() == MutableNo {
		r.report.Outcome = Nothing
		r.sayNothing()
		return nil
	}
	dirs, err := r.mutableDirs()
	if err != nil {
		return err
	}
	r.origin = r.opts.origin(r.layers, dirs)
	for _, s := range r.sites {
		if s.status.Origin == nil {
			continue
		}
		if sameOrigin(s.status.Origin, []byte(r.origin)) && !r.opts.AlwaysRefresh && !change {
			r.report.Outcome = Skipped
		}
		break // systemd compares with the first one too
	}
	return nil
}

// drop leaves out an extension that was to be merged.
func (r *run) drop(l *layer, rule string, err error) {
	r.layers = slices.DeleteFunc(r.layers, func(other *layer) bool { return other == l })
	for _, s := range r.sites {
		s.parts = slices.DeleteFunc(s.parts, func(p part) bool { return p.layer == l })
	}
	for i, d := range r.report.Decisions {
		if d.Image.Path == l.Path {
			r.report.Decisions[i] = leaveOut(l.Candidate, rule, err)
		}
	}
}

// sayNothing and sayUsing are what systemd says.
func (r *run) sayNothing() {
	ignored := 0
	for _, d := range r.report.Decisions {
		if d.Verdict == Ignored {
			ignored++
		}
	}
	if ignored > 0 {
		r.opts.log(Info, fmt.Sprintf("No suitable extensions found (%d ignored due to incompatible image(s)).", ignored))
		return
	}
	r.opts.log(Info, "No extensions found.")
}

func (r *run) sayUsing() {
	if r.dry {
		return
	}
	var files []string
	for _, l := range r.layers {
		files = append(files, baseName(l.Path))
	}
	slices.SortFunc(files, version.Compare)
	if len(files) == 0 {
		r.opts.log(Info, "No extensions found, proceeding in mutable mode.")
		return
	}
	r.opts.log(Info, "Using extensions '"+strings.Join(files, "', '")+"'.")
}

func baseName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
