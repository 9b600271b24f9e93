package rootfs

import (
	"errors"
	"io/fs"
	"testing"

	"sextant/internal/testenv"
)

// Require returns the root filesystem of r. One that is not in the cache skips
// the test, as building takes a minute; where TEST_REQUIRE asks for "vm" it is
// built.
func Require(t testing.TB, r Release) Rootfs {
	t.Helper()
	root, err := Open(r)
	if errors.Is(err, fs.ErrNotExist) {
		if !testenv.Required("vm") {
			t.Skipf("LEFT OUT: the root filesystem of %s is not built; make test, or go run ./internal/vmtest/cmd/rootfs, builds it", r)
		}
		testenv.RequireRoot(t)
		testenv.Require(t, "mmdebstrap", "mkfs.ext4")
		root, err = Build(t.Context(), r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return root
}
