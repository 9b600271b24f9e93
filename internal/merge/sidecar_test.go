//go:build linux

package merge_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sextant/internal/imagetest/disk"
	"sextant/internal/merge"
	"sextant/internal/policy"
	"sextant/internal/signature"
	"sextant/internal/vmtest"
)

// sidecars makes bare file systems with what protects them beside: signed by one
// who is trusted, by a stranger, and for another file system. Those of the name
// attribute* shall have the root hash in an extended attribute.
func sidecars(t *testing.T, ours, theirs disk.Pair) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	add := func(name string, signer disk.Pair, root []byte) {
		data := disk.RenderEROFS(t, content(name, "/usr").Tree)
		tree, own := disk.HashTree(t, data)
		if root == nil {
			root = own
		}
		parsed, err := signature.Parse(disk.SignedBy(t, signer)(root))
		if err != nil {
			t.Fatal(err)
		}
		files[name+".raw"], files[name+".verity"] = data, tree
		files[name+".roothash"] = fmt.Appendf(nil, "%x\n", root)
		files[name+".roothash.p7s"] = parsed.PKCS7
	}
	_, other := disk.HashTree(t, disk.RenderEROFS(t, content("other", "/usr").Tree))
	add("beside", ours, nil)
	add("besidestranger", theirs, nil)
	add("besidewrong", ours, other)
	add("attribute", ours, nil)
	add("attributestranger", theirs, nil)
	add("attributewrong", ours, other)
	add("unsigned", ours, nil)
	delete(files, "unsigned.roothash.p7s")
	return files
}

// TestSidecarsInGuest merges bare file systems that the kernel checks against
// hash trees and root hashes beside them.
func TestSidecarsInGuest(t *testing.T) {
	vmtest.SkipOnHost(t)
	if !inSmallWorld(t) {
		return
	}
	attributes := installSidecars(t)
	write(t, "/etc/verity.d", map[string]string{"ours.crt": read("/images/ours.crt")})
	if _, err := merge.Unmerge(t.Context(), options(t)); err != nil {
		t.Fatal(err)
	}
	before := state(t)
	strict := policy.SysextStrict()
	for _, c := range []struct {
		name   string
		change func(*merge.Options)
		merged []string
	}{
		{"default", func(*merge.Options) {}, []string{"attribute", "attributestranger", "beside", "besidestranger", "unsigned"}},
		{"strict", func(o *merge.Options) { o.Policy = &strict }, []string{"attribute", "beside"}},
		{"require signed", func(o *merge.Options) { o.RequireSigned = true }, []string{"attribute", "beside"}},
	} {
		opts := options(t)
		c.change(&opts)
		opts.AlwaysRefresh = true
		r, err := merge.Refresh(t.Context(), opts)
		must(t, r, err)
		var merged []string
		for _, d := range r.Decisions {
			if d.Verdict == merge.Merged {
				merged = append(merged, d.Image.Name)
				want(t, "/usr/bin/"+d.Image.Name, d.Image.Name)
			} else if strings.HasSuffix(d.Image.Name, "wrong") && d.Rule != merge.RuleVerity {
				t.Errorf("%s: %s is left out by rule %s: %s", c.name, d.Image.Name, d.Rule, d.Reason)
			}
		}
		expected := slices.DeleteFunc(c.merged, func(name string) bool { return !attributes && strings.HasPrefix(name, "attribute") })
		if !slices.Equal(merged, expected) {
			t.Errorf("%s: merged %q, want %q", c.name, merged, expected)
		}
	}
	if _, err := merge.Unmerge(t.Context(), options(t)); err != nil {
		t.Fatal(err)
	}
	if after := state(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
	noDevices(t)
}

// installSidecars copies the images to where they are looked for, and reports
// whether there can be extended attributes: a tmpfs has none before Linux 6.6.
func installSidecars(t *testing.T) (attributes bool) {
	t.Helper()
	list, err := filepath.Glob("/images/sidecars/*")
	if err != nil || len(list) == 0 {
		t.Fatalf("no side-cars: %v", err)
	}
	attributes = true
	for _, path := range list {
		name := filepath.Base(path)
		stem, isHash := strings.CutSuffix(name, ".roothash")
		if !isHash || !strings.HasPrefix(stem, "attribute") {
			write(t, "/var/lib/extensions", map[string]string{name: read(path)})
			continue
		}
		image := "/var/lib/extensions/" + stem + ".raw" // it comes first by name
		err := unix.Setxattr(image, "user.verity.roothash", []byte(strings.TrimSpace(read(path))), 0)
		switch {
		case errors.Is(err, unix.ENOTSUP):
			attributes = false
			t.Log("no extended attributes on this kernel's tmpfs")
			if err := os.Remove(image); err != nil {
				t.Fatal(err)
			}
		case err != nil:
			t.Fatal(err)
		}
	}
	return attributes
}
