package diff

import (
	"context"
	"fmt"
	"time"

	"sextant/internal/tree"
)

// Change is a path that is not the same on both sides.
type Change struct {
	Path   string  `json:"path"`
	Change string  `json:"change"` // "added", "removed" or "changed"
	Type   string  `json:"type"`   // of the file, of B's if there are two
	Size   int64   `json:"size"`
	Fields []Field `json:"fields,omitempty"` // of what is changed
}

// The words of Change.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// Trees compares two trees, name by name, and returns what differs in the order
// of the names. Contents of the same size are read, but for holes that both
// have.
func Trees(ctx context.Context, a, b *tree.Tree, opts Options) ([]Change, error) {
	c := &comparison{
		ctx: ctx, opts: opts, changes: []Change{}, equal: make(map[[2]*tree.Inode]*difference),
		firstA: make(map[*tree.Inode]string), firstB: make(map[*tree.Inode]string),
	}
	err := c.compare("/", a.Root, b.Root)
	return c.changes, err
}

type comparison struct {
	ctx            context.Context
	opts           Options
	changes        []Change
	equal          map[[2]*tree.Inode]*difference // contents that were compared
	firstA, firstB map[*tree.Inode]string         // first names
	buffers        [2][bufferSize]byte
}

// compare compares what has the same name on both sides, and all that is in it.
func (c *comparison) compare(path string, a, b *tree.Inode) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	fields, err := c.fields(path, a, b)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(fields) > 0 {
		c.changes = append(c.changes, Change{path, Changed, b.Mode.Kind(), b.Size(), fields})
	}
	return c.entries(path, a, b)
}

// entries goes through the names of two directories side by side. What is no
// directory has none.
func (c *comparison) entries(path string, a, b *tree.Inode) error {
	left, right := a.Entries(), b.Entries()
	for len(left)+len(right) > 0 {
		switch {
		case len(right) == 0 || len(left) > 0 && left[0].Name < right[0].Name:
			c.only(Removed, join(path, left[0].Name), left[0].Inode, c.firstA)
			left = left[1:]
		case len(left) == 0 || right[0].Name < left[0].Name:
			c.only(Added, join(path, right[0].Name), right[0].Inode, c.firstB)
			right = right[1:]
		default:
			if err := c.compare(join(path, left[0].Name), left[0].Inode, right[0].Inode); err != nil {
				return err
			}
			left, right = left[1:], right[1:]
		}
	}
	return nil
}

// only notes what one side alone has.
func (c *comparison) only(change, path string, node *tree.Inode, first map[*tree.Inode]string) {
	firstName(first, node, path)
	c.changes = append(c.changes, Change{Path: path, Change: change, Type: node.Mode.Kind(), Size: node.Size()})
	for _, e := range node.Entries() {
		c.only(change, join(path, e.Name), e.Inode, first)
	}
}

func join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}

// firstName returns the name under which a file was seen first.
func firstName(first map[*tree.Inode]string, node *tree.Inode, path string) string {
	if known, ok := first[node]; ok {
		return known
	}
	first[node] = path
	return path
}

// fields returns the properties in which two files differ.
func (c *comparison) fields(path string, a, b *tree.Inode) ([]Field, error) {
	linkA, linkB := firstName(c.firstA, a, path), firstName(c.firstB, b, path)
	list := compare(c.properties(a, linkA), c.properties(b, linkB))
	if !a.Mode.IsRegular() || !b.Mode.IsRegular() || a.Size() != b.Size() || a.Size() == 0 {
		return list, nil
	}
	found, err := c.contents(a, b)
	if err != nil || found == nil {
		return list, err
	}
	return append(list, found.field()), nil
}

// properties lists what the tree knows of a file but for its content.
func (c *comparison) properties(node *tree.Inode, first string) []property {
	list := []property{
		{"type", node.Mode.Kind()}, {"mode", fmt.Sprintf("%04o", node.Mode.Perm())},
		{"owner", fmt.Sprintf("%d:%d", node.UID, node.GID)},
	}
	if c.opts.Times {
		list = append(list, property{"time", node.ModTime.UTC().Format(time.RFC3339Nano)})
	}
	switch {
	case node.Mode.IsRegular():
		list = append(list, property{"size", fmt.Sprint(node.Size())})
	case node.Mode.Type() == tree.TypeSymlink:
		list = append(list, property{"target", node.Target})
	case node.Mode.IsDevice():
		list = append(list, property{"device", fmt.Sprintf("%d,%d", node.Device.Major, node.Device.Minor)})
	}
	for _, x := range node.Xattrs {
		list = append(list, property{"xattr " + x.Name, fmt.Sprintf("%q", x.Value)})
	}
	if !node.Mode.IsDir() {
		list = append(list, property{"same file as", first})
	}
	return list
}
