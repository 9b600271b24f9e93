package acceptance_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sextant/internal/vmtest"
	"sextant/internal/vmtest/rootfs"
)

// signedPairs is how often each program merges and unmerges, in turn.
const signedPairs = 15

// signedTurns has both programs merge and unmerge the same signed images in
// turn. The clock is that of the machine; it stops while the kernel and udev
// clear away what the last one left.
const signedTurns = `
pairs=$1
mkdir -p /root/sextant /var/lib/extensions
ln -sf /usr/bin/sextant /root/sextant/systemd-sysext
settle() {
	for _ in $(seq 100); do
		[ -n "$(cat /sys/block/loop*/loop/backing_file /sys/block/dm-*/dm/name 2>/dev/null)" ] || break
		sleep 0.1
	done
	udevadm settle
}
TIMEFORMAT='%R %U %S'
turn() {
	local verb
	for verb in merge unmerge; do
		{ time $2 $verb >/dev/null 2>/run/said; } 2>/run/time || { cat /run/said >&2; exit 1; }
		echo "turn $1 $count $verb $(cat /run/time)"
	done
	settle
}
for count in 1 10; do
	rm -f /var/lib/extensions/*
	for i in $(seq "$count"); do ln -s /root/images/e$i.raw /var/lib/extensions/; done
	for _ in $(seq 0 "$pairs"); do
		turn systemd systemd-sysext
		turn sextant /root/sextant/systemd-sysext
	done
done
`

// BenchmarkSignedMerge times both programs in a machine with sid: the host may
// have no device mapper. Each merges and unmerges 1 and 10 signed images, which
// a certificate in verity.d vouches for, in turn; the first turns do not count.
//
//	go test ./internal/acceptance -run - -bench SignedMerge
func BenchmarkSignedMerge(b *testing.B) {
	vm := vmtest.New(b, rootfs.Sid())
	vm.Timeout = 40 * time.Minute
	// Without this a wait for all processors to leave what they read ends early.
	vm.KernelArgs("rcupdate.rcu_expedited=0")
	vm.CopyIn(released(b), "/usr/bin/sextant")
	dir := example(b)
	vm.CopyIn(filepath.Join(dir, "verity_cert.crt"), "/etc/verity.d/verity_cert.crt")
	for i := range 10 {
		name := fmt.Sprintf("e%d", i+1)
		sextant(b, dir, "build", "--image-id="+name, "--image-version=")
		vm.CopyIn(filepath.Join(dir, "mkosi.output", name+".raw"), "/root/images/"+name+".raw")
	}
	var out string
	for b.Loop() {
		out = vm.MustRun(strings.Replace(signedTurns, "$1", fmt.Sprint(signedPairs), 1)).Stdout
	}
	for _, count := range []int{1, 10} {
		printTurns(b, out, count)
	}
}

// spent is what one act took.
type spent struct{ wall, cpu time.Duration }

// printTurns prints the medians of both programs, and the ratio.
func printTurns(b *testing.B, out string, count int) {
	b.Helper()
	ours, theirs := turnsOf(b, out, "sextant", count), turnsOf(b, out, "systemd", count)
	for _, what := range []string{"merge", "unmerge", "both"} {
		o, t := middle(ours[what]), middle(theirs[what])
		ratio := float64(t.wall) / float64(o.wall)
		fmt.Printf("%d signed images, %s: sextant %v (processor %v), systemd-sysext 262 %v (%v), ratio %.2f (medians of %d pairs)\n",
			count, what, o.wall, o.cpu, t.wall, t.cpu, ratio, len(ours[what]))
		if what == "both" {
			b.ReportMetric(ratio, fmt.Sprintf("ratio-%d", count))
		}
	}
}

// middle returns the median of each figure.
func middle(list []spent) spent {
	var walls, cpus []time.Duration
	for _, s := range list {
		walls, cpus = append(walls, s.wall), append(cpus, s.cpu)
	}
	slices.Sort(walls)
	slices.Sort(cpus)
	return spent{walls[len(walls)/2], cpus[len(cpus)/2]}
}

// turnsOf returns what the turns of a program took but for the first: merge,
// unmerge and both.
func turnsOf(b *testing.B, out, program string, count int) map[string][]spent {
	b.Helper()
	turns := make(map[string][]spent)
	for line := range strings.Lines(out) {
		var verb string
		var wall, user, system float64
		if n, _ := fmt.Sscanf(line, fmt.Sprintf("turn %s %d %%s %%g %%g %%g", program, count), &verb, &wall, &user, &system); n == 4 {
			turns[verb] = append(turns[verb], spent{seconds(wall), seconds(user + system)})
		}
	}
	if len(turns["merge"]) < 2 || len(turns["merge"]) != len(turns["unmerge"]) {
		b.Fatalf("turns of %s with %d images: %v\n%s", program, count, turns, out)
	}
	turns["merge"], turns["unmerge"] = turns["merge"][1:], turns["unmerge"][1:]
	for i, m := range turns["merge"] {
		u := turns["unmerge"][i]
		turns["both"] = append(turns["both"], spent{m.wall + u.wall, m.cpu + u.cpu})
	}
	return turns
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond)
}
