package fstab_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/fstab"
	"sextant/internal/testenv"
)

const text = `# a comment
UUID=0a3407de-014b-458b-b5c1-848e92a327a3 / ext4 defaults 0 1
PARTUUID="1234-02"	/boot/efi	vfat	umask=0077	0	2

   # indented
LABEL=with\040space /srv/a\040b// xfs rw,noatime
/dev/disk/by-label/x /home/ auto noauto,x-systemd.automount 0 0
overlay /etc overlay lowerdir=/etc,upperdir=/var/u,workdir=/var/w,x-systemd.requires=/var,x-systemd.requires=/srv 0 0
tmpfs /tmp tmpfs
swap
/dev/sda5 none swap sw 0 0
`

// row is what findmnt shows of a line.
type row struct{ Source, Target, FSType, Options string }

// TestLikeFindmnt compares with libmount.
func TestLikeFindmnt(t *testing.T) {
	testenv.Require(t, "findmnt")
	path := filepath.Join(t.TempDir(), "fstab")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("findmnt", "--fstab", "--tab-file", path, "--json", "--list", "-o", "SOURCE,TARGET,FSTYPE,OPTIONS").Output()
	if err != nil {
		t.Fatal(err)
	}
	var shown struct{ Filesystems []row }
	if err := json.Unmarshal(out, &shown); err != nil {
		t.Fatal(err)
	}
	var got []row
	for _, e := range fstab.Parse(text) {
		got = append(got, row{e.Source, e.Target, e.Type, strings.Join(e.Options, ",")})
	}
	var want []row
	for _, r := range shown.Filesystems {
		r.Source = strings.ReplaceAll(r.Source, `"`, "")
		if strings.HasPrefix(r.Target, "/") {
			r.Target = filepath.Clean(r.Target)
		}
		want = append(want, r)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Parse (-findmnt +got):\n%s", diff)
	}
}

func TestOption(t *testing.T) {
	e := fstab.Parse(text)[4]
	if got := e.OptionValues("x-systemd.requires"); !cmp.Equal(got, []string{"/var", "/srv"}) {
		t.Errorf("OptionValues = %q", got)
	}
	if v, ok := e.Option("upperdir"); v != "/var/u" || !ok {
		t.Errorf("Option(upperdir) = %q, %v", v, ok)
	}
	if _, ok := e.Option("ro"); ok {
		t.Error("Option(ro) is there")
	}
}

// TestRoundTrip writes lines that read back as they were.
func TestRoundTrip(t *testing.T) {
	for _, e := range fstab.Parse(text) {
		back := fstab.Parse(e.String())
		if len(back) != 1 {
			t.Fatalf("Parse(%q) has %d entries", e.String(), len(back))
		}
		e.Line = 1
		if len(e.Options) == 0 {
			e.Options = []string{"defaults"}
		}
		if diff := cmp.Diff(e, back[0]); diff != "" {
			t.Errorf("%q (-want +got):\n%s", e.String(), diff)
		}
	}
}
