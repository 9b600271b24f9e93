package erofs

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"sextant/internal/fault"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// Finding is one thing that is wrong with an image.
type Finding struct {
	Path string // in the image, "" if it is about the whole
	Err  error  // wraps a sentinel of package fault
}

// Error gives the path and what is wrong there.
func (f Finding) Error() string {
	if f.Path == "" {
		return f.Err.Error()
	}
	return f.Path + ": " + f.Err.Error()
}

// Unwrap returns the error without the path.
func (f Finding) Unwrap() error { return f.Err }

// maxFindings is where Check stops: more do not tell more.
const maxFindings = 1000

var errEnough = errors.New("enough findings")

// Check reads all structures of the image and decodes all that is compressed,
// and returns what breaks the format or contradicts itself. That includes what
// Linux does not look at, such as link counts and inodes that overlap. Data that
// is not compressed is not read, as there is nothing to check about it.
//
// The error says that not all could be looked at, as ctx was done or the image
// could not be read.
func (f *FS) Check(ctx context.Context) ([]Finding, error) {
	c := newChecker(f)
	c.claim("superblock", "", f.superBlockSpan())
	c.checkSpecials()
	err := c.walk(func(v visit) error {
		c.see(v)
		if len(c.findings) >= maxFindings {
			return errEnough
		}
		return ctx.Err()
	})
	if err == nil {
		c.checkCounts()
		c.checkShared()
		c.checkOverlaps()
		c.checkData(ctx)
	}
	if err := cmp.Or(ctx.Err(), c.unread()); err != nil {
		return nil, err
	}
	return c.findings[:min(len(c.findings), maxFindings)], nil
}

// unread returns the first finding that is not about the bytes of the image,
// but about reading them.
func (c *checker) unread() error {
	for _, f := range c.findings {
		if !errors.Is(f, fault.ErrCorrupt) && !errors.Is(f, fault.ErrUnsupported) {
			return f
		}
	}
	return nil
}

type checker struct {
	*walker
	findings []Finding
	order    []visit // one for each inode
	names    map[uint64]uint32
	subdirs  map[uint64]uint32
	claims   []claim
}

func newChecker(f *FS) *checker {
	return &checker{walker: newWalker(f), names: make(map[uint64]uint32), subdirs: make(map[uint64]uint32)}
}

// claim is a range of the image, or of its metabox, that something says is its
// own.
type claim struct {
	span.Span
	what, path string
	data       bool // content of a file, which several files may share
	metabox    bool
}

func (c *checker) find(path string, err error) {
	c.findings = append(c.findings, Finding{path, err})
}

func (c *checker) claim(what, path string, s span.Span) {
	c.claims = append(c.claims, claim{Span: s, what: what, path: path})
}

// claimOf is claim for what is where the inode is.
func (c *checker) claimOf(i *Inode, what, path string, s span.Span) {
	c.claims = append(c.claims, claim{Span: s, what: what, path: path, metabox: i.InMetabox()})
}

// checkSpecials checks the inodes without a name.
func (c *checker) checkSpecials() {
	for what, s := range c.f.specials() {
		v := visit{path: what, inode: s.Inode}
		c.claimOf(s.Inode, "inode", what, span.Span{Offset: s.at, Length: s.headSize()})
		if err := c.checkContent(v); err != nil {
			c.find(what, err)
		}
	}
}

// see checks what one name leads to.
func (c *checker) see(v visit) {
	if v.err != nil {
		c.find(v.path, v.err)
	}
	if v.inode == nil {
		return
	}
	c.names[v.inode.NID]++
	if v.parent != nil && v.inode.Mode.IsDir() {
		c.subdirs[v.parent.NID]++
	}
	if v.again {
		return
	}
	c.order = append(c.order, v)
	c.claimOf(v.inode, "inode", v.path, span.Span{Offset: v.inode.at, Length: v.inode.headSize()})
	if err := c.checkContent(v); err != nil {
		c.find(v.path, err)
	}
	if v.inode.Mode.IsDir() {
		if err := c.checkDots(v); err != nil {
			c.find(v.path, err)
		}
	}
}

// checkContent checks and claims where the data of v's inode is.
func (c *checker) checkContent(v visit) error {
	i := v.inode
	if !i.Mode.IsRegular() && !i.Mode.IsDir() && i.Mode.Type() != tree.TypeSymlink {
		return nil
	}
	content, err := i.content()
	if err != nil {
		return err
	}
	places, err := content.place()
	if err != nil {
		return err
	}
	for _, s := range places {
		c.claims = append(c.claims, claim{Span: s, what: "data", path: v.path, data: i.Mode.IsRegular()})
	}
	switch x := content.(type) {
	case *flat:
		c.claimOf(i, "inline data", v.path, x.tail)
	case *chunked:
		c.claimOf(i, "chunk table", v.path, x.table)
	case *compressed:
		c.claimOf(i, x.form, v.path, x.table)
		c.claimOf(i, "inline pcluster", v.path, x.last.inlined())
	}
	return nil
}

// checkDots checks that a directory knows itself and its parent.
func (c *checker) checkDots(v visit) error {
	want := map[string]uint64{".": v.inode.NID, "..": v.inode.NID}
	if v.parent != nil {
		want[".."] = v.parent.NID
	}
	if v.inode.dotOmitted {
		delete(want, ".")
	}
	for _, name := range []string{".", ".."} {
		nid, ok, err := v.inode.Lookup(name)
		if err != nil {
			return nil // the walk will say so
		}
		switch expected, needed := want[name]; {
		case !ok && needed:
			return corrupt("%q is missing", name)
		case ok && needed && nid != expected:
			return corrupt("%q is inode %d, not %d", name, nid, expected)
		}
	}
	return nil
}

// checkCounts compares the numbers of links and inodes with what was found.
func (c *checker) checkCounts() {
	for _, v := range c.order {
		want := c.names[v.inode.NID]
		if v.inode.Mode.IsDir() {
			want = 2 + c.subdirs[v.inode.NID]
		}
		if v.inode.Nlink != want {
			c.find(v.path, corrupt("it says it has %d links, and has %d", v.inode.Nlink, want))
		}
	}
	// Some versions of mkfs.erofs count the inodes without a name.
	more := uint64(len(maps.Collect(c.f.specials())))
	if n, want := c.f.super.Inodes, uint64(len(c.order)); n < want || n > want+more {
		c.find("", corrupt("the superblock says there are %d inodes, %d have a name", n, want))
	}
}

// checkShared claims the shared xattrs that inodes use.
func (c *checker) checkShared() {
	for id := range c.shared {
		meta, at := c.f.sharedAt(id)
		var e XattrEntry
		p, err := meta.bytes(span.Span{Offset: at, Length: xattrEntrySize})
		if err != nil {
			continue // it has been read before
		}
		take(p, &e)
		c.claims = append(c.claims, claim{
			Span: span.Span{Offset: at, Length: xattrEntrySizeOf(e)}, what: "shared extended attribute",
			metabox: c.f.sharedInMetabox(),
		})
	}
}

// checkOverlaps finds claims on the same bytes.
func (c *checker) checkOverlaps() {
	c.claims = slices.DeleteFunc(c.claims, func(a claim) bool { return a.Length == 0 })
	slices.SortFunc(c.claims, func(a, b claim) int {
		return cmp.Or(compareBool(a.metabox, b.metabox), cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.End(), b.End()), cmp.Compare(a.path, b.path))
	})
	var last claim // of those so far, the one that ends last
	for k, a := range c.claims {
		if k > 0 && last.metabox != a.metabox {
			last = claim{metabox: true}
		}
		if k > 0 && last.Overlaps(a.Span) && !(last.data && a.data) {
			c.find(a.path, corrupt("%s at %s overlaps %s of %s at %s",
				a.what, a.Span, last.what, cmp.Or(last.path, "the image"), last.Span))
		}
		if k == 0 || a.End() > last.End() || a.End() == last.End() && !a.data {
			last = a
		}
	}
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
