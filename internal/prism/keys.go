package prism

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"sextant/internal/spelling"
)

// pair is one key of a mapping with its value.
type pair struct {
	name       string
	key, value *yaml.Node
}

// maxMerge is how many mappings may be merged into each other by "<<".
const maxMerge = 32

// pairs returns the keys of a mapping in their order, those merged into it by
// "<<" behind its own. A key that stands there twice is a fault.
func (d *decoder) pairs(n *yaml.Node, path string) []pair {
	if n.Kind != yaml.MappingNode {
		d.add(d.at(n), "", "%s is a %s, want a mapping", cmpOr(path, "the file"), kind(n))
		return nil
	}
	seen := map[string]Pos{}
	list := d.own(n, seen)
	return append(list, d.merged(n, seen, maxMerge)...)
}

// own returns what stands in the mapping itself.
func (d *decoder) own(n *yaml.Node, seen map[string]Pos) (list []pair) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			d.add(d.at(key), "", "a key that is a %s", kind(key))
			continue
		case key.Tag == "!!merge":
			continue
		}
		if before, twice := seen[key.Value]; twice {
			d.add(d.at(key), "", "%s stands here for a second time, before in line %d", key.Value, before.Line)
			continue
		}
		seen[key.Value] = d.at(key)
		list = append(list, pair{key.Value, key, value})
	}
	return list
}

// merged returns what "<<" brings in and the mapping does not say itself.
func (d *decoder) merged(n *yaml.Node, seen map[string]Pos, depth int) (list []pair) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag != "!!merge" {
			continue
		}
		if depth == 0 || d.nodes > maxNodes {
			d.add(d.at(n.Content[i]), "", "more than %d mappings are merged into each other", maxMerge)
			return list
		}
		for _, source := range mergeSources(n.Content[i+1]) {
			list = append(list, d.fresh(source, seen, depth)...)
		}
	}
	return list
}

func (d *decoder) fresh(source *yaml.Node, seen map[string]Pos, depth int) (list []pair) {
	if d.nodes++; source.Kind != yaml.MappingNode {
		d.add(d.at(source), "", "<< takes mappings, this is a %s", kind(source))
		return nil
	}
	for _, p := range d.own(source, map[string]Pos{}) {
		if _, said := seen[p.name]; !said {
			seen[p.name] = d.at(p.key)
			list = append(list, p)
		}
	}
	return append(list, d.merged(source, seen, depth-1)...)
}

// mergeSources returns the mappings that the value of "<<" names.
func mergeSources(n *yaml.Node) (list []*yaml.Node) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.SequenceNode {
		return []*yaml.Node{n}
	}
	for _, item := range n.Content {
		if item.Kind == yaml.AliasNode {
			item = item.Alias
		}
		list = append(list, item)
	}
	return list
}

func cmpOr(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// fields maps the keys of a structure to the indexes of its fields.
func fields(t reflect.Type) map[string]int {
	m := map[string]int{}
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("key"); key != "" {
			m[key] = i
		}
	}
	return m
}

// other deals with a key that is none of ours.
func (d *decoder) other(p pair, path string, t reflect.Type) {
	if values, ok := idle()[path]; ok {
		if !empty(p.value) && !slices.Contains(values, p.value.Value) {
			d.add(d.at(p.value), "", "%s: %q is none of %q", path, p.value.Value, values)
		}
		return
	}
	if why, ok := refused()[path]; ok {
		if !empty(p.value) {
			d.add(d.at(p.key), "", "%s: %s", path, why)
		}
		return
	}
	d.add(d.at(p.key), d.advise(p.name, path, t), "%s is no key of Image Customizer", path)
}

// advise returns what was probably meant by an unknown key.
func (d *decoder) advise(name, path string, t reflect.Type) string {
	for _, known := range allKeys() {
		if last(known) == name {
			return fmt.Sprintf("%s is a key of %s; is the indentation right?", name, cmpOr(parent(known), "the file itself"))
		}
	}
	here := slices.Collect(maps.Keys(fields(t)))
	for _, known := range slices.Concat(slices.Collect(maps.Keys(refused())), slices.Collect(maps.Keys(idle()))) {
		if parent(known) == parent(path) {
			here = append(here, last(known))
		}
	}
	slices.Sort(here)
	if near := spelling.Nearest(name, here); near != "" {
		return "did you mean " + near + "?"
	}
	return "known here are " + list(here)
}

// allKeys lists the paths of all keys that are known.
func allKeys() []string {
	all := slices.Concat(slices.Collect(maps.Keys(refused())), slices.Collect(maps.Keys(idle())))
	all = append(all, keysBelow(reflect.TypeFor[Config](), "")...)
	slices.Sort(all)
	return all
}

func keysBelow(t reflect.Type, path string) (all []string) {
	if t.Kind() == reflect.Slice {
		t, path = t.Elem(), path+"[]"
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for key, i := range fields(t) {
		full := join(path, key)
		all = append(append(all, full), keysBelow(t.Field(i).Type, full)...)
	}
	return all
}

func last(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

func parent(path string) string { return path[:max(0, strings.LastIndexByte(path, '.'))] }
