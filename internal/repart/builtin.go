package repart

import (
	"sextant/internal/dps"
	"sextant/internal/extension"
)

// BuiltIn is provisional.
func BuiltIn(class extension.Class, protected bool, architecture string) ([]Definition, error) {
	a, err := dps.ParseArchitecture(architecture)
	if err != nil {
		return nil, err
	}
	var list []Definition
	for i, d := range []dps.Designator{dps.Root, dps.RootVerity, dps.RootVeritySig} {
		t, _ := dps.TypeFor(d, a)
		def := Definition{Path: "built-in", Type: t, Verity: []Verity{VerityData, VerityHash, VeritySignature}[i], VerityMatchKey: "root", SplitName: t.Name}
		if i == 0 {
			for _, h := range class.Hierarchies() {
				def.CopyFiles = append(def.CopyFiles, CopyFiles{h, h})
			}
		}
		if !protected {
			if i > 0 {
				break
			}
			def.Verity = VerityOff
		}
		list = append(list, def)
	}
	return list, nil
}
