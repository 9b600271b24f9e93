// Package testenv keeps the one rule about what a test may miss on the machine
// it runs on: a missing thing skips the test aloud, and fails it where the
// environment variable TEST_REQUIRE asks for that thing.
//
// TEST_REQUIRE holds "all" or a list of names with commas between them: names
// of programs (mkfs.erofs), "root", and "vm" for the virtual machines. What takes
// long is left out, or done in a smaller amount, unless SEXTANT_TEST_LONG is set.
package testenv

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Require skips t unless every named program is in PATH.
func Require(t testing.TB, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			Missing(t, name, "the program "+name+" is not in PATH; scripts/install-test-tools installs it")
		}
	}
}

// RequireRoot skips t unless it runs as root.
func RequireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "root", "not root")
	}
}

// RequireLong skips t unless tests may take hours.
func RequireLong(t testing.TB) {
	t.Helper()
	if !Long() {
		t.Skip("LEFT OUT: takes minutes; SEXTANT_TEST_LONG=1 runs it")
	}
}

// Long reports whether tests may take hours.
func Long() bool { return os.Getenv("SEXTANT_TEST_LONG") != "" }

// Amount returns how much to do: as usual, or what takes long.
func Amount(usual, long int) int {
	if Long() {
		return long
	}
	return usual
}

// Missing skips t, or fails it where TEST_REQUIRE asks for name, and says why.
// It does not return.
func Missing(t testing.TB, name, why string) {
	t.Helper()
	if Required(name) {
		t.Fatalf("%s (TEST_REQUIRE=%s)", why, os.Getenv("TEST_REQUIRE"))
	}
	t.Skip("LEFT OUT: " + why)
}

// Required reports whether TEST_REQUIRE asks for name.
func Required(name string) bool {
	asked := strings.Split(os.Getenv("TEST_REQUIRE"), ",")
	return slices.Contains(asked, "all") || slices.Contains(asked, name)
}
