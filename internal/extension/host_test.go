package extension_test

import (
	"testing"

	"sextant/internal/extension"
)

func release(t *testing.T, text string) extension.Release {
	t.Helper()
	r, err := extension.ParseRelease([]byte(text))
	if err != nil {
		t.Fatalf("ParseRelease(%q): %v", text, err)
	}
	return r
}

func TestFits(t *testing.T) {
	const (
		debian  = "ID=debian\nVERSION_ID=13\n"
		ubuntu  = "ID=ubuntu\nID_LIKE=\"debian linux\"\nVERSION_ID=24.04\n"
		flatcar = "ID=flatcar\nVERSION_ID=4230.1\nSYSEXT_LEVEL=1.0\n"
		rolling = "ID=arch\n"
		level   = "ID=os\nSYSEXT_LEVEL=2\n"
		empty   = "ID=debian\nVERSION_ID=\n"
	)
	for _, c := range []struct {
		name, os, ext string
		ok            bool
		reason        string
	}{
		{"no release data", debian, "", false, "the release file is empty"},
		{"host without ID", "VERSION_ID=1\n", "ID=_any\n", false, "the host's os-release has no ID"},
		{"any", debian, "ID=_any\n", true, "ID=_any"},
		{"any with a wrong version", debian, "ID=_any\nVERSION_ID=1\n", true, "ID=_any"},
		{"any for another machine", debian, "ID=_any\nARCHITECTURE=arm64\n", false, "ARCHITECTURE=arm64, the host's is x86-64"},
		{"any elsewhere", debian, "ID=_any\nSYSEXT_SCOPE=initrd\n", false, "SYSEXT_SCOPE=initrd has no system"},
		{"scope before architecture", debian, "ARCHITECTURE=arm64\nSYSEXT_SCOPE=\n", false, "SYSEXT_SCOPE= has no system"},
		{"architecture before ID", debian, "ARCHITECTURE=arm64\n", false, "ARCHITECTURE=arm64, the host's is x86-64"},
		{"any architecture", debian, "ID=debian\nVERSION_ID=13\nARCHITECTURE=_any\n", true, "VERSION_ID=13"},
		{"this architecture", debian, "ID=debian\nVERSION_ID=13\nARCHITECTURE=x86-64\n", true, "VERSION_ID=13"},
		{"no ID", debian, "VERSION_ID=13\n", false, "the release file has no ID"},
		{"empty ID", debian, "ID=\nVERSION_ID=13\n", false, "the release file has no ID"},
		{"other ID", debian, "ID=fedora\nVERSION_ID=13\n", false, "ID=fedora, the host's is debian"},
		{"same version", debian, "ID=debian\nVERSION_ID=13\n", true, "VERSION_ID=13"},
		{"other version", debian, "ID=debian\nVERSION_ID=12\n", false, "VERSION_ID=12, the host's is 13"},
		{"versions are strings", debian, "ID=debian\nVERSION_ID=13.0\n", false, "VERSION_ID=13.0, the host's is 13"},
		{"no version", debian, "ID=debian\n", false, "the release file has no VERSION_ID, the host's is 13"},
		{"level of no use", debian, "ID=debian\nSYSEXT_LEVEL=1.0\n", false, "the release file has no VERSION_ID, the host's is 13"},
		{"rolling", rolling, "ID=arch\n", true, "the host has no version"},
		{"rolling, with a version", rolling, "ID=arch\nVERSION_ID=3\nSYSEXT_LEVEL=9\n", true, "the host has no version"},
		{"empty version is none", empty, "ID=debian\n", true, "the host has no version"},
		{"same level", flatcar, "ID=flatcar\nSYSEXT_LEVEL=1.0\nVERSION_ID=1\n", true, "SYSEXT_LEVEL=1.0"},
		{"other level, same version", flatcar, "ID=flatcar\nSYSEXT_LEVEL=2.0\nVERSION_ID=4230.1\n", false, "SYSEXT_LEVEL=2.0, the host's is 1.0"},
		{"level on the host alone", flatcar, "ID=flatcar\nVERSION_ID=4230.1\n", true, "VERSION_ID=4230.1"},
		{"level on the host alone, other version", flatcar, "ID=flatcar\nVERSION_ID=1\n", false, "VERSION_ID=1, the host's is 4230.1"},
		{"host has a level only", level, "ID=os\n", true, "the host has only SYSEXT_LEVEL=2, the extension has none"},
		{"host has a level only, extension a version", level, "ID=os\nVERSION_ID=9\n", true, "the host has only SYSEXT_LEVEL=2, the extension has none"},
		{"another class's level", flatcar, "ID=flatcar\nCONFEXT_LEVEL=1.0\n", false, "the release file has no VERSION_ID, the host's is 4230.1"},
		{"like", ubuntu, "ID=debian\nVERSION_ID=24.04\n", true, "VERSION_ID=24.04"},
		{"like, other version", ubuntu, "ID=debian\nVERSION_ID=13\n", false, "VERSION_ID=13, the host's is 24.04"},
		{"not like", ubuntu, "ID=fedora\n", false, "ID=fedora, the host's is ubuntu or debian or linux"},
	} {
		host := extension.Host{OS: release(t, c.os), Architecture: "x86-64", Scope: extension.System, Systemd: 262}
		ok, reason := host.Fits(extension.Sysext, release(t, c.ext))
		if ok != c.ok || reason != c.reason {
			t.Errorf("%s: Fits = %t, %q, want %t, %q", c.name, ok, reason, c.ok, c.reason)
		}
	}
}

func TestFitsScope(t *testing.T) {
	for _, c := range []struct {
		ext   string
		scope extension.Scope
		ok    bool
	}{
		{"ID=_any\n", extension.System, true},
		{"ID=_any\n", extension.Portable, true},
		{"ID=_any\n", extension.Initrd, false},
		{"ID=_any\nSYSEXT_SCOPE=\"initrd  system\"\n", extension.Initrd, true},
		{"ID=_any\nSYSEXT_SCOPE=\"initrd  system\"\n", extension.Portable, false},
		{"ID=_any\nCONFEXT_SCOPE=initrd\n", extension.System, true},
	} {
		host := extension.Host{OS: release(t, "ID=a\n"), Scope: c.scope, Systemd: 262}
		if ok, reason := host.Fits(extension.Sysext, release(t, c.ext)); ok != c.ok {
			t.Errorf("%q in %s: Fits = %t, %q, want %t", c.ext, c.scope, ok, reason, c.ok)
		}
	}
}

func TestFitsRelease(t *testing.T) {
	like := release(t, "ID=ubuntu\nID_LIKE=debian\nCONFEXT_LEVEL=3\n")
	for _, c := range []struct {
		systemd int
		class   extension.Class
		ext     string
		ok      bool
	}{
		{252, extension.Sysext, "ID=ubuntu\n", true},
		{252, extension.Sysext, "ID=debian\n", false},
		{256, extension.Sysext, "ID=debian\n", false},
		{257, extension.Sysext, "ID=debian\n", true},
		{262, extension.Sysext, "ID=debian\n", true},
		{252, extension.Confext, "ID=_any\n", false},
		{254, extension.Confext, "ID=_any\n", true},
		{262, extension.Confext, "ID=ubuntu\nCONFEXT_LEVEL=3\n", true},
		{262, extension.Confext, "ID=ubuntu\nCONFEXT_LEVEL=4\n", false},
		{262, extension.Confext, "ID=ubuntu\nSYSEXT_LEVEL=4\n", true},
	} {
		host := extension.Host{OS: like, Scope: extension.System, Systemd: c.systemd}
		if ok, reason := host.Fits(c.class, release(t, c.ext)); ok != c.ok {
			t.Errorf("systemd %d, %s, %q: Fits = %t, %q, want %t", c.systemd, c.class, c.ext, ok, reason, c.ok)
		}
	}
}
