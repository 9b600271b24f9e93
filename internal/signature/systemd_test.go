package signature_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/format/pkcs7"
	"sextant/internal/keys"
	"sextant/internal/signature"
	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

// TestSameBytesAsRepart: systemd-repart makes the same partition from the same
// key, byte for byte. ECDSA signatures of OpenSSL have random nonces, so that
// only the verdict can be compared there.
func TestSameBytesAsRepart(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Require(t, "sfdisk", "unshare")
	for _, release := range []rootfs.Release{rootfs.Trixie(), rootfs.Sid()} {
		system := rootfs.Require(t, release)
		for _, algorithm := range []keys.Algorithm{keys.RSA2048, keys.ECDSAP256, keys.ECDSAP384} {
			dir := t.TempDir()
			key, certificate := generate(t, algorithm, "/CN=repart/O=Sextant")
			writePair(t, dir, key, keys.MarshalCertificate(certificate))
			writeFile(t, dir+"/tree/usr/lib/extension-release.d/extension-release.image", []byte("ID=_any\n"))
			run(t, system.Command(t.Context(), []rootfs.Bind{{Host: dir, Guest: "/in"}}, "systemd-repart", "--make-ddi=sysext",
				"--copy-source=/in/tree", "--private-key=/in/key", "--certificate=/in/crt", "/in/image.raw"))
			want := signaturePartition(t, dir+"/image.raw")
			s, err := signature.Parse(want)
			if err != nil {
				t.Fatal(err)
			}
			anchors := signAnchors(t, dir)
			if got, err := signature.Verify(s.RootHash, want, signature.Certificates(anchors)); err != nil || !got.Equal(certificate) {
				t.Errorf("%s %s: Verify = %v, %v", release, algorithm, got, err)
			}
			if algorithm != keys.RSA2048 {
				continue
			}
			got, err := signature.Sign(t.Context(), s.RootHash, certificate, key, pkcs7.Options{})
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: Sign = %q, %v, want %q", release, bytes.TrimRight(got, "\x00"), err, bytes.TrimRight(want, "\x00"))
			}
		}
	}
}

func writePair(t *testing.T, dir string, key *keys.Key, certificate []byte) {
	t.Helper()
	text, err := keys.MarshalKey(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := (keys.Pair{KeyPath: dir + "/key", CertificatePath: dir + "/crt"}).Write(text, certificate); err != nil {
		t.Fatal(err)
	}
}

// signAnchors puts the certificate in dir into a verity.d and reads that.
func signAnchors(t *testing.T, dir string) []signature.Anchor {
	t.Helper()
	certificate, err := os.ReadFile(dir + "/crt")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "etc/verity.d/a.crt"), certificate)
	anchors, err := signature.Trust(dir)
	if err != nil {
		t.Fatal(err)
	}
	return anchors
}

// signaturePartition reads the signature partition out of an image.
func signaturePartition(t *testing.T, image string) []byte {
	t.Helper()
	var table struct {
		PartitionTable struct {
			Partitions []struct {
				Start, Size int64
				Name        string
			}
		}
	}
	if err := json.Unmarshal([]byte(run(t, exec.Command("sfdisk", "-J", image))), &table); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range table.PartitionTable.Partitions {
		if strings.HasSuffix(p.Name, "-verity-sig") {
			return data[p.Start*512 : (p.Start+p.Size)*512]
		}
	}
	t.Fatalf("%s has no signature partition", image)
	return nil
}

// TestKeyutilTakesThePair: systemd's own tool for keys accepts what we make.
func TestKeyutilTakesThePair(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Require(t, "unshare")
	for release, program := range map[rootfs.Release]string{
		rootfs.Trixie(): "/usr/lib/systemd/systemd-keyutil", rootfs.Sid(): "/usr/lib/systemd/systemd-keyutil",
	} {
		system := rootfs.Require(t, release)
		for _, algorithm := range []keys.Algorithm{keys.RSA2048, keys.ECDSAP256, keys.ECDSAP384} {
			dir := t.TempDir()
			key, certificate := generate(t, algorithm, "/CN=keyutil")
			writePair(t, dir, key, keys.MarshalCertificate(certificate))
			binds := []rootfs.Bind{{Host: dir, Guest: "/in"}}
			run(t, system.Command(t.Context(), binds, program, "validate", "--certificate=/in/crt", "--private-key=/in/key"))
			// It does not compare the two, so damage is what shows that it looks.
			writeFile(t, dir+"/key", []byte("no key"))
			if output, err := system.Command(t.Context(), binds, program, "validate", "--certificate=/in/crt", "--private-key=/in/key").CombinedOutput(); err == nil {
				t.Errorf("%s: systemd-keyutil takes a damaged key: %s", release, output)
			}
		}
	}
}
