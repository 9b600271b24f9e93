package policy_test

import (
	"errors"
	"strings"
	"testing"

	"sextant/internal/dps"
	"sextant/internal/fault"
	"sextant/internal/policy"
)

// partitions makes an image as systemd-repart does: verity partitions carry
// the read-only flag, plain ones growfs.
func partitions(names ...dps.Designator) []policy.Partition {
	var list []policy.Partition
	for _, d := range names {
		list = append(list, policy.Partition{Designator: d, ReadOnly: len(names) > 1, GrowFS: len(names) == 1})
	}
	return list
}

func names(list []policy.Partition) string {
	var words []string
	for _, p := range list {
		words = append(words, string(p.Designator))
	}
	return strings.Join(words, " ")
}

// The answers are those of systemd-dissect --validate of 257.13 and 262.1 for
// images that systemd-repart made; "" is "does not match image policy", and
// "nothing" is "no suitable partitions".
func TestJudge(t *testing.T) {
	const refused, nothing = "", "nothing"
	plain := partitions("root")
	verity := partitions("root", "root-verity")
	signed := partitions("root", "root-verity", "root-verity-sig")
	const two, three = "root root-verity", "root root-verity root-verity-sig"
	for _, c := range []struct {
		policy       string
		image        []policy.Partition
		in257, in262 string
	}{
		{"root=unprotected", plain, "root", "root"},
		{"root=verity", plain, refused, refused},
		{"root=signed", plain, refused, refused},
		{"root=verity+signed", plain, refused, refused},
		{"root=unused", plain, nothing, nothing},
		{"root=absent", plain, refused, refused},
		{"root=encrypted+unprotected", plain, "root", "root"},
		{"root=unprotected", verity, "root", "root"},
		{"root=verity", verity, two, two},
		{"root=signed", verity, refused, refused},
		{"root=verity+signed", verity, refused, refused},
		{"root=signed:root-verity-sig=open", verity, refused, refused},
		{"root=verity:root-verity-sig=absent+unprotected", verity, two, two},
		{"root=verity+read-only-off", verity, refused, refused},
		{"root=encrypted:root-verity=unprotected", verity, refused, refused},
		{"root=encrypted", verity, refused, refused},
		{"root=unprotected:root-verity=unprotected", verity, refused, two},
		{"root=unprotected:root-verity=unprotected+read-only-off", verity, refused, refused},
		{"root=unprotected", signed, "root", "root"},
		{"root=verity", signed, two, two},
		{"root=signed", signed, three, three},
		{"root=verity+signed", signed, three, three},
		{"root=signed:root-verity-sig=absent", signed, refused, refused},
		{"root=signed:root-verity-sig=open", signed, three, three},
		{"root=verity:root-verity-sig=absent+unprotected", signed, refused, three},
		{"root=unprotected:root-verity=unprotected", signed, refused, two},
		{"root=unprotected:root-verity=unprotected:root-verity-sig=unprotected", signed, refused, three},
		{"root=verity:root-verity=unprotected:root-verity-sig=unprotected", signed, refused, three},
		{"root=unused", signed, nothing, nothing},
		{"root=absent", signed, refused, refused},
	} {
		for release, want := range map[int]string{257: c.in257, 262: c.in262} {
			used, err := mustParse(t, c.policy).Judge(c.image, release)
			got := names(used)
			if err == nil && got == "" {
				got = nothing
			}
			if got != want || (want == refused) != errors.Is(err, fault.ErrUntrusted) {
				t.Errorf("%s for %s in %d: Judge = %q, %v, want %q", c.policy, names(c.image), release, got, err, want)
			}
		}
	}
}

func TestJudgeEncryption(t *testing.T) {
	for _, c := range []struct {
		policy     string
		encryption policy.Encryption
		ok         bool
	}{
		{"root=encrypted", policy.LUKS, true},
		{"root=encrypted", policy.Plain, false},
		{"root=unprotected", policy.LUKS, false},
		{"root=encryptedwithintegrity", policy.LUKS, false},
		{"root=encryptedwithintegrity", policy.LUKSIntegrity, true},
	} {
		image := []policy.Partition{{Designator: "root", Encryption: c.encryption}}
		if _, err := mustParse(t, c.policy).Judge(image, 262); (err == nil) != c.ok {
			t.Errorf("%s with encryption %d: Judge = %v, want ok %t", c.policy, c.encryption, err, c.ok)
		}
		if _, err := mustParse(t, c.policy).JudgeBare(policy.Bare{Encryption: c.encryption}); (err == nil) != c.ok {
			t.Errorf("%s with encryption %d: JudgeBare = %v, want ok %t", c.policy, c.encryption, err, c.ok)
		}
	}
}

// The answers are those of systemd-dissect --validate of both releases for a
// file system image with a root hash beside it.
func TestJudgeBare(t *testing.T) {
	plain, verity := policy.Bare{}, policy.Bare{RootHash: true}
	signed := policy.Bare{RootHash: true, Signature: true}
	for _, c := range []struct {
		policy string
		image  policy.Bare
		used   bool
		ok     bool
	}{
		{"root=unprotected", plain, true, true},
		{"root=verity", plain, false, false},
		{"root=unprotected", verity, false, false},
		{"root=verity", verity, true, true},
		{"root=signed", verity, false, false},
		{"root=verity+signed", verity, true, true},
		{"root=unprotected", signed, false, false},
		{"root=verity", signed, false, false},
		{"root=signed", signed, true, true},
		{"root=verity+signed", signed, true, true},
		{"root=verity+read-only-on", verity, false, false},
		{"root=verity+growfs-on", verity, false, false},
		{"root=ignore", verity, false, true},
		{"root=absent", verity, false, false},
	} {
		used, err := mustParse(t, c.policy).JudgeBare(c.image)
		if used != c.used || (err == nil) != c.ok {
			t.Errorf("%s for %+v: JudgeBare = %t, %v, want %t, ok %t", c.policy, c.image, used, err, c.used, c.ok)
		}
	}
}
