package imagetest

import (
	"crypto/sha256"
	"fmt"
	"io"
	"strings"

	"sextant/internal/pages"
	"sextant/internal/tree"
)

// Dump returns one line for each path of t with all that the tree knows of it:
//
//	/usr/bin/x: file 0755 0:0 1700000000.000000005 12 cc55e2ec user.note="hi" link=/usr/bin/a
//
// The fields are type, permission bits, owner and group, modification time,
// then for a file its size and the start of the content's SHA-256, for a link
// its target, for a device its number; then the extended attributes, long
// values as their SHA-256; then the first path, if this is another name of it.
func Dump(t *tree.Tree) (map[string]string, error) {
	lines := make(map[string]string)
	first := make(map[*tree.Inode]string)
	err := t.Walk(func(path string, node *tree.Inode) error {
		line, err := describe(node)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if other, ok := first[node]; ok {
			line += " link=" + other
		} else {
			first[node] = path
		}
		lines[path] = line
		return nil
	})
	return lines, err
}

// DumpDir returns the Dump of the directory dir.
func DumpDir(dir string) (map[string]string, error) {
	t, err := Scan(dir)
	if err != nil {
		return nil, err
	}
	return Dump(t)
}

func describe(node *tree.Inode) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %04o %d:%d %d.%09d", node.Mode.Kind(), node.Mode.Perm(), node.UID, node.GID,
		node.ModTime.Unix(), node.ModTime.Nanosecond())
	switch {
	case node.Mode.IsRegular():
		sum, err := contentSum(node)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, " %d %s", node.Size(), sum)
	case node.Mode.Type() == tree.TypeSymlink:
		fmt.Fprintf(&b, " %q", node.Target)
	case node.Mode.IsDevice():
		fmt.Fprintf(&b, " %d:%d", node.Device.Major, node.Device.Minor)
	}
	for _, x := range node.Xattrs {
		if len(x.Value) > 64 {
			fmt.Fprintf(&b, " %s=%d:%.8x", x.Name, len(x.Value), sha256.Sum256(x.Value))
		} else {
			fmt.Fprintf(&b, " %s=%q", x.Name, x.Value)
		}
	}
	return b.String(), nil
}

// contentSum returns the first four bytes of the SHA-256 of the content, with
// the zeros of large files counted instead of hashed.
func contentSum(node *tree.Inode) (string, error) {
	h := sha256.New()
	if node.Size() > 0 {
		r, err := node.Content.Open()
		if err != nil {
			return "", err
		}
		defer r.Close()
		if err := sumInto(h, r, node.Size()); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:4]), nil
}

func sumInto(h io.Writer, r io.ReaderAt, size int64) error {
	buf := make([]byte, min(size, 1<<20))
	for off := int64(0); off < size; off += int64(len(buf)) {
		p := buf[:min(int64(len(buf)), size-off)]
		if n, err := r.ReadAt(p, off); n < len(p) {
			return fmt.Errorf("read at %d: %d of %d bytes: %w", off, n, len(p), err)
		}
		if size > 64<<20 && pages.Zero(p) {
			fmt.Fprintf(h, "zeros %d\n", len(p))
			continue
		}
		h.Write(p)
	}
	return nil
}
