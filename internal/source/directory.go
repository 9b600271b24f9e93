package source

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"sextant/internal/linux/dir"
	"sextant/internal/tree"
)

// Directory returns the tree below the directory at path, which may be a
// symbolic link to one; those inside are not followed. Files that are the same
// by device and inode number are one inode, called by the first of its names.
// Anything that cannot be read is an error that names it.
func Directory(ctx context.Context, path string, opts Options) (*tree.Tree, error) {
	root, id, err := openRoot(path, opts)
	if err != nil {
		return nil, err
	}
	s := &scan{xattrs: opts.Xattrs}
	s.todo.add(folder{root, root.Origin, id})
	var workers sync.WaitGroup
	// Directories that are not in memory keep a thread waiting for the disk,
	// so a few more than there are processors.
	for range max(4, runtime.GOMAXPROCS(0)) {
		workers.Go(func() { s.work(ctx) })
	}
	workers.Wait()
	if s.err != nil {
		return nil, s.err
	}
	if err := s.unite(); err != nil {
		return nil, err
	}
	return &tree.Tree{Root: root}, nil
}

// openRoot returns the directory at path, still without its entries.
func openRoot(path string, opts Options) (*tree.Inode, identity, error) {
	if trimmed := strings.TrimRight(path, "/"); trimmed != "" {
		path = trimmed
	}
	d, err := dir.Open(path)
	if err != nil {
		return nil, identity{}, err
	}
	defer d.Close()
	st, err := d.Self()
	if err != nil {
		return nil, identity{}, err
	}
	// The attributes are those of the directory, also behind a symbolic link.
	xattrs, err := opts.Xattrs.of(path + "/.")
	if err != nil {
		return nil, identity{}, err
	}
	root := &tree.Inode{
		Mode:    tree.Mode(st.Mode),
		UID:     st.UID,
		GID:     st.GID,
		ModTime: st.ModTime,
		Xattrs:  xattrs,
		Origin:  path,
	}
	return root, identity{st.Dev, st.Ino}, nil
}

// identity tells files apart whatever their names are.
type identity struct{ dev, ino uint64 }

// folder is a directory whose entries are yet to be read.
type folder struct {
	node *tree.Inode
	path string
	id   identity
}

// name is one of several names of a file.
type name struct {
	path string
	dir  *tree.Inode
	file *tree.Inode
	id   identity
}

// scan is the walk over one source, done by several workers. Each directory
// belongs to the worker that reads it.
type scan struct {
	xattrs Xattrs
	todo   queue

	mu     sync.Mutex
	linked []name
	err    error
	where  string
}

// work reads directories until there are no more.
func (s *scan) work(ctx context.Context) {
	for {
		f, ok := s.todo.next()
		if !ok {
			return
		}
		err := ctx.Err()
		var below []folder
		if err == nil {
			below, err = s.read(f)
		}
		if err != nil {
			s.fail(f.path, err)
		}
		s.todo.done(below)
	}
}

// fail notes the error. Of several the one in the first directory counts, so
// that the same source always gives the same error.
func (s *scan) fail(where string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil || where < s.where {
		s.err, s.where = err, where
	}
}

// read puts the entries of f into its inode and returns those that are
// directories.
func (s *scan) read(f folder) ([]folder, error) {
	d, err := dir.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if st, err := d.Self(); err != nil {
		return nil, err
	} else if (identity{st.Dev, st.Ino}) != f.id {
		return nil, fmt.Errorf("%s changed while it was being read", f.path)
	}
	names, err := d.Names()
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var below []folder
	var linked []name
	for _, n := range names {
		entry, links, err := s.entry(d, f, n)
		switch {
		case err != nil:
			return nil, err
		case entry.node.Mode.IsDir():
			below = append(below, entry)
		case links > 1:
			linked = append(linked, name{entry.path, f.node, entry.node, entry.id})
		}
	}
	s.note(linked)
	return below, nil
}

// entry puts the entry called n into f's inode, and returns it and how many
// names it has on disk.
func (s *scan) entry(d *dir.Dir, f folder, n string) (entry folder, links uint64, err error) {
	st, err := d.Stat(n)
	if err != nil {
		return folder{}, 0, err
	}
	path := strings.TrimSuffix(f.path, "/") + "/" + n
	node, err := inode(d, path, n, st, s.xattrs)
	if err != nil {
		return folder{}, 0, err
	}
	// A piece of path, so that a name takes no memory of its own.
	if err := f.node.Put(path[len(path)-len(n):], node); err != nil {
		return folder{}, 0, fmt.Errorf("%s: %w", f.path, err)
	}
	return folder{node, path, identity{st.Dev, st.Ino}}, st.Links, nil
}

func (s *scan) note(linked []name) {
	if len(linked) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.linked = append(s.linked, linked...)
}

// unite makes one inode of the files that are one.
func (s *scan) unite() error {
	slices.SortFunc(s.linked, func(a, b name) int { return strings.Compare(a.path, b.path) })
	first := make(map[identity]*tree.Inode)
	for _, n := range s.linked {
		file := first[n.id]
		if file == nil {
			first[n.id] = n.file
			continue
		}
		if file.Mode != n.file.Mode || file.Size() != n.file.Size() {
			return errors.New(n.path + " changed while it was being read")
		}
		if err := n.dir.Put(n.path[strings.LastIndexByte(n.path, '/')+1:], file); err != nil {
			return err
		}
	}
	return nil
}

// queue hands out directories until all that were added are done.
type queue struct {
	mu      sync.Mutex
	changed sync.Cond
	waiting []folder
	active  int
}

func (q *queue) add(f folder) {
	q.changed.L = &q.mu
	q.waiting = append(q.waiting, f)
}

// next waits for a directory; ok is false once there will be no more.
func (q *queue) next() (f folder, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 && q.active > 0 {
		q.changed.Wait()
	}
	if len(q.waiting) == 0 {
		return folder{}, false
	}
	last := len(q.waiting) - 1
	f, q.waiting = q.waiting[last], q.waiting[:last]
	q.active++
	return f, true
}

// done says that a directory is read, and which ones were in it.
func (q *queue) done(below []folder) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, below...)
	q.active--
	q.changed.Broadcast()
}
