package dps_test

import (
	"os/exec"
	"strings"
	"testing"

	"sextant/internal/dps"
	"sextant/internal/format/gpt"
	"sextant/internal/testenv"
)

func TestTypesAreComplete(t *testing.T) {
	types := dps.Types()
	if want := 21*6 + 9; len(types) != want {
		t.Errorf("len(Types()) = %d, want %d", len(types), want)
	}
	uuids, names := map[gpt.GUID]string{}, map[string]bool{}
	for _, typ := range types {
		if other := uuids[typ.UUID]; other != "" {
			t.Errorf("%s and %s share the UUID %s", typ.Name, other, typ.UUID)
		}
		if names[typ.Name] {
			t.Errorf("two types are called %s", typ.Name)
		}
		uuids[typ.UUID], names[typ.Name] = typ.Name, true

		if got, ok := dps.TypeOf(typ.UUID); !ok || got != typ {
			t.Errorf("TypeOf(%s) = %v, %v, want %v", typ.UUID, got, ok, typ)
		}
		if got, ok := dps.TypeFor(typ.Designator, typ.Architecture); !ok || got != typ {
			t.Errorf("TypeFor(%s, %s) = %v, %v, want %v", typ.Designator, typ.Architecture, got, ok, typ)
		}
		for _, text := range []string{typ.Name, typ.UUID.String()} {
			if got, err := dps.ParseType(text, dps.S390); err != nil || got != typ {
				t.Errorf("ParseType(%q) = %v, %v, want %v", text, got, err, typ)
			}
		}
	}
}

func TestParseType(t *testing.T) {
	for text, want := range map[string]string{
		"root":                                 "root-arm64",
		"root-verity":                          "root-arm64-verity",
		"root-verity-sig":                      "root-arm64-verity-sig",
		"usr-verity-sig":                       "usr-arm64-verity-sig",
		"root-secondary":                       "root-arm",
		"usr-secondary-verity":                 "usr-arm-verity",
		"root-x86_64":                          "root-x86-64",
		"root-amd64-verity":                    "root-x86-64-verity",
		"usr-i686-verity-sig":                  "usr-x86-verity-sig",
		"usr-aarch64":                          "usr-arm64",
		"root-ppc64el":                         "root-ppc64-le",
		"esp":                                  "esp",
		"linux-generic":                        "linux-generic",
		"4F68BCE3E8CD4DB196E7FBCAF984B709":     "root-x86-64",
		"12345678-1234-1234-1234-123456789abc": "",
	} {
		got, err := dps.ParseType(text, dps.ARM64)
		if err != nil || got.Name != want {
			t.Errorf("ParseType(%q) = %q, %v, want %q", text, got.Name, err, want)
		}
	}
	for _, text := range []string{"", "root-", "root-vax", "usr-x86-64-", "home-x86-64", "root-x86-64-sig", "verity", "root-secondary-", "ROOT"} {
		if got, err := dps.ParseType(text, dps.X86_64); err == nil {
			t.Errorf("ParseType(%q) = %v, want an error", text, got)
		}
	}
	if got, err := dps.ParseType("root-secondary", dps.RISCV64); err == nil {
		t.Errorf("ParseType(root-secondary) on riscv64 = %v, want an error", got)
	}
}

func TestDesignators(t *testing.T) {
	for _, test := range []struct{ data, verity, sig dps.Designator }{
		{dps.Root, dps.RootVerity, dps.RootVeritySig},
		{dps.Usr, dps.UsrVerity, dps.UsrVeritySig},
	} {
		if got, _ := test.data.Verity(); got != test.verity {
			t.Errorf("%s.Verity() = %s, want %s", test.data, got, test.verity)
		}
		if got, _ := test.data.VeritySig(); got != test.sig {
			t.Errorf("%s.VeritySig() = %s, want %s", test.data, got, test.sig)
		}
		for _, d := range []dps.Designator{test.data, test.verity, test.sig} {
			if got, ok := d.Data(); !ok || got != test.data {
				t.Errorf("%s.Data() = %s, %v, want %s", d, got, ok, test.data)
			}
		}
	}
	if _, ok := dps.Home.Verity(); ok {
		t.Error("home has a hash tree")
	}
}

func TestArchitectureNames(t *testing.T) {
	for _, a := range dps.Architectures() {
		if got, err := dps.ParseArchitecture(string(a)); err != nil || got != a {
			t.Errorf("ParseArchitecture(%q) = %q, %v", a, got, err)
		}
		if goarch := a.Go(); goarch != "" {
			if got, ok := dps.FromGo(goarch); !ok || got != a {
				t.Errorf("FromGo(%q) = %q, %v, want %q", goarch, got, ok, a)
			}
		}
	}
	for machine, want := range map[string]dps.Architecture{
		"x86_64": dps.X86_64, "aarch64": dps.ARM64, "i586": dps.X86, "armv6l": dps.ARM, "armv8l": dps.ARM,
		"ppc64le": dps.PPC64LE, "loongarch64": dps.LoongArch64, "riscv": dps.RISCV64, "mips64": dps.MIPS64,
	} {
		if got, ok := dps.FromUname(machine); !ok || got != want {
			t.Errorf("FromUname(%q) = %q, %v, want %q", machine, got, ok, want)
		}
	}
	for _, machine := range []string{"", "vax", "armv7b"} {
		if got, ok := dps.FromUname(machine); ok {
			t.Errorf("FromUname(%q) = %q, want none", machine, got)
		}
	}
	if got := dps.X86_64.Uname(); got != "x86_64" {
		t.Errorf("Uname() = %q, want x86_64", got)
	}
	dps.Native() // must know every architecture that Go builds for
}

// TestDescriptionsOfSfdisk compares UUIDs and descriptions with the table of
// util-linux, which has them from the specification by another way than we.
func TestDescriptionsOfSfdisk(t *testing.T) {
	testenv.Require(t, "sfdisk")
	out, err := exec.Command("sfdisk", "-X", "gpt", "-T").Output()
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for line := range strings.Lines(string(out)) {
		text, description, _ := strings.Cut(strings.TrimSpace(line), "  ")
		uuid, err := gpt.ParseGUID(text)
		if err != nil {
			continue
		}
		typ, ok := dps.TypeOf(uuid)
		switch {
		case ok && typ.Description != description:
			t.Errorf("description of %s = %q, sfdisk has %q", typ.Name, typ.Description, description)
		case ok:
			compared++
		case strings.HasPrefix(description, "Linux root") || strings.HasPrefix(description, "Linux /usr"):
			t.Errorf("sfdisk knows %q (%s), we do not", description, uuid)
		}
	}
	if compared < 100 {
		t.Errorf("compared %d types, want at least 100", compared)
	}
}
