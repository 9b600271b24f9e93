// Package mtree prints a file tree as a BSD mtree manifest, in the words and
// the order of "systemd-dissect --mtree" (systemd src/dissect/dissect.c,
// mtree_print_item):
//
//	./ type=dir mode=0755 uid=0 gid=0
//	./usr/bin/x type=file mode=0755 uid=0 gid=0 size=12 sha256sum=…
//	./usr/bin/y type=link uid=0 gid=0 link=x
//	./usr/dev/null type=char mode=0666 uid=0 gid=0 device=linux,1,3
//
// The special permission bits, times and extended attributes are left out, as
// they are there.
package mtree

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"

	"sextant/internal/tree"
)

// Options say what the manifest leaves out.
type Options struct {
	// NoHash leaves out the digests, so that no content is read.
	NoHash bool
}

// Write prints the manifest of t.
func Write(ctx context.Context, w io.Writer, t *tree.Tree, opts Options) error {
	p := printer{out: bufio.NewWriter(w), opts: opts, buffer: make([]byte, bufferSize)}
	err := t.Walk(func(path string, node *tree.Inode) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.print(path, node); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.out.Flush()
}

// bufferSize is how much of a file is read at once.
const bufferSize = 256 << 10

type printer struct {
	out    *bufio.Writer
	opts   Options
	buffer []byte
}

func (p *printer) print(path string, node *tree.Inode) error {
	p.out.WriteString(manifestPath(path, node))
	fmt.Fprintf(p.out, " type=%s", kind(node.Mode))
	if node.Mode.Type() != tree.TypeSymlink {
		fmt.Fprintf(p.out, " mode=%04o", node.Mode&0o777)
	}
	fmt.Fprintf(p.out, " uid=%d gid=%d", node.UID, node.GID)
	switch {
	case node.Mode.IsRegular():
		if err := p.content(node); err != nil {
			return err
		}
	case node.Mode.Type() == tree.TypeSymlink:
		fmt.Fprintf(p.out, " link=%s", escape(node.Target))
	case node.Mode.IsDevice():
		fmt.Fprintf(p.out, " device=linux,%d,%d", node.Device.Major, node.Device.Minor)
	}
	return p.out.WriteByte('\n')
}

func (p *printer) content(node *tree.Inode) error {
	fmt.Fprintf(p.out, " size=%d", node.Size())
	if p.opts.NoHash || node.Size() == 0 {
		return nil
	}
	r, err := node.Content.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	digest := sha256.New()
	n, err := io.CopyBuffer(digest, onlyReader{io.NewSectionReader(r, 0, node.Size())}, p.buffer)
	if err != nil {
		return err
	}
	if n != node.Size() {
		return io.ErrUnexpectedEOF
	}
	fmt.Fprintf(p.out, " sha256sum=%x", digest.Sum(nil))
	return nil
}

// onlyReader hides the WriteTo of a reader, which would not use our buffer.
type onlyReader struct{ io.Reader }

func manifestPath(path string, node *tree.Inode) string {
	path = "." + escape(strings.TrimSuffix(path, "/"))
	if node.Mode.IsDir() {
		path += "/"
	}
	return path
}

// kind returns mtree's word for the file type.
func kind(m tree.Mode) string {
	if m.Type() == tree.TypeSymlink {
		return "link"
	}
	return m.Kind()
}

// special are the characters besides backslash that are escaped (WHITESPACE,
// COMMENTS and GLOB_CHARS in systemd's string-util.h).
const special = " \t\n\r#;*?[\\"

// escape writes what would end or change a word as \xNN, as systemd's xescape
// does, bytes above 126 too.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 127 || strings.IndexByte(special, c) >= 0 {
			fmt.Fprintf(&b, "\\x%02x", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
