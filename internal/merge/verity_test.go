//go:build linux

package merge_test

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sextant/internal/dps"
	"sextant/internal/imagetest"
	"sextant/internal/imagetest/disk"
	"sextant/internal/keys"
	"sextant/internal/merge"
	"sextant/internal/policy"
	"sextant/internal/vmtest"
)

// content is the tree of an extension that fits everywhere, with one tool.
func content(name string, prefix string) imagetest.Builder {
	b := imagetest.NewBuilder()
	b.File(prefix+"/bin/"+name, 0o755, name)
	b.File(prefix+"/lib/extension-release.d/extension-release."+name, 0o644, "ID=_any\n")
	return b
}

// signedImages makes one image of each kind, and the certificate that is trusted.
func signedImages(t *testing.T) (images map[string][]byte, certificate []byte) {
	t.Helper()
	ours, theirs := disk.Generate(t, keys.RSA2048, "ours"), disk.Generate(t, keys.RSA2048, "theirs")
	images = make(map[string][]byte)
	add := func(name, prefix string, r disk.Recipe) disk.Disk {
		r.Files = content(name, prefix).Tree
		d := r.Make(t)
		images[name+".raw"] = d.Bytes
		return d
	}
	add("good", "/usr", disk.Recipe{Signature: disk.SignedBy(t, ours)})
	add("goodusr", "", disk.Recipe{Role: dps.Usr, Signature: disk.SignedBy(t, ours)})
	add("stranger", "/usr", disk.Recipe{Signature: disk.SignedBy(t, theirs)})
	add("hashed", "/usr", disk.Recipe{})
	add("plain", "/usr", disk.Recipe{NoHash: true})
	tampered := add("tampered", "/usr", disk.Recipe{Signature: disk.SignedBy(t, ours)})
	start, _ := tampered.Part(1)
	for name, b := range sidecars(t, ours, theirs) {
		images["sidecars/"+name] = b
	}
	tampered.Bytes[start+4095] ^= 1 // in the block of the superblock, which the mount reads
	return images, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ours.Certificate.Raw})
}

func TestVerityInGuest(t *testing.T) {
	vmtest.SkipOnHost(t)
	if !inSmallWorld(t) {
		return
	}
	entries, err := os.ReadDir("/images")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".raw") {
			if err := os.Symlink("/images/"+e.Name(), "/var/lib/extensions/"+e.Name()); err != nil {
				t.Fatal(err)
			}
		}
	}
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
		{"default", func(*merge.Options) {}, []string{"good", "goodusr", "hashed", "plain", "stranger"}},
		{"strict", func(o *merge.Options) { o.Policy = &strict }, []string{"good", "goodusr"}},
		{"require signed", func(o *merge.Options) { o.RequireSigned = true }, []string{"good", "goodusr"}},
		{"kernel only", func(o *merge.Options) { o.Policy, o.Verity.NoUserspace = &strict, true }, nil},
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
			}
		}
		if !slices.Equal(merged, c.merged) {
			t.Errorf("%s: merged %q, want %q", c.name, merged, c.merged)
		}
		for _, name := range c.merged {
			want(t, "/usr/bin/"+name, name)
		}
		mappers, _ := filepath.Glob("/sys/block/dm-*")
		t.Logf("%s: %d devices", c.name, len(mappers))
	}
	if after := state(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
	noDevices(t)
	if _, err := os.Stat("/images/faults"); err != nil {
		return
	}
	for _, name := range []string{"goodusr", "hashed", "plain", "stranger", "tampered"} {
		if err := os.Remove("/var/lib/extensions/" + name + ".raw"); err != nil {
			t.Fatal(err)
		}
	}
	verityFaults(t, before)
	verityKilled(t, before)
}

// verityFaults has each call of a merge of one signed image fail.
func verityFaults(t *testing.T, clean string) {
	for i, done := 0, false; !done; i++ {
		opts := quiet(t)
		n, name := 0, ""
		opts.Before(func(call string) error {
			if n++; n == i+1 {
				name = call
				return unix.ENOMEM
			}
			return nil
		})
		r, err := merge.Merge(t.Context(), opts)
		done = name == ""
		if err == nil && r.Outcome == merge.Done {
			want(t, "/usr/bin/good", "good")
		}
		if _, err := merge.Unmerge(t.Context(), quiet(t)); err != nil {
			t.Fatalf("%s failed; unmerge: %v", name, err)
		}
		if after := state(t); after != clean {
			t.Fatalf("%s failed; left behind:\n%s\nbefore:\n%s", name, after, clean)
		}
		noDevices(t)
	}
}

// verityKilled ends a merge of one signed image before each call.
func verityKilled(t *testing.T, clean string) {
	for i, alive := 0, false; !alive; i++ {
		alive = kill(t, "merge", i, 0)
		if r, err := merge.Refresh(t.Context(), quiet(t)); err != nil || r.Outcome == merge.Nothing {
			t.Fatalf("killed before call %d: next run: %+v, %v", i, r, err)
		}
		want(t, "/usr/bin/good", "good")
		if _, err := merge.Unmerge(t.Context(), quiet(t)); err != nil {
			t.Fatalf("killed before call %d: unmerge: %v", i, err)
		}
		if after := state(t); after != clean {
			t.Fatalf("killed before call %d: left behind:\n%s\nbefore:\n%s", i, after, clean)
		}
		noDevices(t)
	}
}

// noDevices fails where a block device of an extension is left. The kernel takes
// a moment to clear them.
func noDevices(t *testing.T) {
	t.Helper()
	var list []string
	for range 100 {
		list = nil
		files, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
		for _, file := range files {
			if backing := read(file); strings.HasPrefix(backing, "/var/lib/extensions/") || strings.HasPrefix(backing, "/images/") {
				list = append(list, file+": "+backing)
			}
		}
		mappers, _ := filepath.Glob("/sys/block/dm-*")
		if list = append(list, mappers...); len(list) == 0 {
			return
		}
		pause()
	}
	t.Errorf("devices left: %q", list)
}
