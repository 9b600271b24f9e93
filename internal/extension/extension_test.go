package extension_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/extension"
	"sextant/internal/fault"
)

func TestParseRelease(t *testing.T) {
	for _, c := range []struct{ in, key, want string }{
		{"ID=debian\n", "ID", "debian"},
		{"ID=debian", "ID", "debian"},
		{"  ID = debian  \n", "ID", "debian"},
		{"ID=\"a b\" \n", "ID", "a b"},
		{"ID=\"a b\"c d \n", "ID", "a bc d"},
		{"ID='a\"b'\"c'd\"\n", "ID", "a\"bc'd"},
		{"ID=a'b\n", "ID", "a'b"},
		{"ID=\"a\\\"b\\x\"\n", "ID", "a\"b\\x"},
		{"ID=a\\\nb\n", "ID", "ab"},
		{"ID=a\\ \n", "ID", "a "},
		{"ID=one\nID=two\n", "ID", "two"},
		{"#ID=no\n;ID=no\nID=yes\n", "ID", "yes"},
		{"ID=a # b\n", "ID", "a # b"},
		{"noise\nID=yes\r\n", "ID", "yes"},
		{"ID=\n", "ID", ""},
		{"ID=a\x00\nID=b\n", "ID", "a"},
	} {
		r, err := extension.ParseRelease([]byte(c.in))
		if err != nil {
			t.Errorf("ParseRelease(%q): %v", c.in, err)
		}
		if got, ok := r.Lookup(c.key); got != c.want || !ok {
			t.Errorf("ParseRelease(%q).Lookup(%s) = %q, %t, want %q", c.in, c.key, got, ok, c.want)
		}
	}
}

func TestParseReleaseRefuses(t *testing.T) {
	for _, in := range []string{"1D=x\n", "A-B=x\n", "=x\n", "ID=\xff\n"} {
		if _, err := extension.ParseRelease([]byte(in)); !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("ParseRelease(%q) = %v, want ErrCorrupt", in, err)
		}
	}
}

func FuzzParseRelease(f *testing.F) {
	f.Add([]byte("ID=\"a\\\"b\"'c' d\n#x\\\nVERSION_ID=1"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := extension.ParseRelease(in)
		if err != nil && r != nil {
			t.Errorf("ParseRelease = %v with error %v, want nil", r, err)
		}
	})
}

func TestComposeRelease(t *testing.T) {
	id := extension.Identity{Class: extension.Sysext, ID: "custom-tools", Version: "1.0.0", Architecture: "x86-64"}
	debian := extension.Release{{Key: "ID", Value: "debian"}, {Key: "VERSION_ID", Value: "13"}, {Key: "SYSEXT_LEVEL", Value: "2"}}
	const tail = "SYSEXT_SCOPE=initrd system portable\nARCHITECTURE=x86-64\n"
	for _, c := range []struct {
		name, user string
		os         extension.Release
		want       string
	}{
		{"nothing known", "", nil, "ID=_any\nSYSEXT_ID=custom-tools\nSYSEXT_VERSION_ID=1.0.0\n" + tail},
		{"os-release in the tree", "", debian, "ID=debian\nSYSEXT_LEVEL=2\nVERSION_ID=13\nSYSEXT_ID=custom-tools\nSYSEXT_VERSION_ID=1.0.0\n" + tail},
		{"the user's keys win", "# mine\nID=\"fedora\"\nVERSION_ID=40", debian,
			"# mine\nID=\"fedora\"\nVERSION_ID=40\nSYSEXT_LEVEL=2\nSYSEXT_ID=custom-tools\nSYSEXT_VERSION_ID=1.0.0\n" + tail},
	} {
		got, err := extension.ComposeRelease(id, []byte(c.user), c.os)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s: ComposeRelease (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestCheckRelease(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"ID=_any\n", ""},
		{"ID=debian\nARCHITECTURE=x86-64\nSYSEXT_SCOPE=system\n", ""},
		{"ID=\n", "ID is empty"},
		{"", "ID is empty"},
		{"ID=a\nARCHITECTURE=arm64\n", "built for x86-64"},
		{"ID=a\nSYSEXT_SCOPE=\n", "merge nowhere"},
		{"ID=a\nSYSEXT_SCOPE=sytem\n", "none of system"},
	} {
		r, err := extension.ParseRelease([]byte(c.in))
		if err != nil {
			t.Fatal(err)
		}
		err = extension.CheckRelease(extension.Sysext, r, "x86-64")
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("CheckRelease(%q) = %v, want %q", c.in, err, c.want)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"custom-tools", "a_1.0+x", "ü", strings.Repeat("n", 237)} {
		if err := extension.CheckName(name); err != nil {
			t.Errorf("CheckName(%q) = %v, want nil", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", "a\nb", "\xff", ".#x", ".sysupdate.x", strings.Repeat("n", 238)} {
		if err := extension.CheckName(name); err == nil {
			t.Errorf("CheckName(%q) = nil, want an error", name)
		}
	}
}
