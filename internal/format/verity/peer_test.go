package verity_test

import (
	"context"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sextant/internal/format/verity"
	"sextant/internal/testenv"
)

var peerMiB = flag.Int64("peer-mib", 256, "size of the data for BenchmarkPeer, in MiB")

// BenchmarkPeer times us and veritysetup in turn on the same file, and reports
// how many times faster we are:
//
//	go test -run=- -bench=Peer -benchtime=5x ./internal/format/verity -peer-mib=1024
//
// It counts the whole run of veritysetup, which takes 10 ms to start.
func BenchmarkPeer(b *testing.B) {
	testenv.Require(b, "veritysetup")
	dir := b.TempDir()
	name := filepath.Join(dir, "data")
	data, p := benchmarkData(*peerMiB<<20, verity.SHA256)
	if err := os.WriteFile(name, data, 0o644); err != nil {
		b.Fatal(err)
	}
	args := append([]string{"format", name, filepath.Join(dir, "theirs")}, options(p)...)
	b.SetBytes(p.DataSize())
	var ours, theirs time.Duration
	for b.Loop() {
		start := time.Now()
		root, err := verity.Build(context.Background(), openFile(b, filepath.Join(dir, "ours")), openFile(b, name), p)
		if err != nil {
			b.Fatal(err)
		}
		ours += time.Since(start)

		b.StopTimer()
		start = time.Now()
		if want := veritysetup(b, args...); hex.EncodeToString(root) != want {
			b.Fatalf("Build = %x, veritysetup has %s", root, want)
		}
		theirs += time.Since(start)
		b.StartTimer()
	}
	b.ReportMetric(float64(theirs)/float64(ours), "times-veritysetup")
}
