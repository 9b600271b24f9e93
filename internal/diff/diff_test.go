package diff_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/diff"
	"sextant/internal/imagetest"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// lines prints changes, one in a line.
func lines(changes []diff.Change) []string {
	list := []string{}
	for _, c := range changes {
		text := c.Change + " " + c.Path + " " + c.Type
		for _, f := range c.Fields {
			text += fmt.Sprintf("; %s %.18s>%.18s", f.Name, f.A, f.B)
		}
		list = append(list, text)
	}
	return list
}

func trees(t *testing.T, a, b *tree.Tree, opts diff.Options) []string {
	t.Helper()
	changes, err := diff.Trees(context.Background(), a, b, opts)
	if err != nil {
		t.Fatal(err)
	}
	return lines(changes)
}

func base() imagetest.Builder {
	b := imagetest.NewBuilder()
	b.File("usr/bin/a", 0o755, "aaaa")
	b.File("usr/bin/b", 0o755, "bbbb")
	b.Symlink("usr/link", "a")
	b.Special("usr/null", tree.TypeChar|0o666, tree.Device{Major: 1, Minor: 3})
	b.Content("usr/sparse", 0o644, imagetest.Sparse(7, 1<<45, span.Span{Offset: 1 << 40, Length: 4096}))
	return b
}

// TestTrees changes one thing at a time.
func TestTrees(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(b imagetest.Builder)
		opts   diff.Options
		want   []string
	}{
		{name: "nothing", change: func(imagetest.Builder) {}, want: []string{}},
		{name: "added", change: func(b imagetest.Builder) { b.File("usr/bin/aa", 0o644, "") },
			want: []string{"added /usr/bin/aa file"}},
		{name: "removed with all in it", change: func(b imagetest.Builder) { b.Tree.Lookup("usr").Remove("bin") },
			want: []string{"removed /usr/bin dir", "removed /usr/bin/a file", "removed /usr/bin/b file"}},
		{name: "content", change: func(b imagetest.Builder) { b.File("usr/bin/a", 0o755, "aaab") },
			want: []string{"changed /usr/bin/a file; content sha256 61be55a8e2f>sha256 85e90f7f0e7"}},
		{name: "size", change: func(b imagetest.Builder) { b.File("usr/bin/a", 0o755, "aaaaa") },
			want: []string{"changed /usr/bin/a file; size 4>5"}},
		{name: "mode and owner", change: func(b imagetest.Builder) {
			node := b.Tree.Lookup("usr/bin/a")
			node.Mode, node.GID = node.Mode|tree.SetUID, 5
		}, want: []string{"changed /usr/bin/a file; mode 0755>4755; owner 0:0>0:5"}},
		{name: "xattrs", change: func(b imagetest.Builder) { b.Tree.Lookup("usr/bin").PutXattr("user.a", []byte("x\x00")) },
			want: []string{`changed /usr/bin dir; xattr user.a >"x\x00"`}},
		{name: "target", change: func(b imagetest.Builder) { b.Tree.Lookup("usr/link").Target = "b" },
			want: []string{"changed /usr/link symlink; target a>b"}},
		{name: "device", change: func(b imagetest.Builder) { b.Tree.Lookup("usr/null").Device.Minor = 5 },
			want: []string{"changed /usr/null char; device 1,3>1,5"}},
		{name: "type", change: func(b imagetest.Builder) { b.Put("usr/bin", &tree.Inode{Mode: tree.TypeSymlink | 0o777, Target: "x"}) },
			want: []string{"changed /usr/bin symlink; type dir>symlink; mode 0755>0777; target >x; same file as >/usr/bin",
				"removed /usr/bin/a file", "removed /usr/bin/b file"}},
		{name: "times do not count", change: func(b imagetest.Builder) { b.Tree.Lookup("usr/bin/a").ModTime = time.Unix(9, 0) },
			want: []string{}},
		{name: "times count", change: func(b imagetest.Builder) { b.Tree.Lookup("usr/bin/a").ModTime = time.Unix(9, 1) },
			opts: diff.Options{Times: true},
			want: []string{"changed /usr/bin/a file; time 2023-11-14T22:13:2>1970-01-01T00:00:0"}},
		{name: "byte in a huge file", change: func(b imagetest.Builder) {
			b.Content("usr/sparse", 0o644, imagetest.Sparse(7, 1<<45, span.Span{Offset: 1<<40 + 1, Length: 4095}))
		}, want: []string{"changed /usr/sparse file; content >differs from byte "}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := base()
			test.change(b)
			if d := cmp.Diff(test.want, trees(t, base().Tree, b.Tree, test.opts)); d != "" {
				t.Errorf("Trees (-want +got):\n%s", d)
			}
		})
	}
}

func TestHardLinks(t *testing.T) {
	a, b := imagetest.NewBuilder(), imagetest.NewBuilder()
	link := a.File("a", 0o644, "x")
	a.Put("b", link)
	b.File("a", 0o644, "x")
	b.File("b", 0o644, "x")
	want := []string{"changed /b file; same file as /a>/b"}
	if d := cmp.Diff(want, trees(t, a.Tree, b.Tree, diff.Options{})); d != "" {
		t.Errorf("Trees (-want +got):\n%s", d)
	}
}

// TestCorner wants a large tree to be the same as itself, and to be another one
// after any change.
func TestCorner(t *testing.T) {
	a, b := imagetest.Corner(), imagetest.Corner()
	if got := trees(t, a, b, diff.Options{Times: true}); len(got) > 0 {
		t.Errorf("Trees of two equal trees = %q, want nothing", got)
	}
	b.Lookup("usr/share/large/entry-03000").Mode ^= 1
	if got := trees(t, a, b, diff.Options{}); len(got) != 1 {
		t.Errorf("Trees = %q, want one change", got)
	}
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := diff.Trees(ctx, base().Tree, base().Tree, diff.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Trees gave %v, want Canceled", err)
	}
}
