//go:build linux

package mount_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/linux/mount"
)

func TestParseTable(t *testing.T) {
	const text = `36 35 98:0 /mnt1 /mnt\0402 rw,noatime shared:3 master:1 - ext3 /dev/root rw,errors=continue
40 36 0:42 / /usr ro,nodev - overlay sysext ro,lowerdir=/run/a\134:b:/usr,upperdir=/u\134,v,lowerdir+=/c\054\134d
`
	got, err := mount.ParseTable([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []mount.Mount{
		{ID: 36, Parent: 35, Dev: "98:0", Root: "/mnt1", Point: "/mnt 2", Options: "rw,noatime", Shared: 3, Master: 1, Type: "ext3", Source: "/dev/root", Super: "rw,errors=continue"},
		{ID: 40, Parent: 36, Dev: "0:42", Root: "/", Point: "/usr", Options: "ro,nodev", Type: "overlay", Source: "sysext", Super: `ro,lowerdir=/run/a\134:b:/usr,upperdir=/u\134,v,lowerdir+=/c\054\134d`},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("ParseTable (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"/run/a:b", "/usr", "/c,d"}, got[1].Lower()); d != "" {
		t.Errorf("Lower (-want +got):\n%s", d)
	}
	if got := got[1].Upper(); got != "/u,v" {
		t.Errorf("Upper() = %q, want %q", got, "/u,v")
	}
}

func TestParseTableRefuses(t *testing.T) {
	for _, text := range []string{"\n", "1 2 3:4 / / rw\n", "x 2 3:4 / / rw - ext4 a rw\n"} {
		if got, err := mount.ParseTable([]byte(text)); err == nil {
			t.Errorf("ParseTable(%q) = %v, want an error", text, got)
		}
	}
}

func FuzzParseTable(f *testing.F) {
	f.Add([]byte(`40 0 0:42 / /usr ro,nodev - overlay sysext ro,lowerdir=/run/a\134:b:/usr,upperdir=/u\134,v,lowerdir+=/c\054\134d`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := mount.ParseTable(text)
		if err != nil && list != nil {
			t.Errorf("%v and an error", list)
		}
		for _, m := range list {
			m.Lower()
			m.Upper()
		}
	})
}
