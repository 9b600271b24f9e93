package build

import (
	"encoding/json"

	"sextant/internal/extension"
)

// Manifest describes an image in mkosi's format, version 1 (mkosi/manifest.py).
type Manifest struct {
	Name         string
	Distribution string
	Architecture string
	Format       string
	Version      string // may be empty
	Release      string // may be empty
	Extension    extension.Release
}

// Marshal returns the manifest as JSON.
func (m Manifest) Marshal() []byte {
	fields := make(map[string]string)
	for _, f := range m.Extension {
		fields[f.Key] = f.Value
	}
	type config struct {
		Name         string `json:"name"`
		Distribution string `json:"distribution"`
		Architecture string `json:"architecture"`
		Format       string `json:"output_format"`
		Version      string `json:"version,omitempty"`
		Release      string `json:"release,omitempty"`
	}
	text, err := json.MarshalIndent(struct {
		Version   int               `json:"manifest_version"`
		Config    config            `json:"config"`
		Packages  []struct{}        `json:"packages"`
		Extension map[string]string `json:"extension"`
	}{
		1,
		config{m.Name, m.Distribution, m.Architecture, m.Format, m.Version, m.Release},
		[]struct{}{},
		fields,
	}, "", "  ")
	if err != nil {
		panic("internal error: " + err.Error()) // strings and maps of strings always marshal
	}
	return text
}
