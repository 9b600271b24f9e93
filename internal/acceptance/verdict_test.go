package acceptance_test

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sextant/internal/dps"
	"sextant/internal/extension"
	"sextant/internal/fault"
	"sextant/internal/image"
	"sextant/internal/imagetest"
	"sextant/internal/imagetest/disk"
	"sextant/internal/keys"
	"sextant/internal/policy"
	"sextant/internal/signature"
	"sextant/internal/testenv"
	"sextant/internal/tree"
	"sextant/internal/verdict"
	"sextant/internal/vmtest"
	"sextant/internal/vmtest/rootfs"
)

// trial is an image that systemd and we judge.
type trial struct {
	name   string
	file   string            // name of the image, "tool.raw" if empty
	bytes  []byte            // nil for a directory, which is beside
	beside map[string][]byte // files in the same directory
	trust  map[string][]byte // files in verity.d
	policy string            // "" for the default

	// differs says of a release why our verdict is another on purpose, and
	// what systemd does then.
	differs map[int]difference
}

type difference struct {
	why     string
	systemd string // what the machine shows, a regular expression
}

// tryAll merges every image alone and tells what happened, a line for each.
const tryAll = `
mkdir -p /var/lib/extensions /etc/verity.d
cd /root/trials
for dir in *; do
	rm -rf /var/lib/extensions/* /etc/verity.d/*
	cp -a "$dir/ext/." /var/lib/extensions/
	cp "$dir"/verity.d/*.crt /etc/verity.d/ 2>/dev/null || true
	policy=
	if [ -e "$dir/policy" ]; then policy="--image-policy=$(cat "$dir/policy")"; fi
	status=0
	systemd-sysext merge $policy >/run/trial.log 2>&1 || status=$?
	seen=absent
	if [ -e /usr/bin/tool ]; then
		seen="merged whole"
		find /usr/bin/tool /usr/share/doc/tool /usr/share/trial -type f -exec cat {} + >/dev/null 2>&1 || seen="merged broken"
	fi
	echo "$dir: $status $seen"
	echo "== $dir" >&2
	cat /run/trial.log >&2
	systemd-sysext unmerge >/dev/null 2>&1 || true
done
`

// tryOurs merges every image with this program in systemd's place, each beside a
// neighbour that nothing is wrong with and that must be merged whatever the other
// is.
const tryOurs = `
mkdir -p /root/neighbour/usr/bin /root/neighbour/usr/lib/extension-release.d
echo ID=_any >/root/neighbour/usr/lib/extension-release.d/extension-release.neighbour
touch /root/neighbour/usr/bin/neighbour
for dir in *; do
	rm -rf /var/lib/extensions/* /etc/verity.d/*
	cp -a "$dir/ext/." /root/neighbour /var/lib/extensions/
	cp "$dir"/verity.d/*.crt /etc/verity.d/ 2>/dev/null || true
	policy=
	if [ -e "$dir/policy" ]; then policy="--image-policy=$(cat "$dir/policy")"; fi
	status=0
	/root/ours/systemd-sysext merge $policy >/run/trial.log 2>&1 || status=$?
	seen=absent
	if [ -e /usr/bin/tool ]; then
		seen="merged whole"
		find /usr/bin/tool /usr/share/doc/tool /usr/share/trial -type f -exec cat {} + >/dev/null 2>&1 || seen="merged broken"
	fi
	[ -e /usr/bin/neighbour ] || seen="$seen, and its neighbour too"
	echo "ours $dir: $status $seen"
	echo "== ours $dir" >&2
	cat /run/trial.log >&2
	/root/ours/systemd-sysext unmerge >/dev/null 2>&1 || echo "ours $dir: unmerge failed"
done
for i in $(seq 50); do
	[ -n "$(cat /sys/block/loop*/loop/backing_file /sys/block/dm-*/dm/name 2>/dev/null)" ] || break
	sleep 0.2
done
echo "left behind: $(losetup -a; dmsetup ls; ls -A /run/systemd/sysext)"
`

// only chooses trials, for whoever works on one of them.
var only = flag.String("trials", "", "regular expression for the names of trials in TestVerdictsOfSystemd")

// TestVerdictsOfSystemd has systemd merge images of every kind of fault, and
// wants of verify the verdict that it shows.
func TestVerdictsOfSystemd(t *testing.T) {
	trials := slices.Concat(signatureTrials(t), tableTrials(t), contentTrials(t), brokenTrials(t))
	trials = slices.DeleteFunc(trials, func(tr trial) bool { return !regexp.MustCompile(*only).MatchString(tr.name) })
	for _, release := range rootfs.Releases() {
		t.Run(release.String(), func(t *testing.T) {
			t.Parallel()
			vm := vmtest.New(t, release)
			// A hundred merges take eight minutes where the processors are shared.
			vm.Timeout = 25 * time.Minute
			for _, trial := range trials {
				trial.copyIn(vm, release)
			}
			script := tryAll
			ours := release == rootfs.Sid() && testenv.Long()
			if ours {
				vm.CopyIn(released(t), "/root/ours/systemd-sysext")
				script += tryOurs
				vm.Timeout *= 2
			}
			r := vm.MustRun(script)
			for _, trial := range trials {
				trial.compare(t, r, release, "")
				if ours {
					trial.compare(t, r, release, "ours ")
				}
			}
			if ours && !strings.Contains(r.Stdout, "left behind: No devices found\n") {
				t.Errorf("our merges left something behind: %s", r.Stdout[strings.LastIndex(r.Stdout, "left behind"):])
			}
		})
	}
}

func (tr trial) copyIn(vm *vmtest.VM, release rootfs.Release) {
	dir := "/root/trials/" + tr.name
	if tr.bytes != nil {
		vm.WriteFile(dir+"/ext/"+tr.fileName(), tr.bytes, 0o644)
	}
	for name, content := range tr.beside {
		vm.WriteFile(dir+"/ext/"+name, content, 0o644)
	}
	for name, content := range tr.trust {
		vm.WriteFile(dir+"/verity.d/"+name, content, 0o644)
	}
	if tr.policy != "" && release.Systemd >= 254 {
		vm.WriteFile(dir+"/policy", []byte(tr.policy), 0o644)
	}
}

func (tr trial) fileName() string {
	if tr.file == "" {
		return "tool.raw"
	}
	return tr.file
}

// oursDiffers are the trials in which our merge does on purpose what systemd does
// not: it finds a table by its backup and without a protective MBR, and an
// os-release is a mistake to be told, not one to be passed over.
var oursDiffers = map[string]string{
	"table-4096-primary-gone": "0 merged whole",
	"table-no-mbr":            "0 merged whole",
	"os-release":              "1 absent",
}

// compare compares the verdict of verify with what systemd did, or with what our
// merge did, whose lines begin with who.
func (tr trial) compare(t *testing.T, r *vmtest.Result, release rootfs.Release, who string) {
	t.Helper()
	line := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(who+tr.name) + ": (.*)$").FindStringSubmatch(r.Stdout)
	if line == nil {
		t.Errorf("%s%s: nothing was said", who, tr.name)
		return
	}
	found := tr.verify(t, release)
	want := expected(found.Verdict)
	if d, ok := tr.differs[release.Systemd]; ok {
		want = d.systemd
	}
	if own, ok := oursDiffers[tr.name]; ok && who != "" {
		want = own
	}
	if !regexp.MustCompile("^(" + want + ")$").MatchString(line[1]) {
		_, log, _ := strings.Cut(r.Stderr, "== "+who+tr.name+"\n")
		log, _, _ = strings.Cut(log, "\n== ")
		t.Errorf("%s%s: the merge did %q, our verdict is %q with %v\n%s", who, tr.name, line[1], found.Verdict, found.Findings, log)
	}
}

// expected is what a machine shows if the verdict is right. What is broken may
// show when it is merged or when it is read.
func expected(v verdict.Verdict) string {
	switch v.Outcome {
	case verdict.Misread:
		return "0 merged broken|[01] absent"
	case verdict.LeftOut:
		return "0 absent"
	case verdict.Refused:
		return fmt.Sprintf("%d absent", v.ExitStatus)
	}
	return "0 merged whole"
}

// verify gives our verdict about the files of the trial.
func (tr trial) verify(t *testing.T, release rootfs.Release) *image.Checked {
	t.Helper()
	root := t.TempDir()
	path := filepath.Join(root, "ext", tr.fileName())
	if tr.bytes != nil {
		writeFile(t, path, tr.bytes)
	}
	for name, content := range tr.beside {
		writeFile(t, filepath.Join(root, "ext", name), content)
	}
	for name, content := range tr.trust {
		writeFile(t, filepath.Join(root, "etc/verity.d", name), content)
	}
	anchors, err := signature.Trust(root)
	if err != nil {
		t.Fatal(err)
	}
	opts := image.Options{Systemd: release.Systemd, Host: hostOf(t, release), Certificates: signature.Certificates(anchors), Now: time.Now()}
	if tr.policy != "" {
		p, err := policy.Parse(tr.policy)
		if err != nil {
			t.Fatal(err)
		}
		opts.Policy = &p
	}
	m, err := image.Open(path)
	if errors.Is(err, fault.ErrCorrupt) {
		return image.Rejected(err, opts)
	}
	if err != nil {
		t.Fatalf("%s: %v", tr.name, err)
	}
	defer m.Close()
	found, err := m.Verify(t.Context(), opts)
	if err != nil {
		t.Fatalf("%s: %v", tr.name, err)
	}
	return found
}

// hostOf returns the system of a release as a host.
func hostOf(t *testing.T, release rootfs.Release) *extension.Host {
	t.Helper()
	text := readFile(t, filepath.Join(rootfs.Require(t, release).Tree, "usr/lib/os-release"))
	os, err := extension.ParseRelease(text)
	if err != nil {
		t.Fatal(err)
	}
	return &extension.Host{OS: os, Architecture: "x86-64", Scope: extension.System}
}

// named is the content of an image that is like no other: systemd takes a
// device with the same root hash that it has open without another look.
func named(name string) imagetest.Builder {
	b := disk.Content("tool")
	b.File("usr/share/trial/"+name, 0o644, name)
	return b
}

const signedPolicy = "root=signed+absent:usr=signed+absent:=ignore"

func crt(certificate *x509.Certificate) []byte { return keys.MarshalCertificate(certificate) }

// tableTrials are images with faults in the partition table.
func tableTrials(t *testing.T) (list []trial) {
	signer := disk.Generate(t, keys.RSA2048, "table")
	trust := map[string][]byte{"a.crt": crt(signer.Certificate)}
	add := func(name string, recipe disk.Recipe, change func(d disk.Disk)) {
		if recipe.Files == nil {
			recipe.Files = named(name).Tree
		}
		recipe.Signature = disk.SignedBy(t, signer)
		d := recipe.Make(t)
		if change != nil {
			change(d)
		}
		list = append(list, trial{name: name, bytes: d.Bytes, trust: trust, policy: signedPolicy})
	}
	add("table-good", disk.Recipe{}, nil)
	add("table-room", disk.Recipe{Tail: 8192}, nil)
	add("table-sectors-4096", disk.Recipe{SectorSize: 4096}, nil)
	add("table-primary-damaged", disk.Recipe{}, func(d disk.Disk) { d.Bytes[512+40] ^= 1 })
	add("table-primary-gone", disk.Recipe{}, func(d disk.Disk) { clear(d.Bytes[512:1024]) })
	add("table-backup-gone", disk.Recipe{}, func(d disk.Disk) { clear(d.Bytes[len(d.Bytes)-512:]) })
	add("table-4096-primary-damaged", disk.Recipe{SectorSize: 4096}, func(d disk.Disk) { d.Bytes[4096+60] ^= 1 })
	add("table-4096-primary-gone", disk.Recipe{SectorSize: 4096}, func(d disk.Disk) { clear(d.Bytes[4096:8192]) })
	add("table-no-mbr", disk.Recipe{}, func(d disk.Disk) { clear(d.Bytes[:512]) })
	add("table-odd-mbr", disk.Recipe{}, func(d disk.Disk) { d.Bytes[446] = 0x80 })
	add("table-slack", disk.Recipe{Tail: 8192}, func(d disk.Disk) { _, end := d.Part(2); d.Bytes[end-1] = 1 })
	add("table-uuid", disk.Recipe{}, func(d disk.Disk) { d.Bytes[1024+16] ^= 1; resealBoth(d) })
	add("table-no-auto", disk.Recipe{}, func(d disk.Disk) { d.Bytes[1024+55] |= 0x80; resealBoth(d) })
	add("table-twice", disk.Recipe{}, func(d disk.Disk) {
		copy(d.Bytes[1024+3*128:], d.Bytes[1024:][:128])
		d.Bytes[1024+3*128+16] ^= 1
		resealBoth(d)
	})
	add("table-no-root", disk.Recipe{}, func(d disk.Disk) { clear(d.Bytes[1024:][:128]); resealBoth(d) })
	add("table-no-hash", disk.Recipe{NoHash: true}, nil)
	add("tree-data", disk.Recipe{}, func(d disk.Disk) { at, _ := d.Part(1); d.Bytes[at+5000] ^= 1 })
	add("tree-top", disk.Recipe{}, func(d disk.Disk) { at, _ := d.Part(2); d.Bytes[at+4096] ^= 1 })
	add("tree-superblock", disk.Recipe{}, func(d disk.Disk) { at, _ := d.Part(2); d.Bytes[at] ^= 1 })
	add("tree-salt", disk.Recipe{}, func(d disk.Disk) { at, _ := d.Part(2); d.Bytes[at+88] ^= 1 })
	add("tree-blocks", disk.Recipe{}, func(d disk.Disk) { at, _ := d.Part(2); d.Bytes[at+72]++ })
	add("tree-reserved", disk.Recipe{}, func(d disk.Disk) { at, _ := d.Part(2); d.Bytes[at+500] = 1 })
	add("usr-good", disk.Recipe{Role: dps.Usr, Files: usr("usr-good")}, nil)
	wrong := disk.Recipe{Role: dps.Usr, Files: usr("usr-untrusted"), Signature: disk.SignedBy(t, disk.Generate(t, keys.RSA2048, "wrong"))}.Make(t)
	list = append(list, trial{name: "usr-untrusted", bytes: wrong.Bytes, trust: trust, policy: signedPolicy})
	return list
}

// brokenTrials are files that are no images at all, or no longer.
func brokenTrials(t *testing.T) (list []trial) {
	add := func(name string, b []byte) { list = append(list, trial{name: name, bytes: b}) }
	whole := func(name string) disk.Disk { return disk.Recipe{Files: named(name).Tree, NoHash: true}.Make(t) }
	add("broken-empty", []byte{})
	add("broken-zeros", make([]byte, 1<<20))
	add("broken-text", bytes.Repeat([]byte("no image\n"), 10_000))
	add("broken-unprotected", whole("broken-unprotected").Bytes)
	cut := whole("broken-cut").Bytes
	add("broken-cut", cut[:len(cut)/2&^4095])
	both := whole("broken-both-headers").Bytes
	both[512+40] ^= 1
	both[len(both)-512+40] ^= 1
	add("broken-both-headers", both)
	list[3].policy = signedPolicy
	return list
}

// resealBoth makes both copies of a changed table right.
func resealBoth(d disk.Disk) {
	size := int64(len(d.Bytes))
	copy(d.Bytes[size-33*512:], d.Bytes[1024:][:16384])
	disk.Reseal(d.Bytes, 512, 1024)
	disk.Reseal(d.Bytes, size-512, size-33*512)
}

// contentTrials are images with faults in what is in them or beside them.
func contentTrials(t *testing.T) (list []trial) {
	add := func(name, file string, change func(b imagetest.Builder)) {
		b := named(name)
		if change != nil {
			change(b)
		}
		list = append(list, trial{name: name, file: file, bytes: disk.RenderEROFS(t, b.Tree)})
	}
	const releases = "usr/lib/extension-release.d/extension-release."
	add("release-good", "", nil)
	add("release-cut", "tool_1.0.raw", nil)
	add("release-plus", "tool+3.raw", nil)
	add("release-other-name", "other.raw", nil)
	add("release-suffix", "tool.sysext.raw", nil)
	add("release-lenient", "other.raw", func(b imagetest.Builder) {
		b.Tree.Lookup(releases+"tool").PutXattr("user.extension-release.strict", []byte("0"))
	})
	add("release-strict", "other.raw", func(b imagetest.Builder) {
		b.Tree.Lookup(releases+"tool").PutXattr("user.extension-release.strict", []byte("1"))
	})
	add("release-two", "", func(b imagetest.Builder) { b.File(releases+"x", 0o644, "ID=_any\n") })
	add("release-two-lenient", "other.raw", func(b imagetest.Builder) {
		for _, name := range []string{"x", "y"} {
			b.File(releases+name, 0o644, "ID=_any\n").PutXattr("user.extension-release.strict", []byte("0"))
		}
	})
	add("release-none", "", func(b imagetest.Builder) {
		b.Tree.Lookup("usr/lib/extension-release.d").Remove("extension-release.tool")
	})
	add("release-no-id", "", func(b imagetest.Builder) { b.File(releases+"tool", 0o644, "NAME=x\n") })
	add("release-scope", "", func(b imagetest.Builder) { b.File(releases+"tool", 0o644, "ID=_any\nSYSEXT_SCOPE=initrd\n") })
	add("os-release", "", func(b imagetest.Builder) { b.File("usr/lib/os-release", 0o644, "ID=x\n") })
	add("os-release-in-etc", "", func(b imagetest.Builder) { b.File("etc/os-release", 0o644, "ID=x\n") })
	add("name-img", "tool.img", nil)
	unnamed := &list[len(list)-1]
	unnamed.differs = make(map[int]difference)
	for _, release := range rootfs.Releases() {
		unnamed.differs[release.Systemd] = difference{"a file can be verified before it has its name, so that this is a warning", "0 absent"}
	}
	return append(append(list, directoryTrials()...), besideTrials(t)...)
}

// directoryTrials are extensions that are directories.
func directoryTrials() (list []trial) {
	add := func(name, dir string, files ...string) {
		tr := trial{name: name, file: dir, beside: map[string][]byte{
			dir + "/usr/bin/tool": []byte("x"), dir + "/usr/share/doc/tool/x": nil, dir + "/usr/share/trial/x": nil,
		}}
		for _, f := range files {
			tr.beside[dir+"/"+f] = []byte("ID=_any\n")
		}
		list = append(list, tr)
	}
	const release = "usr/lib/extension-release.d/extension-release.tool"
	add("dir-good", "tool", release)
	add("dir-cut", "tool_1", release)
	add("dir-suffix", "tool.sysext", release)
	add("dir-other-name", "other", release)
	add("dir-none", "tool")
	add("dir-os-release", "tool", release, "usr/lib/os-release")
	return list
}

// besideTrials are bare file systems with files beside them.
func besideTrials(t *testing.T) (list []trial) {
	signer := disk.Generate(t, keys.RSA2048, "beside")
	for _, name := range []string{"beside-good", "beside-unsigned", "beside-changed", "beside-no-hash", "beside-misnamed", "beside-usr", "beside-table"} {
		data := disk.RenderEROFS(t, named(name).Tree)
		hash, root := disk.HashTree(t, data)
		text := []byte(hex.EncodeToString(root))
		tr := trial{name: name, bytes: data, trust: map[string][]byte{"a.crt": crt(signer.Certificate)}, beside: map[string][]byte{
			"tool.verity": hash, "tool.roothash": text, "tool.roothash.p7s": sign(t, signer, text),
		}}
		switch name {
		case "beside-good":
			tr.policy = signedPolicy
		case "beside-unsigned":
			delete(tr.beside, "tool.roothash.p7s")
		case "beside-changed":
			tr.bytes = bytes.Clone(data)
			tr.bytes[5000] ^= 1
		case "beside-no-hash":
			delete(tr.beside, "tool.roothash")
		case "beside-misnamed":
			tr.beside = map[string][]byte{"tool.raw.verity": hash, "tool.raw.roothash": []byte(strings.Repeat("00", 32))}
		case "beside-usr":
			tr.beside = map[string][]byte{"tool.verity": hash, "tool.usrhash": text}
		case "beside-table":
			tr.bytes = disk.Recipe{Files: named(name).Tree, Signature: disk.SignedBy(t, signer)}.Make(t).Bytes
		}
		list = append(list, tr)
	}
	return list
}

func usr(name string) *tree.Tree { return usrBuilder(name).Tree }

// usrBuilder is the content of a usr partition.
func usrBuilder(name string) imagetest.Builder {
	b := imagetest.NewBuilder()
	b.File("bin/tool", 0o755, "#!/bin/sh\n")
	b.File("share/doc/tool/x", 0o644, "x")
	b.File("share/trial/"+name, 0o644, name)
	b.File("lib/extension-release.d/extension-release.tool", 0o644, "ID=_any\n")
	return b
}
