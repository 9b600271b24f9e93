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
const signedPairs = 21

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
turn() {
	local start=${EPOCHREALTIME/./} middle
	$2 merge >/dev/null 2>/run/said || { cat /run/said >&2; exit 1; }
	middle=${EPOCHREALTIME/./}
	$2 unmerge >/dev/null 2>/run/said || { cat /run/said >&2; exit 1; }
	echo "turn $1 $count $((middle - start)) $((${EPOCHREALTIME/./} - middle))"
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

// printTurns prints the medians of both programs, and the ratio.
func printTurns(b *testing.B, out string, count int) {
	b.Helper()
	ours, theirs := turnsOf(b, out, "sextant", count), turnsOf(b, out, "systemd", count)
	for i, what := range []string{"merge", "unmerge", "both"} {
		o, t := ours[i][len(ours[i])/2], theirs[i][len(theirs[i])/2]
		fmt.Printf("%d signed images, %s: sextant %v, systemd-sysext 262 %v, ratio %.2f (medians of %d pairs)\n", count, what, o, t, float64(t)/float64(o), len(ours[i]))
		if what == "both" {
			b.ReportMetric(float64(t)/float64(o), fmt.Sprintf("ratio-%d", count))
		}
	}
}

// turnsOf returns what the turns of a program took, in order, but for the first:
// merge, unmerge and both.
func turnsOf(b *testing.B, out, program string, count int) (took [3][]time.Duration) {
	b.Helper()
	for line := range strings.Lines(out) {
		var merge, unmerge time.Duration
		if n, _ := fmt.Sscanf(line, fmt.Sprintf("turn %s %d %%d %%d", program, count), &merge, &unmerge); n < 2 {
			continue
		}
		for i, d := range []time.Duration{merge, unmerge, merge + unmerge} {
			took[i] = append(took[i], d*time.Microsecond)
		}
	}
	for i := range took {
		if len(took[i]) < 2 {
			b.Fatalf("%d turns of %s with %d images:\n%s", len(took[i]), program, count, out)
		}
		took[i] = took[i][1:]
		slices.Sort(took[i])
	}
	return took
}
