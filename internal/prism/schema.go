package prism

import (
	"maps"
	"reflect"
	"slices"
)

// Schema returns the JSON schema (draft 2020-12) of the configs that Parse
// takes. Keys that are refused are not in it, so that an editor marks them.
func Schema() map[string]any {
	s := schemaOf(reflect.TypeFor[Config](), "")
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "Config of sextant customize"
	return s
}

// schemaOf describes a type. It mirrors decode.
func schemaOf(t reflect.Type, path string) map[string]any {
	if l, ok := reflect.New(t).Interface().(leaf); ok {
		return l.schema()
	}
	switch {
	case t == reflect.TypeFor[[]Option]():
		// Many options are numbers, and nobody quotes them.
		return map[string]any{"type": "object", "additionalProperties": map[string]any{"type": []string{"string", "number", "boolean"}}}
	case t.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem(), path+"[]")}
	}
	properties := map[string]any{}
	for key, i := range fields(t) {
		f := t.Field(i)
		s := schemaOf(f.Type, join(path, key))
		s["description"] = f.Tag.Get("doc")
		properties[key] = s
	}
	for known, values := range idle() {
		if parent(known) == path {
			properties[last(known)] = map[string]any{"type": "string", "enum": values}
		}
	}
	s := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if required := requiredKeys()[path]; required != nil {
		s["required"] = required
	}
	maps.Copy(s, rules()[path])
	return s
}

// requiredKeys maps structures to the keys that check asks for.
func requiredKeys() map[string][]string {
	return map[string][]string{
		"os.additionalFiles[]": {"destination"},
		"os.additionalDirs[]":  {"source", "destination"},
		"os.modules[]":         {"name"},
		"os.overlays[]":        {"mountPoint", "lowerDirs", "upperDir", "workDir"},
	}
}

// rules maps structures to what else check asks for, as far as a schema can
// say it.
func rules() map[string]map[string]any {
	return map[string]map[string]any{
		"os.additionalFiles[]": {"oneOf": []any{
			map[string]any{"required": []string{"source"}},
			map[string]any{"required": []string{"content"}},
		}},
	}
}

// Refused lists the keys of Image Customizer that sextant refuses, with the
// reason, in order.
func Refused() (list [][2]string) {
	for _, key := range slices.Sorted(maps.Keys(refused())) {
		list = append(list, [2]string{key, refused()[key]})
	}
	return list
}
