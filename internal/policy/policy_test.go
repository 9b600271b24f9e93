package policy_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/dps"
	"sextant/internal/policy"
)

func mustParse(t *testing.T, text string) policy.Policy {
	t.Helper()
	p, err := policy.Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return p
}

// effect lists what a policy allows, as the test program of systemd prints it.
type effect map[dps.Designator]string

func effectOf(p policy.Policy) effect {
	e := effect{"": p.Others().String()}
	for _, d := range policy.Designators() {
		e[d] = p.For(d).String()
	}
	return e
}

// all returns the effect of one rule for all partitions.
func all(rule, others, verity string) effect {
	e := effect{"": rule}
	for _, d := range policy.Designators() {
		switch d {
		case dps.Root, dps.Usr:
			e[d] = rule
		case dps.RootVerity, dps.UsrVerity, dps.RootVeritySig, dps.UsrVeritySig:
			e[d] = verity
		default:
			e[d] = others
		}
	}
	return e
}

func (e effect) but(changes effect) effect {
	for d, v := range changes {
		e[d] = v
	}
	return e
}

const (
	most = "encrypted+encryptedwithintegrity+unprotected+unused+absent"
	data = "verity+signed+encrypted+encryptedwithintegrity+unprotected+absent"
)

// The tables are what test-image-policy of systemd 262.1 prints.
func TestEffect(t *testing.T) {
	ignore := func() effect { return all("ignore", "ignore", "ignore") }
	derived := func(rule, follows string, of ...dps.Designator) effect {
		e := ignore()
		for _, d := range of {
			e[d], e[d+"-verity"], e[d+"-verity-sig"] = rule, follows, follows
		}
		return e
	}
	for _, c := range []struct {
		name   string
		policy policy.Policy
		short  string
		want   effect
	}{
		{"allow", policy.Allow(), "*", all("open", most, "unprotected+unused+absent")},
		{"zero", policy.Policy{}, "*", all("open", most, "unprotected+unused+absent").but(effect{"": "-"})},
		{"ignore", policy.IgnoreAll(), "-", ignore()},
		{"deny", policy.Deny(), "~", all("absent", "absent", "absent")},
		{"sysext", policy.Sysext(), "root=" + data + ":usr=" + data, derived(data, "unprotected+absent", "root", "usr")},
		{"sysext strict", policy.SysextStrict(), "root=signed+absent:usr=signed+absent", derived("signed+absent", "unprotected+absent", "root", "usr")},
		{"confext", policy.Confext(), "root=" + data, derived(data, "unprotected+absent", "root")},
		{"confext strict", policy.ConfextStrict(), "root=signed+absent", derived("signed+absent", "unprotected+absent", "root")},
		{"empty", mustParse(t, ""), "-", ignore()},
		{"default only", mustParse(t, "=-"), "*", all("open", most, "unprotected+unused+absent").but(effect{"": "-"})},
		{"nothing after =", mustParse(t, "="), "*", all("open", most, "unprotected+unused+absent").but(effect{"": "-"})},
		{"swap", mustParse(t, "swap=open"), "swap=open", ignore().but(effect{"swap": most})},
		{"sorted", mustParse(t, "swap=open:root=signed"), "root=signed:swap=open",
			ignore().but(effect{"swap": most, "root": "signed", "root-verity": "unprotected", "root-verity-sig": "unprotected"})},
		{"flags are handed down", mustParse(t, "swap=open:root=signed+read-only-on+growfs-off:=absent"), "root=signed+read-only-on+growfs-off:swap=open:=absent",
			all("absent", "absent", "absent").but(effect{
				"swap": most, "root": "signed+read-only-on+growfs-off",
				"root-verity": "unprotected+read-only-on+growfs-off", "root-verity-sig": "unprotected+read-only-on+growfs-off",
			})},
		{"file systems", mustParse(t, "root=ext4+squashfs+verity"), "root=verity+ext4+squashfs",
			ignore().but(effect{"root": "verity+ext4+squashfs", "root-verity": "unprotected"})},
		{"encrypted usr", mustParse(t, "usr=encrypted+erofs+read-only-off"), "usr=encrypted+read-only-off+erofs",
			ignore().but(effect{"usr": "encrypted+read-only-off+erofs"})},
		{"file systems for all", mustParse(t, "=vfat+erofs"), "=erofs+vfat",
			all("open+erofs+vfat", most+"+erofs+vfat", "unprotected+unused+absent+erofs+vfat").but(effect{"": "erofs+vfat"})},
	} {
		if got := c.policy.String(); got != c.short {
			t.Errorf("%s: String() = %q, want %q", c.name, got, c.short)
		}
		if diff := cmp.Diff(c.want, effectOf(c.policy)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if _, err := policy.Parse(c.policy.Long()); err != nil {
			t.Errorf("%s: Parse(Long()): %v", c.name, err)
		} else if got := mustParse(t, c.policy.Long()).Long(); got != c.policy.Long() {
			t.Errorf("%s: Long() = %q, read back %q", c.name, c.policy.Long(), got)
		}
		if !mustParse(t, c.short).Equivalent(c.policy) {
			t.Errorf("%s: %q does not read back as an equivalent policy", c.name, c.short)
		}
	}
}

// The lines are what systemd-analyze image-policy of 262.1 answers.
func TestParse(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"*", "*"},
		{"~", "~"},
		{"=absent", "~"},
		{"=open", "*"},
		{"=verity+signed+encrypted+encryptedwithintegrity+unprotected+unused+absent", "*"},
		{"=signed+verity+encrypted+encryptedwithintegrity+unused+unprotected+absent", "*"},
		{"=ignore", "-"},
		{"=absent+unused", "-"},
		{"root=ignore:=ignore", "-"},
		{" root = verity + signed : usr=-", "root=verity+signed:usr=-"},
		{`ro\ot=verity`, "root=verity"},
		{`root\=verity`, "root=verity"},
		{"root=ignore+signed", "root=signed+unused+absent"},
		{"root=open+ignore", "root=open"},
		{"root-verity=signed", "root-verity=signed"},
		{"swap=absent+read-only-on", "swap=absent+read-only-on"},
		{"tmp=growfs-on+growfs-off+read-only-on", "tmp=read-only-on"},
		{"root=verity+ext4+xfs+f2fs+vfat+squashfs+erofs+btrfs", "root=verity+btrfs+erofs+ext4+f2fs+squashfs+vfat+xfs"},
		{"root=absent+ext4", "root=absent+ext4"},
		{"=verity:root=verity", "root=verity:=verity"},
		{"=absent:root=absent", "~"},
		{"=ignore:root=unused+absent+growfs-on", "root=ignore+growfs-on"},
	} {
		if got := mustParse(t, c.in).String(); got != c.want {
			t.Errorf("Parse(%q).String() = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		in   string
		want error
	}{
		{"pfft", policy.ErrSyntax},
		{"öäüß", policy.ErrSyntax},
		{":", policy.ErrSyntax},
		{" *", policy.ErrSyntax},
		{"root=verity:", policy.ErrSyntax},
		{":root=verity", policy.ErrSyntax},
		{"root=verity::usr=signed", policy.ErrSyntax},
		{"root=verity:usr", policy.ErrSyntax},
		{`root=verity\`, policy.ErrSyntax},
		{"a=", policy.ErrDesignator},
		{"wowza=grbl", policy.ErrDesignator},
		{"Root=verity", policy.ErrDesignator},
		{`"root"=verity`, policy.ErrDesignator},
		{"=a", policy.ErrFlag},
		{"==", policy.ErrFlag},
		{"root=grbl", policy.ErrFlag},
		{"root=verity+", policy.ErrFlag},
		{"root=+verity", policy.ErrFlag},
		{"root=verity+-", policy.ErrFlag},
		{"root=verity=signed", policy.ErrFlag},
		{`root=ro\ot`, policy.ErrFlag},
		{"root=verity:root=encrypted", policy.ErrTwice},
		{"=verity:=", policy.ErrTwice},
	} {
		if p, err := policy.Parse(c.in); !errors.Is(err, c.want) {
			t.Errorf("Parse(%q) = %v, %v, want %v", c.in, p, err, c.want)
		}
	}
}

func TestParseSetting(t *testing.T) {
	for _, c := range []struct {
		in, want string
		over     []string
		err      error
	}{
		{"root=verity+future:future=signed:usr=signed", "root=verity:usr=signed", []string{"root=future", "future=…"}, nil},
		{"a=", "-", []string{"a=…"}, nil},
		{"=a", "*", []string{"=a"}, nil},
		{"==", "*", []string{"=="}, nil},
		{"pfft", "", nil, policy.ErrSyntax},
		{":", "", nil, policy.ErrSyntax},
		{"root=verity:root=encrypted", "", nil, policy.ErrTwice},
	} {
		p, over, err := policy.ParseSetting(c.in)
		if !errors.Is(err, c.err) || err == nil && p.String() != c.want {
			t.Errorf("ParseSetting(%q) = %v, %v, want %s, %v", c.in, p, err, c.want, c.err)
		}
		if diff := cmp.Diff(c.over, over); diff != "" {
			t.Errorf("ParseSetting(%q) passed over (-want +got):\n%s", c.in, diff)
		}
	}
}

func TestExtend(t *testing.T) {
	const readOnly, growFS = policy.ReadOnlyOn | policy.ReadOnlyOff, policy.GrowFSOn | policy.GrowFSOff
	for _, c := range []struct{ in, want policy.Flags }{
		{0, policy.Open | readOnly | growFS},
		{policy.Open | readOnly | growFS, policy.Open | readOnly | growFS},
		{policy.Unprotected, policy.Unprotected | readOnly | growFS},
		{policy.Unprotected | policy.ReadOnlyOn, policy.Unprotected | policy.ReadOnlyOn | growFS},
		{policy.Unprotected | policy.ReadOnlyOn | policy.GrowFSOff, policy.Unprotected | policy.ReadOnlyOn | policy.GrowFSOff},
		{policy.GrowFSOn, policy.GrowFSOn | policy.Open | readOnly},
	} {
		if got := c.in.Extend(); got != c.want {
			t.Errorf("(%s).Extend() = %s, want %s", c.in.Long(), got.Long(), c.want.Long())
		}
	}
}

func TestIntersect(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"", "", ""},
		{"-", "-", "-"},
		{"*", "*", "*"},
		{"~", "~", "~"},
		{"root=verity+signed", "root=signed+verity", "root=verity+signed"},
		{"root=verity+signed", "root=signed", "root=signed"},
		{"root=verity+signed", "root=verity", "root=verity"},
		{"root=open", "root=verity", "root=verity"},
		{"root=open", "=verity+ignore", "root=verity+ignore:=ignore"},
		{"root=open:usr=absent", "root=open:usr=absent", "root=open:usr=absent"},
	} {
		got, err := mustParse(t, c.a).Intersect(mustParse(t, c.b))
		if err != nil || !got.Equivalent(mustParse(t, c.want)) {
			t.Errorf("%q.Intersect(%q) = %q, %v, want %q", c.a, c.b, got, err, c.want)
		}
	}
	for _, c := range []struct{ a, b string }{
		{"=absent", "=signed"},
		{"root=absent", "root=encrypted"},
		{"root=read-only-on", "root=read-only-off"},
	} {
		if got, err := mustParse(t, c.a).Intersect(mustParse(t, c.b)); !errors.Is(err, policy.ErrImpossible) {
			t.Errorf("%q.Intersect(%q) = %q, %v, want ErrImpossible", c.a, c.b, got, err)
		}
	}
}

func TestUnion(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"root=verity+signed", "root=signed+verity", "root=verity+signed"},
		{"root=verity+signed", "root=signed", "root=verity+signed"},
		{"root=verity+signed", "root=verity", "root=verity+signed"},
		{"root=signed", "root=verity", "root=verity+signed"},
		{"root=signed:=absent", "root=verity:=unused", "root=verity+signed"},
		{"root=open", "root=verity", "root=open"},
		{"root=open", "=verity+ignore", "root=open:=verity+ignore"},
		{"root=open:usr=absent", "root=open:usr=absent", "root=open:usr=absent"},
		{"*", "~", "*"},
	} {
		if got := mustParse(t, c.a).Union(mustParse(t, c.b)); !got.Equivalent(mustParse(t, c.want)) {
			t.Errorf("%q.Union(%q) = %q, want %q", c.a, c.b, got, c.want)
		}
	}
}

func TestIgnoring(t *testing.T) {
	for _, c := range []struct {
		in   string
		list []dps.Designator
		want string
	}{
		{"-", nil, "-"},
		{"-", []dps.Designator{"root"}, "-"},
		{"*", []dps.Designator{"root"}, "root=ignore:=open"},
		{"*", []dps.Designator{"root", "usr"}, "root=ignore:usr=ignore:=open"},
		{"~", []dps.Designator{"var", "esp", "var"}, "esp=ignore:var=ignore:=absent"},
	} {
		in := mustParse(t, c.in)
		if got := in.Ignoring(c.list...); got.String() != mustParse(t, c.want).String() {
			t.Errorf("%q.Ignoring(%v) = %q, want %q", c.in, c.list, got, c.want)
		}
		if in.String() != mustParse(t, c.in).String() {
			t.Errorf("%q.Ignoring(%v) changed the policy to %q", c.in, c.list, in)
		}
	}
}

func TestSince(t *testing.T) {
	for in, want := range map[string]int{
		"*": 254, "root=open": 254, "root=verity+read-only-on": 254,
		"root=erofs": 260, "root=encryptedwithintegrity": 260, "=verity+vfat": 260,
	} {
		if got := mustParse(t, in).Since(); got != want {
			t.Errorf("Parse(%q).Since() = %d, want %d", in, got, want)
		}
	}
	if got := policy.Sysext().Since(); got != 254 {
		t.Errorf("Sysext().Since() = %d, want 254", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"*", "root=verity+signed:usr=ext4:=ignore", `a\:b=c\`, "=absent:swap=growfs-on", "root=:root="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := policy.Parse(text)
		if err != nil {
			if lenient, over, err := policy.ParseSetting(text); err == nil && len(over) == 0 {
				t.Errorf("Parse(%q) fails, ParseSetting gives %q and passes nothing over", text, lenient)
			}
			return
		}
		for _, form := range []string{p.String(), p.Long()} {
			again, err := policy.Parse(form)
			if err != nil || !again.Equivalent(p) {
				t.Errorf("Parse(%q) prints %q, which reads back as %q, %v", text, form, again, err)
			}
		}
		if both, err := p.Intersect(p); err != nil || !both.Equivalent(p) {
			t.Errorf("%q intersected with itself is %q, %v", p, both, err)
		}
		if either := p.Union(p); !either.Equivalent(p) {
			t.Errorf("%q united with itself is %q", p, either)
		}
	})
}
