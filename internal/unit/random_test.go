package unit_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

// TestRandomUnitsLikeSystemctl compares random units, links and drop-ins.
func TestRandomUnitsLikeSystemctl(t *testing.T) {
	count := testenv.Amount(40, 400)
	for i, release := range rootfs.Releases() {
		t.Run(release.String(), func(t *testing.T) {
			random := rand.New(rand.NewPCG(uint64(i), 3))
			var cases []kase
			for n := range count {
				cases = append(cases, randomCase(random, n))
			}
			good, bad := compare(t, release, cases)
			if good < count/3 || bad < count/20 {
				t.Errorf("%d steps succeeded, %d failed: they show too little", good, bad)
			}
			t.Logf("%d steps the same, %d refused by both", good, bad)
		})
	}
}

func pick(random *rand.Rand, from ...string) string { return from[random.IntN(len(from))] }

var randomNames = []string{"a.service", "b.service", "c.socket", "t@.service", "t@i.service", "u@.service", "x.target", "m.mount", "a-b.timer"}

func randomCase(random *rand.Rand, n int) kase {
	var b strings.Builder
	seen := map[string]bool{}
	put := func(p, line string) {
		if !seen[p] {
			seen[p] = true
			b.WriteString(p + line + "\n")
		}
	}
	dir := func() string {
		return pick(random, "usr/lib/systemd/system/", "usr/lib/systemd/system/", "etc/systemd/system/", "run/systemd/system/", "usr/local/lib/systemd/system/")
	}
	for range 4 + random.IntN(8) {
		put(dir()+pick(random, randomNames...), ": "+randomInstall(random))
	}
	for range random.IntN(2) {
		put(dir()+pick(random, randomNames...), " -> "+pick(random, "", "/usr/lib/systemd/system/", "../../../opt/", "/etc/systemd/system/", "/opt/")+pick(random, randomNames...))
	}
	for range random.IntN(3) {
		put(dir()+pick(random, randomNames...)+".d/"+pick(random, "1.conf", "2.conf"), ": "+randomInstall(random))
	}
	for range random.IntN(3) {
		put("etc/systemd/system/"+pick(random, randomNames...)+pick(random, ".wants/", ".requires/")+pick(random, randomNames...), " -> "+pick(random, "../", "/usr/lib/systemd/system/")+pick(random, randomNames...))
	}
	if random.IntN(5) == 0 {
		put("opt/"+pick(random, randomNames...), ": "+randomInstall(random))
	}
	var ops []string
	for range 2 + random.IntN(4) {
		ops = append(ops, pick(random, "enable ", "enable ", "disable ", "is-enabled ")+pick(random, randomNames...))
	}
	return kase{fmt.Sprint("random ", n), b.String(), strings.Join(ops, "; ")}
}

func randomInstall(random *rand.Rand) string {
	var b strings.Builder
	b.WriteString("[Install]|")
	for range random.IntN(5) {
		key := pick(random, "WantedBy", "WantedBy", "RequiredBy", "UpheldBy", "Alias", "Also", "DefaultInstance")
		value := pick(random, append([]string{"y.target", "y.target", "v.target", "z@.target", "z@i.target", "", "%p.target", "u@%i.service", "d.service", "e.socket"}, randomNames...)...)
		if (key == "Alias" || key == "Also") && random.IntN(3) > 0 {
			value = pick(random, "d.service", "a.service", "c.socket", "u@.service")
		}
		if key == "DefaultInstance" {
			value = pick(random, "i", "d", "")
		}
		fmt.Fprintf(&b, "%s=%s|", key, value)
	}
	return b.String()
}
