package signature_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/keys"
	"sextant/internal/signature"
)

// verityD is a root with certificates in all places and with all that systemd
// passes over.
func verityD(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, path := range []string{
		"etc/verity.d/both.crt", "usr/lib/verity.d/both.crt", "run/verity.d/b.crt", "usr/local/lib/verity.d/c.crt",
		"usr/lib/verity.d/a.crt", "usr/lib/verity.d/masked-by-link.crt", "usr/lib/verity.d/masked-by-empty.crt",
		"etc/verity.d/not-a-certificate.pem", "usr/lib/verity.d/not-hidden.crt", "opt/elsewhere.crt", "usr/lib/verity.d/dangling.crt",
	} {
		_, certificate := generate(t, keys.ECDSAP256, "/CN="+filepath.Base(path))
		writeFile(t, filepath.Join(root, path), keys.MarshalCertificate(certificate))
	}
	writeFile(t, filepath.Join(root, "etc/verity.d/masked-by-empty.crt"), nil)
	writeFile(t, filepath.Join(root, "etc/verity.d/damaged.crt"), []byte("damaged"))
	links := map[string]string{
		"etc/verity.d/masked-by-link.crt": "/dev/null",
		"etc/verity.d/absolute.crt":       "/opt/elsewhere.crt",
		"etc/verity.d/relative.crt":       "../../opt/elsewhere.crt",
		"etc/verity.d/climbing.crt":       "../../../../../../../../opt/elsewhere.crt",
		"etc/verity.d/dangling.crt":       "/nothing",
		"etc/verity.d/loop.crt":           "loop.crt",
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "etc/verity.d/not-hidden.crt"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(root, "etc/verity.d/fifo.crt"), 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestTrust(t *testing.T) {
	root := verityD(t)
	anchors, err := signature.Trust(root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range anchors {
		line := a.Path + " fault"
		if a.Certificate != nil {
			line = a.Path + " " + a.Certificate.Subject.CommonName
		} else if !errors.Is(a.Fault, fault.ErrCorrupt) {
			t.Errorf("%s: fault %v, want %v", a.Path, a.Fault, fault.ErrCorrupt)
		}
		got = append(got, line)
	}
	want := []string{
		"/usr/lib/verity.d/a.crt a.crt",
		"/etc/verity.d/absolute.crt elsewhere.crt",
		"/run/verity.d/b.crt b.crt",
		"/etc/verity.d/both.crt both.crt",
		"/usr/local/lib/verity.d/c.crt c.crt",
		"/etc/verity.d/climbing.crt elsewhere.crt",
		"/etc/verity.d/damaged.crt fault",
		"/usr/lib/verity.d/dangling.crt dangling.crt",
		"/usr/lib/verity.d/not-hidden.crt not-hidden.crt",
		"/etc/verity.d/relative.crt elsewhere.crt",
	}
	if !slices.Equal(got, want) {
		t.Errorf("Trust = %q, want %q", got, want)
	}
	if n := len(signature.Certificates(anchors)); n != len(want)-1 {
		t.Errorf("Certificates = %d, want %d", n, len(want)-1)
	}
}

func TestTrustOfNothing(t *testing.T) {
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "etc/verity.d"), []byte("a file, no directory"))
	writeFile(t, filepath.Join(root, "usr"), []byte("a file, no directory"))
	anchors, err := signature.Trust(root)
	if err != nil || len(anchors) != 0 {
		t.Errorf("Trust = %v, %v, want nothing", anchors, err)
	}
}

// TestTrustFollowsDirectories: usr/lib may be a link, as may verity.d.
func TestTrustFollowsDirectories(t *testing.T) {
	root := t.TempDir()
	_, certificate := generate(t, keys.ECDSAP256, "/CN=signer")
	writeFile(t, filepath.Join(root, "real/lib/store/a.crt"), keys.MarshalCertificate(certificate))
	for name, target := range map[string]string{"usr": "/real", "real/lib/verity.d": "store"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	anchors, err := signature.Trust(root)
	if err != nil || len(anchors) != 1 || anchors[0].Path != "/usr/lib/verity.d/a.crt" || anchors[0].Certificate == nil {
		t.Errorf("Trust = %v, %v, want /usr/lib/verity.d/a.crt", anchors, err)
	}
}

// TestFirstCertificateCounts: PEM_read_X509 passes over other blocks, takes the
// first certificate and does not try a second one.
func TestFirstCertificateCounts(t *testing.T) {
	key, a := generate(t, keys.ECDSAP256, "/CN=a")
	_, b := generate(t, keys.ECDSAP256, "/CN=b")
	keyText, err := keys.MarshalKey(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	damaged := []byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
	textA, textB := keys.MarshalCertificate(a), keys.MarshalCertificate(b)
	for name, data := range map[string][]byte{
		"1-key-first.crt": slices.Concat(keyText, textA, textB), "2-two.crt": slices.Concat(textB, textA),
		"3-damaged-first.crt": slices.Concat(damaged, textA), "4-der.crt": a.Raw,
	} {
		writeFile(t, filepath.Join(root, "etc/verity.d", name), data)
	}
	anchors, err := signature.Trust(root)
	if err != nil || len(anchors) != 4 {
		t.Fatalf("Trust = %v, %v, want 4 anchors", anchors, err)
	}
	if !anchors[0].Certificate.Equal(a) || !anchors[1].Certificate.Equal(b) || anchors[2].Fault == nil || anchors[3].Fault == nil {
		t.Errorf("Trust = %v", anchors)
	}
}

// TestTrustIn expects what Trust finds, also behind the links that os.DirFS would
// follow out of the root.
func TestTrustIn(t *testing.T) {
	root := verityD(t)
	all, err := signature.Trust(root)
	if err != nil {
		t.Fatal(err)
	}
	anchors, err := signature.TrustIn(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	describe := func(list []signature.Anchor) (lines []string) {
		for _, a := range list {
			lines = append(lines, fmt.Sprint(a.Path, " ", a.Certificate != nil, " ", errors.Is(a.Fault, fault.ErrCorrupt)))
		}
		return lines
	}
	got, want := describe(anchors), describe(all)
	if !slices.Equal(got, want) {
		t.Errorf("TrustIn finds %q, Trust %q", got, want)
	}
}
