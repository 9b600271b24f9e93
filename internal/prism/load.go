package prism

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// maxSize is the size in bytes of the largest config that is read.
	maxSize = 16 << 20

	// maxNodes bounds what aliases can make of a small file.
	maxNodes = 1 << 18

	// maxFaults is how many faults are told at once.
	maxFaults = 20
)

// Load reads the config file at path, which messages call name. Everything that
// is wrong with it is in the error, which then joins *Fault.
func Load(path, name string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return Parse(text, name, dir)
}

// Parse reads a config. The name of its file is for messages; relative paths
// in it begin at dir.
func Parse(text []byte, name, dir string) (*Config, error) {
	cfg := &Config{Dir: dir}
	d := &decoder{file: name}
	if len(text) > maxSize {
		return nil, d.fault(Pos{File: name, Line: 1, Column: 1}, "", "larger than %d bytes", maxSize)
	}
	top, err := d.document(text)
	if err != nil {
		return nil, err
	}
	if top != nil {
		d.decode(top, reflect.ValueOf(cfg).Elem(), "")
	}
	if len(d.faults) == 0 {
		d.check(cfg)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return cfg, nil
}

// decoder turns YAML nodes into values, and notes what is wrong.
type decoder struct {
	file   string
	nodes  int
	faults []error
}

func (d *decoder) err() error {
	switch len(d.faults) {
	case 0:
		return nil
	case 1:
		return d.faults[0]
	}
	return faults(d.faults)
}

func (d *decoder) fault(at Pos, help, format string, args ...any) error {
	return &Fault{At: at, Text: fmt.Sprintf(format, args...), Help: help}
}

// add notes a fault.
func (d *decoder) add(at Pos, help, format string, args ...any) {
	if len(d.faults) < maxFaults {
		d.faults = append(d.faults, d.fault(at, help, format, args...))
	}
}

func (d *decoder) at(n *yaml.Node) Pos { return Pos{d.file, n.Line, n.Column} }

// document returns the one document of the file, nil if it is empty.
func (d *decoder) document(text []byte) (*yaml.Node, error) {
	in := yaml.NewDecoder(bytes.NewReader(text))
	var first, second yaml.Node
	err := in.Decode(&first)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s", d.file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := in.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, d.fault(d.at(&second), "", "a second document begins")
	}
	if len(first.Content) != 1 {
		return nil, nil
	}
	return first.Content[0], nil
}

// decode puts a node into a value. Path names the value, for messages and for
// the tables of keys.
func (d *decoder) decode(n *yaml.Node, v reflect.Value, path string) {
	if d.nodes++; d.nodes > maxNodes {
		d.add(d.at(n), "", "aliases make more than %d values of the file", maxNodes)
		return
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if empty(n) && n.Tag == "!!null" || d.nodes > maxNodes {
		return
	}
	if l, ok := v.Addr().Interface().(leaf); ok {
		d.scalar(n, l, path)
		return
	}
	switch {
	case v.Type() == reflect.TypeFor[[]Option]():
		d.options(n, v, path)
	case v.Kind() == reflect.Slice:
		d.list(n, v, path)
	default:
		d.mapping(n, v, path)
	}
}

// empty reports whether a value asks for nothing.
func empty(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n.Kind == yaml.ScalarNode && (n.Tag == "!!null" || n.Value == "") ||
		(n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode) && len(n.Content) == 0
}

func (d *decoder) scalar(n *yaml.Node, l leaf, path string) {
	if n.Kind != yaml.ScalarNode {
		d.add(d.at(n), "", "%s is a %s, want one value", path, kind(n))
		return
	}
	if err := l.take(n.Value, d.at(n)); err != nil {
		d.add(d.at(n), "", "%s: %v", path, err)
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.add(d.at(n), "begin each element with a dash", "%s is a %s, want a list", path, kind(n))
		return
	}
	for _, item := range n.Content {
		element := reflect.New(v.Type().Elem()).Elem()
		d.decode(item, element, path+"[]")
		v.Set(reflect.Append(v, element))
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if at := v.FieldByName("Pos"); at.IsValid() {
		at.Set(reflect.ValueOf(d.at(n)))
	}
	known := fields(v.Type())
	for _, p := range d.pairs(n, path) {
		full := join(path, p.name)
		if i, ok := known[p.name]; ok {
			d.decode(p.value, v.Field(i), full)
			continue
		}
		d.other(p, full, v.Type())
	}
}

// options reads the mapping of a module's options.
func (d *decoder) options(n *yaml.Node, v reflect.Value, path string) {
	for _, p := range d.pairs(n, path) {
		o := Option{Name: Text{p.name, d.at(p.key)}}
		d.decode(p.value, reflect.ValueOf(&o.Value).Elem(), join(path, p.name))
		v.Set(reflect.Append(v, reflect.ValueOf(o)))
	}
}

func join(path, name string) string { return strings.TrimPrefix(path+"."+name, ".") }

// kind names what a node is.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "mapping"
	case yaml.SequenceNode:
		return "list"
	}
	return "single value"
}
