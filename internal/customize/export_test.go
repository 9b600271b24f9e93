package customize

import (
	"sextant/internal/dps"
	"sextant/internal/format/program"
)

// ArchitectureFor gives tests the architecture that a program is for.
func ArchitectureFor(p program.ELF) dps.Architecture { return architectureFor(p) }
