package merge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// identity tells a file or directory from another that comes in its place. A
// change of its content need not show.
type identity struct {
	mountID uint64 // the one that is never used again, where the kernel has it

	// handle is what name_to_handle_at(2) returns, nil where the file system
	// has none; the inode number counts then.
	handleType int32
	handle     []byte
	inode      uint64

	created, modified uint64 // µs, 0 where it is not known or does not count
}

// pair is a field of an object, whose order is kept.
type pair struct {
	key   string
	value any
}

// object is written as systemd writes one, so that a file of ours cannot be told
// from one of its own.
type object []pair

// origin returns the text of the origin file: all that a refresh has to compare
// to see whether anything changed (sysext.c, merge_subprocess).
func (o Options) origin(layers []*layer, mutableDirs object) string {
	mutable := object{{"mode", string(o.mutable())}}
	if len(mutableDirs) > 0 {
		mutable = append(mutable, pair{"mutableDirs", mutableDirs})
	}
	all := object{{"mutable", mutable}}
	if o.MountOptions != nil && *o.MountOptions != "" {
		all = append(all, pair{"mountOptions", *o.MountOptions})
	}
	var list object
	for _, l := range layers {
		list = append(list, pair{l.Name, l.origin(o.Root)})
	}
	if len(list) > 0 {
		all = append(all, pair{"extensions", list})
	}
	var b strings.Builder
	all.write(&b, "")
	return b.String() + "\n"
}

// origin tells where one extension comes from. A root hash says all; without
// one the file is what there is to compare.
func (l *layer) origin(root string) object {
	o := object{{"path", withoutRoot(root, l.Path)}}
	if l.rootHash != "" {
		return append(o, pair{"verityHash", l.rootHash})
	}
	o = append(o, pair{"onMountId", l.file.mountID})
	if l.file.handle != nil {
		o = append(o, pair{"fileHandle", object{{"type", l.file.handleType}, {"handle", fmt.Sprintf("%x", l.file.handle)}}})
	} else {
		o = append(o, pair{"inode", l.file.inode})
	}
	return append(o, pair{"crtime", l.file.created}, pair{"mtime", l.file.modified})
}

// withoutRoot takes the root off a path.
func withoutRoot(root, path string) string {
	if rest, ok := strings.CutPrefix(path, strings.TrimSuffix(root, "/")+"/"); ok {
		return "/" + rest
	}
	return path
}

func (o object) write(b *strings.Builder, indent string) {
	b.WriteString("{")
	for i, p := range o {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(b, "\n%s\t%s : ", indent, quote(p.key))
		if child, ok := p.value.(object); ok {
			child.write(b, indent+"\t")
		} else {
			b.WriteString(quote(p.value))
		}
	}
	b.WriteString("\n" + indent + "}")
}

// quote gives a string or number in JSON.
func quote(value any) string {
	if _, text := value.(string); !text {
		return fmt.Sprint(value)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		panic("internal error: " + err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// sameOrigin reports whether two origin files say the same, in whatever order.
func sameOrigin(a, b []byte) bool {
	x, err1 := parseOrigin(a)
	y, err2 := parseOrigin(b)
	return err1 == nil && err2 == nil && reflect.DeepEqual(x, y)
}

// parseOrigin unpacks into maps and not into structures: what package json learns
// about those takes longer than the rest when it is asked once.
func parseOrigin(text []byte) (value any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // mount ids do not fit a float64
	err = d.Decode(&value)
	return value, err
}
