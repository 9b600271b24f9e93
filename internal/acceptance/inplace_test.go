package acceptance_test

import (
	"bytes"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sextant/internal/customize"
	"sextant/internal/testenv"
)

// TestInPlaceKilled kills a customization in place at one moment after the
// other. The image, once what was begun is ended, is the old or the new one.
func TestInPlaceKilled(t *testing.T) {
	testenv.Require(t, "mke2fs", "e2fsck")
	dir := t.TempDir()
	base := filepath.Join(dir, "base")
	for _, name := range []string{"etc", "usr/lib", "var"} {
		if err := os.MkdirAll(filepath.Join(base, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	old := filepath.Join(dir, "old.raw")
	if out, err := exec.Command("mke2fs", "-q", "-t", "ext4", "-d", base, old, "48M").CombinedOutput(); err != nil {
		t.Fatalf("mke2fs: %v\n%s", err, out)
	}
	writeFile(t, filepath.Join(dir, "blob"), bytes.Repeat([]byte("the sextant measures angles\n"), 300_000))
	writeFile(t, filepath.Join(dir, "config.yaml"), []byte("os:\n  additionalFiles:\n  - {source: blob, destination: /usr/lib/a}\n  - {source: blob, destination: /usr/lib/b}\n"))
	oldSum := sha256.Sum256(readFile(t, old))
	image := filepath.Join(dir, "image.raw")
	start := time.Now()
	changeInPlace(t, dir, old, image, 0)
	whole := time.Since(start)
	newSum := sha256.Sum256(readFile(t, image))
	if newSum == oldSum {
		t.Fatal("the change changes nothing")
	}
	const tries = 16
	seen := map[string]int{}
	for i := range tries {
		changeInPlace(t, dir, old, image, whole*time.Duration(i+1)/tries)
		begun := customize.Interrupted(image)
		if _, err := customize.Recover(image); err != nil {
			t.Fatal(err)
		}
		switch sha256.Sum256(readFile(t, image)) {
		case oldSum:
			seen["old"]++
		case newSum:
			seen["new"]++
		default:
			t.Fatalf("killed after %s (log was there: %v): the image is neither the old nor the new one", whole*time.Duration(i+1)/tries, begun)
		}
		if customize.Interrupted(image) {
			t.Fatal("the log is still there")
		}
	}
	t.Logf("%d tries: %v", tries, seen)
	if seen["old"] == 0 {
		t.Error("no try was killed before the change counted")
	}
	if out, err := exec.Command("e2fsck", "-fn", image).CombinedOutput(); err != nil {
		t.Errorf("e2fsck: %v\n%s", err, out)
	}
}

// changeInPlace customizes a copy of the old image in place, and kills the
// program after a while, if that is not 0.
func changeInPlace(t *testing.T, dir, old, image string, while time.Duration) {
	t.Helper()
	shell(t, `cp --sparse=always "$FROM" "$TO"`, "FROM="+old, "TO="+image)
	cmd := program(dir, "customize", "--image-file", image, "--config-file", "config.yaml", "--in-place")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if while > 0 {
		timer := time.AfterFunc(while, func() { cmd.Process.Kill() })
		defer timer.Stop()
		cmd.Wait()
		return
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}
