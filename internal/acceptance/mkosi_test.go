package acceptance_test

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/imagetest"
	"sextant/internal/testenv"
	"sextant/internal/tree"
	"sextant/internal/vmtest/rootfs"
)

// mkosiConf is built by both.
const mkosiConf = `[Distribution]
Distribution=custom

[Output]
Format=%s
ImageId=same
ImageVersion=1.2
Seed=` + projectSeed + `
OutputDirectory=out

[Content]
ExtraTrees=tree
SourceDateEpoch=1600000000

[Validation]
Verity=%s
VerityKey=rsa.pem
VerityCertificate=rsa.crt
`

// mkosiEpoch is older than most files of the tree, and newer than some.
var mkosiEpoch = time.Unix(1_600_000_000, 0)

// mkosiTree is the corner tree without what mkosi 27.1 does not take: it stops
// at devices and waits forever for a fifo.
func mkosiTree(confext bool) *tree.Tree {
	t := imagetest.Corner()
	t.Root.Child("usr").Remove("dev")
	for _, name := range []string{"usr/bin/tool", "usr/share/acl", "usr/sizes/65537", "opt"} {
		t.Lookup(name).ModTime = time.Unix(1_500_000_000, 5)
	}
	if confext {
		t.Root.Remove("opt")
		t.Root.Put("etc", t.Root.Child("usr"))
		t.Root.Remove("usr")
	}
	return t
}

// TestSameAsMkosi builds the same configurations with mkosi 27.1 and compares.
func TestSameAsMkosi(t *testing.T) {
	testenv.RequireRoot(t)
	for _, format := range []string{"sysext", "confext"} {
		for _, verity := range []string{"signed", "no", "hash", "defer"} {
			t.Run(format+" Verity="+verity, func(t *testing.T) {
				t.Parallel()
				compareWithMkosi(t, format, verity)
			})
		}
	}
}

func compareWithMkosi(t *testing.T, format, verity string) {
	confext := format == "confext"
	dir := project(t, fmt.Sprintf(mkosiConf, format, verity), mkosiTree(confext))
	inside(t, rootfs.Sid(), []string{dir}, "mkosi", "-C", dir, "--output-directory="+filepath.Join(dir, "theirs"), "build")
	sextant(t, dir, "build")
	theirs := openImage(t, filepath.Join(dir, "theirs/same_1.2.raw"), 512)
	ours := openImage(t, filepath.Join(dir, "out/same_1.2.raw"), 512)

	if diff := cmp.Diff(identity(t, theirs), identity(t, ours)); diff != "" {
		t.Errorf("ids (-mkosi +sextant):\n%s", diff)
	}
	want := expectedDifferences(t, filepath.Join(dir, "tree"), confext)
	got := differences(contentsOf(t, ours), contentsOf(t, theirs))
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differences between the images (-expected +found):\n%s", diff)
	}
	sextant(t, dir, "verify", "--root="+dir, theirs.path)
	switch verity {
	case "signed":
		sextant(t, dir, "verify", "--certificate=rsa.crt", theirs.path)
	case "defer":
		signMkosi(t, dir, theirs)
	}
}

// signMkosi adds the signature to an image that mkosi deferred.
func signMkosi(t *testing.T, dir string, deferred *diskImage) {
	t.Helper()
	sextant(t, dir, "sign", "--key=rsa.pem", "--certificate=rsa.crt", "--seed="+projectSeed, deferred.path)
	d := openImage(t, deferred.path, 512)
	d.checkTable(t)
	d.checkSignature(t, d.checkHashTree(t))
	for _, release := range []rootfs.Release{rootfs.Trixie(), rootfs.Sid()} {
		out := inside(t, release, []string{filepath.Dir(d.path)}, "systemd-dissect", "--json=short", d.path)
		if !strings.Contains(out, `"verity":"signed"`) || !strings.Contains(out, `"verity_hash_signature"`) {
			t.Errorf("systemd-dissect of %s does not take the image as signed: %s", release, out)
		}
	}
	sextant(t, dir, "verify", "--certificate=rsa.crt", d.path)

	// The same entry, as if mkosi had signed it.
	signed := filepath.Join(dir, "signed")
	inside(t, rootfs.Sid(), []string{dir}, "mkosi", "-C", dir, "--output-directory="+signed, "--verity=signed", "build")
	want := openImage(t, filepath.Join(signed, "same_1.2.raw"), 512)
	if diff := cmp.Diff(identity(t, want), identity(t, d)); diff != "" {
		t.Errorf("signed by mkosi and by sextant sign (-mkosi +sextant):\n%s", diff)
	}
}

// identity returns all names and ids of an image that do not depend on the
// bytes of its file system.
func identity(t *testing.T, d *diskImage) []string {
	t.Helper()
	ids := []string{"disk " + d.ID}
	for _, p := range d.Partitions {
		line := fmt.Sprintln("partition", p.Name, p.Type, p.Attrs)
		if len(d.Partitions) == 1 || strings.HasSuffix(p.Name, "-sig") {
			line += p.UUID // the others are halves of the root hash
		}
		ids = append(ids, line)
	}
	ids = append(ids, command(t, "blkid", "-p", "-o", "value", "-s", "UUID", "-s", "TYPE", "-s", "BLOCK_SIZE", d.extract(t, d.Partitions[0])))
	if len(d.Partitions) == 1 {
		return ids
	}
	for line := range strings.Lines(command(t, "veritysetup", "dump", d.extract(t, d.Partitions[1]))) {
		for _, name := range []string{"UUID", "Hash type", "Data block size", "Hash block size", "Hash algorithm", "Salt"} {
			if strings.HasPrefix(line, name+":") {
				ids = append(ids, line)
			}
		}
	}
	return ids
}

// contents are the files of an image, in parts: what has to be the same, and
// what sextant keeps and mkosi does not.
type contents struct {
	files  map[string]string // type, mode, owner, size, content, target, links
	times  map[string]time.Time
	xattrs map[string][]string
}

func contentsOf(t *testing.T, d *diskImage) contents {
	t.Helper()
	var c contents
	err := imagetest.MountAt(t, d.path, d.span(d.Partitions[0]), "erofs", func(dir string) (err error) {
		c, err = readContents(dir)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func readContents(dir string) (contents, error) {
	c := contents{times: make(map[string]time.Time), xattrs: make(map[string][]string)}
	found, err := imagetest.Scan(dir)
	if err != nil {
		return c, err
	}
	err = found.Walk(func(path string, node *tree.Inode) error {
		c.times[path] = node.ModTime
		for _, x := range node.Xattrs {
			c.xattrs[path] = append(c.xattrs[path], x.Name)
		}
		return nil
	})
	if err != nil {
		return c, err
	}
	err = found.Walk(func(_ string, node *tree.Inode) error {
		node.ModTime, node.Xattrs = time.Unix(0, 0), nil
		return nil
	})
	if err != nil {
		return c, err
	}
	c.files, err = imagetest.Dump(found)
	return c, err
}

// differences returns a line for everything that is not the same.
func differences(ours, theirs contents) []string {
	lines := imagetest.Diff(ours.files, theirs.files)
	for path, at := range ours.times {
		if other, ok := theirs.times[path]; ok && !at.Equal(other) {
			lines = append(lines, fmt.Sprintf("%s: time %v, mkosi's %v", path, at.UTC(), other.UTC()))
		}
	}
	lines = append(lines, onlyIn("sextant", ours.xattrs, theirs.xattrs)...)
	return append(lines, onlyIn("mkosi", theirs.xattrs, ours.xattrs)...)
}

// onlyIn names the attributes that a has and b has not.
func onlyIn(name string, a, b map[string][]string) (lines []string) {
	for path, list := range a {
		for _, x := range list {
			if !slices.Contains(b[path], x) {
				lines = append(lines, fmt.Sprintf("%s: %s only with %s", path, x, name))
			}
		}
	}
	return lines
}

// expectedDifferences is the whole list of what is not as mkosi has it:
//
//	owners       mkosi gives all to root; so do we, unless --preserve-owner
//	times        mkosi sets all to SourceDateEpoch=, we keep those before it
//	attributes   mkosi drops all but ACLs, we keep capabilities and user.* too
//	hard links   mkosi breaks those between /usr and /opt
//	release file mkosi calls it after the file, we after the extension, with
//	             an attribute that switches the check of the name off
//	/            gets user.validatefs.* from systemd-repart 262
func expectedDifferences(t *testing.T, source string, confext bool) []string {
	t.Helper()
	content, err := imagetest.Scan(source)
	if err != nil {
		t.Fatal(err)
	}
	content.PruneEmptyDirs()
	content.Root.Xattrs, content.Root.ModTime = nil, mkosiEpoch
	var lines []string
	err = content.Walk(func(path string, node *tree.Inode) error {
		if node.ModTime.Before(mkosiEpoch) {
			lines = append(lines, fmt.Sprintf("%s: time %v, mkosi's %v", path, node.ModTime.UTC(), mkosiEpoch.UTC()))
		}
		for _, x := range node.Xattrs {
			if strings.HasPrefix(x.Name, "user.") || x.Name == "security.capability" {
				lines = append(lines, fmt.Sprintf("%s: %s only with sextant", path, x.Name))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gpt_label", "gpt_type_uuid", "mount_point"} {
		lines = append(lines, "/: user.validatefs."+name+" only with mkosi")
	}
	if !confext {
		const tool = "file 0755 0:0 0.000000000 10 a8076d3d"
		lines = append(lines,
			"/usr/bin/tool:\n\tgot  "+tool+" link=/opt/tool\n\twant "+tool,
			"/usr/bin/tool-1.0:\n\tgot  "+tool+" link=/opt/tool\n\twant "+tool+" link=/usr/bin/tool")
	}
	return append(lines, releaseDifferences(confext)...)
}

func releaseDifferences(confext bool) []string {
	dir, prefix := "/usr/lib/extension-release.d", "SYSEXT"
	if confext {
		dir, prefix = "/etc/extension-release.d", "CONFEXT"
	}
	text := fmt.Sprintf("ID=_any\n%[1]s_ID=same\n%[1]s_VERSION_ID=1.2\n%[1]s_SCOPE=initrd system portable\nARCHITECTURE=x86-64\n", prefix)
	file := &tree.Inode{Mode: tree.TypeRegular | 0o644, ModTime: time.Unix(0, 0), Content: tree.Bytes(text)}
	t := tree.New()
	for _, name := range []string{"ours", "theirs"} {
		if err := t.Root.Put(name, file); err != nil {
			panic(err)
		}
	}
	lines, err := imagetest.Dump(t)
	if err != nil {
		panic(err)
	}
	ours, theirs := path.Join(dir, "extension-release.same"), path.Join(dir, "extension-release.same_1.2")
	return []string{
		fmt.Sprintf("%s is too much: %s", ours, lines["/ours"]),
		fmt.Sprintf("%s is missing, want %s", theirs, lines["/ours"]),
		ours + ": user.extension-release.strict only with sextant",
	}
}

// TestVerifyRepart checks images that systemd-repart makes itself.
func TestVerifyRepart(t *testing.T) {
	testenv.RequireRoot(t)
	for _, release := range []rootfs.Release{rootfs.Trixie(), rootfs.Sid()} {
		for _, kind := range []string{"sysext", "confext"} {
			t.Run(release.String()+" "+kind, func(t *testing.T) {
				t.Parallel()
				content := mkosiTree(kind == "confext")
				dir := project(t, "", content)
				at := map[string]string{"sysext": "usr/lib", "confext": "etc"}[kind]
				writeFiles(t, dir, map[string]string{"tree/" + at + "/extension-release.d/extension-release.x": "ID=_any\nARCHITECTURE=x86-64\n"})
				image := filepath.Join(dir, "x.raw")
				inside(t, release, []string{dir}, "systemd-repart", "--make-ddi="+kind, "--copy-source="+filepath.Join(dir, "tree"),
					"--private-key="+filepath.Join(dir, "rsa.pem"), "--certificate="+filepath.Join(dir, "rsa.crt"), image)
				out := sextant(t, dir, "verify", "--certificate=rsa.crt", "--json", "x.raw")
				if strings.Contains(out, `"error"`) || !strings.Contains(out, "signature") {
					t.Errorf("verify says %s", out)
				}
				if _, _, status := run(t, dir, "verify", "--certificate=ecdsa.crt", "x.raw"); status != 1 {
					t.Errorf("verify with another certificate: exit status %d, want 1", status)
				}
				flipByte(t, image)
				if out, _, status := run(t, dir, "verify", "--certificate=rsa.crt", "x.raw"); status != 1 {
					t.Errorf("verify of a changed image: exit status %d, want 1\n%s", status, out)
				}
			})
		}
	}
}

// flipByte changes a byte in the middle of the first partition.
func flipByte(t *testing.T, image string) {
	t.Helper()
	d := openImage(t, image, 512)
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := d.span(d.Partitions[0])
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at.Offset+at.Length/2); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{^b[0]}, at.Offset+at.Length/2); err != nil {
		t.Fatal(err)
	}
}
