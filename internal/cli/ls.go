package cli

import (
	"bufio"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"sextant/internal/image"
	"sextant/internal/tree"
)

const lsHelp = `List the files of an image, or those at PATH in it. IMAGE can also be a directory.

Each path stands in a line of its own, directories end in a slash, as
systemd-dissect --list has it. Control characters, backslashes and bytes that are
no UTF-8 are written as \xNN; --null prints names as they are.`

type lsFlags struct {
	long, null, json bool
}

func newLs(env Env) *cobra.Command {
	var f lsFlags
	cmd := &cobra.Command{
		Use:   "ls IMAGE [PATH...]",
		Short: "List the files of an image",
		Long:  lsHelp,
		Args:  operands(1, anyNumber),
		RunE: func(cmd *cobra.Command, args []string) error {
			return couldNotLook(f.run(env, args[0], args[1:]), "list %s", args[0])
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVarP(&f.long, "long", "l", false, "print mode, owner, size and time too")
	flags.BoolVarP(&f.null, "null", "0", false, "end each line with a NUL, and print names as they are")
	flags.BoolVar(&f.json, "json", false, "print the result as JSON")
	return cmd
}

func (f lsFlags) run(env Env, path string, paths []string) error {
	if len(paths) == 0 && !f.long && !f.json {
		return f.names(env, path)
	}
	t, err := lookInto(env, path, paths...)
	if err != nil {
		return err
	}
	defer t.Close()
	if f.json {
		return writeJSON(env.Stdout, listed(t.Tree))
	}
	out := bufio.NewWriterSize(env.Stdout, 64<<10)
	if err := f.print(out, t.Tree); err != nil {
		return err
	}
	return out.Flush()
}

// names lists an image by its directories alone.
func (f lsFlags) names(env Env, path string) error {
	m, err := image.Open(env.path(path))
	if err != nil {
		return err
	}
	defer m.Close()
	// The few megabytes that names need are not worth collecting.
	defer debug.SetGCPercent(debug.SetGCPercent(200))
	out := bufio.NewWriterSize(env.Stdout, 64<<10)
	last, shown := "", ""
	err = m.Names(func(dir, name string, kind tree.Mode) error {
		if dir != last {
			last, shown = dir, f.name(dir[1:])
		}
		out.WriteString(shown)
		f.printName(out, name)
		if kind.IsDir() {
			out.WriteByte('/')
		}
		return f.endLine(out)
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

func (f lsFlags) print(out *bufio.Writer, t *tree.Tree) error {
	return t.Walk(func(path string, node *tree.Inode) error {
		if path == "/" {
			return nil
		}
		name := path[1:]
		if node.Mode.IsDir() {
			name += "/"
		}
		if f.long {
			f.printLong(out, name, node)
		} else {
			f.printName(out, name)
		}
		return f.endLine(out)
	})
}

func (f lsFlags) printName(out *bufio.Writer, name string) { out.WriteString(f.name(name)) }

// name returns a name as it is printed.
func (f lsFlags) name(name string) string {
	if f.null {
		return name
	}
	return printable(name)
}

func (f lsFlags) endLine(out *bufio.Writer) error {
	if f.null {
		return out.WriteByte(0)
	}
	return out.WriteByte('\n')
}

// printLong prints the columns of ls -ln, with the size of files and the number
// of devices.
func (f lsFlags) printLong(out *bufio.Writer, name string, node *tree.Inode) {
	size := fmt.Sprint(node.Size())
	if node.Mode.IsDevice() {
		size = fmt.Sprintf("%d,%d", node.Device.Major, node.Device.Minor)
	}
	owner := fmt.Sprintf("%d:%d", node.UID, node.GID)
	fmt.Fprintf(out, "%s %-11s %10s %s ", modeText(node.Mode), owner, size, node.ModTime.UTC().Format(time.DateTime))
	f.printName(out, name)
	if node.Mode.Type() == tree.TypeSymlink {
		out.WriteString(" -> ")
		f.printName(out, node.Target)
	}
}

// modeText writes a mode as ls does: drwxr-sr-t.
func modeText(m tree.Mode) string {
	text := []byte("?rwxrwxrwx")
	kinds := map[tree.Mode]byte{
		tree.TypeRegular: '-', tree.TypeDir: 'd', tree.TypeSymlink: 'l', tree.TypeChar: 'c',
		tree.TypeBlock: 'b', tree.TypeFIFO: 'p', tree.TypeSocket: 's',
	}
	if k, ok := kinds[m.Type()]; ok {
		text[0] = k
	}
	for i := range 9 {
		if m&(1<<(8-i)) == 0 {
			text[1+i] = '-'
		}
	}
	for _, s := range []struct {
		bit   tree.Mode
		place int
		with  byte
	}{{tree.SetUID, 3, 's'}, {tree.SetGID, 6, 's'}, {tree.Sticky, 9, 't'}} {
		if m&s.bit == 0 {
			continue
		}
		if text[s.place] == '-' {
			text[s.place] = s.with - 'a' + 'A'
		} else {
			text[s.place] = s.with
		}
	}
	return string(text)
}

// listedFile is one name as ls --json prints it.
type listedFile struct {
	Path   string    `json:"path"`
	Type   string    `json:"type"`
	Mode   string    `json:"mode"` // octal
	UID    uint32    `json:"uid"`
	GID    uint32    `json:"gid"`
	Size   int64     `json:"size"`
	Time   time.Time `json:"time"`
	Target string    `json:"target,omitempty"`
	Device string    `json:"device,omitempty"` // "MAJOR,MINOR"
	Link   string    `json:"link,omitempty"`   // the first name of a file with several
	Xattrs []string  `json:"xattrs,omitempty"` // names
}

func listed(t *tree.Tree) []listedFile {
	list := []listedFile{}
	first := make(map[*tree.Inode]string)
	t.Each(func(path string, node *tree.Inode) {
		l := listedFile{
			Path: path, Type: node.Mode.Kind(), Mode: fmt.Sprintf("%04o", node.Mode.Perm()), UID: node.UID, GID: node.GID,
			Size: node.Size(), Time: node.ModTime.UTC(), Target: node.Target, Link: first[node],
		}
		if first[node] == "" {
			first[node] = path
		}
		if node.Mode.IsDevice() {
			l.Device = fmt.Sprintf("%d,%d", node.Device.Major, node.Device.Minor)
		}
		for _, x := range node.Xattrs {
			l.Xattrs = append(l.Xattrs, x.Name)
		}
		list = append(list, l)
	})
	return list
}
