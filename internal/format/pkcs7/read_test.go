package pkcs7_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/format/pkcs7"
)

// TestParseOurs: every field of what Sign writes.
func TestParseOurs(t *testing.T) {
	for algorithm, want := range map[string]pkcs7.OID{"rsa": pkcs7.OIDRSAEncryption, "p256": pkcs7.OIDECDSAWithSHA256, "p384": pkcs7.OIDECDSAWithSHA256} {
		p := newPair(t, algorithm, "fields")
		der, err := pkcs7.Sign([]byte(rootHash), p.certificate, p.key, pkcs7.Options{})
		if err != nil {
			t.Fatal(err)
		}
		d, err := pkcs7.Parse(der)
		if err != nil {
			t.Fatal(err)
		}
		if d.Version != 1 || d.ContentType != pkcs7.OIDData || d.Content != nil ||
			!slices.Equal(d.DigestAlgorithms, []pkcs7.OID{pkcs7.OIDSHA256}) || len(d.Certificates) != 1 || !bytes.Equal(d.Certificates[0], p.certificate.Raw) {
			t.Errorf("%s: Parse = %+v", algorithm, d)
		}
		s := d.Signers[0]
		if s.Version != 1 || !bytes.Equal(s.Issuer, p.certificate.RawIssuer) || s.Serial.Cmp(p.certificate.SerialNumber) != 0 ||
			s.SubjectKeyID != nil || s.Digest != pkcs7.OIDSHA256 || s.Algorithm != want || s.Attributes != nil || s.IssuerText() != "CN=fields,O=Sextant tests" {
			t.Errorf("%s: signer = %+v, issuer %q", algorithm, s, s.IssuerText())
		}
		if refusals := d.KernelRefusals(); refusals != nil {
			t.Errorf("%s: KernelRefusals() = %q, want none", algorithm, refusals)
		}
	}
}

// TestEveryByteCounts flips each byte of a signature without certificate: no
// such signature verifies, and none makes a reader panic. The exceptions are
// the parameters of the algorithms, which nobody reads.
func TestEveryByteCounts(t *testing.T) {
	p := newPair(t, "p256", "bytes")
	der, err := pkcs7.Sign([]byte(rootHash), p.certificate, p.key, pkcs7.Options{NoCertificate: true})
	if err != nil {
		t.Fatal(err)
	}
	null := []byte{5, 0}
	for i := range der {
		changed := bytes.Clone(der)
		changed[i] ^= 0x55
		d, err := pkcs7.Parse(changed)
		if err != nil {
			if d != nil || !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) {
				t.Errorf("byte %d: Parse = %v, %v", i, d, err)
			}
			continue
		}
		if _, err := d.Verify([]byte(rootHash), []*x509.Certificate{p.certificate}); err == nil && !bytes.Equal(der[i:i+2], null) {
			t.Errorf("byte %d from %02x to %02x: the signature still verifies", i, der[i], changed[i])
		}
	}
	for n := range der {
		if d, err := pkcs7.Parse(der[:n]); d != nil || !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("first %d bytes: Parse = %v, %v, want %v", n, d, err, fault.ErrCorrupt)
		}
	}
	if d, err := pkcs7.Parse(append(der, 0)); d != nil || !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("one byte more: Parse = %v, %v, want %v", d, err, fault.ErrCorrupt)
	}
}

func TestParseRefusesOtherContent(t *testing.T) {
	// ContentInfo of type data.
	data := []byte("\x30\x0f\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xa0\x02\x04\x00")
	_, err := pkcs7.Parse(data)
	if !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), "content type data instead of signedData") {
		t.Errorf("Parse = %v", err)
	}
	_, err = pkcs7.Parse(make([]byte, pkcs7.MaxSize+1))
	if !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Parse(too large) = %v", err)
	}
}

// TestBER: forms of X.690 that BER allows and DER does not.
func TestBER(t *testing.T) {
	for _, c := range []struct{ name, ber, der string }{
		{"DER stays", "3003020101", "3003020101"},
		{"indefinite", "30800201010000", "3003020101"},
		{"nested indefinite", "3080308002010100000000", "30053003020101"},
		{"long length", "308200030201" + "01", "3003020101"},
		{"very long length", "30880000000000000003020101", "3003020101"},
		{"string in pieces", "24800401aa0402bbcc0000", "0403aabbcc"},
		{"pieces in pieces", "24800401aa24800401bb00000000", "0402aabb"},
		{"string in pieces, definite", "24060401aa0401bb", "0402aabb"},
		{"empty", "30800000", "3000"},
		{"context tag", "a080040100" + "0000", "a003040100"},
	} {
		ber, err := hex.DecodeString(c.ber)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pkcs7.DER(ber)
		if err != nil || hex.EncodeToString(got) != c.der {
			t.Errorf("%s: DER(%s) = %x, %v, want %s", c.name, c.ber, got, err, c.der)
		}
	}
	for _, c := range []struct{ name, ber, want string }{
		{"empty", "", "ends within its header"},
		{"no end", "30800201010201", "4 bytes"},
		{"no end at all", "3080020101", "ends within its header"},
		{"too long", "3004020101", "value of 4 bytes where 3 are left"},
		{"length of 2^64", "3089010000000000000000", "lie"},
		{"length runs out", "3084ff", "ends within its header"},
		{"primitive indefinite", "0480010000", "indefinite length of a primitive"},
		{"end without start", "0000", "end of contents without a start"},
		{"long tag", "1f810101", "tag 0x1f with a long number"},
		{"rest", "300000", "1 bytes behind the value"},
		{"pieces of another type", "24030201" + "00", "piece of tag 0x02"},
		{"deep", strings.Repeat("3080", 31) + strings.Repeat("0000", 31), "nest deeper than 30"},
	} {
		ber, err := hex.DecodeString(c.ber)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pkcs7.DER(ber)
		if got != nil || !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("%s: DER(%.40s) = %x, %v, want %v", c.name, c.ber, got, err, fault.ErrCorrupt)
		}
		if c.name != "length of 2^64" && c.name != "no end" && err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: DER(%.40s) = %v, want %q", c.name, c.ber, err, c.want)
		}
	}
}

func TestAcceptRaw(t *testing.T) {
	digest := sha256.Sum256([]byte(rootHash))
	for _, algorithm := range []string{"rsa", "p256", "p384", "p521"} {
		p := newPair(t, algorithm, algorithm)
		raw, err := p.key.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		forms := map[string][]byte{"raw": raw}
		if key, ok := p.key.(*ecdsa.PrivateKey); ok {
			r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
			if err != nil {
				t.Fatal(err)
			}
			size := (key.Params().BitSize + 7) / 8
			forms["r and s"] = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
		for name, made := range forms {
			der, err := pkcs7.Accept([]byte(rootHash), made, p.certificate, pkcs7.Options{})
			if err != nil {
				t.Errorf("%s %s: %v", algorithm, name, err)
				continue
			}
			d, err := pkcs7.Parse(der)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Verify([]byte(rootHash), []*x509.Certificate{p.certificate}); err != nil {
				t.Errorf("%s %s: %v", algorithm, name, err)
			}
			if _, err := pkcs7.Accept([]byte("other"), made, p.certificate, pkcs7.Options{}); !errors.Is(err, fault.ErrUntrusted) {
				t.Errorf("%s %s over other content: %v, want %v", algorithm, name, err, fault.ErrUntrusted)
			}
		}
	}
}

// TestWrapRefuses: a signature that is not by the key does not get into PKCS#7.
func TestWrapRefuses(t *testing.T) {
	p := newPair(t, "rsa", "wrap")
	if der, err := pkcs7.Wrap([]byte(rootHash), make([]byte, 256), p.certificate, pkcs7.Options{}); der != nil || !errors.Is(err, fault.ErrUntrusted) {
		t.Errorf("Wrap = %x, %v, want %v", der, err, fault.ErrUntrusted)
	}
}

// seeds are the files in testdata/made, which openssl made with the commands
// in make.sh there.
func seeds(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/made/*.p7s")
	if err != nil || len(paths) < 8 {
		t.Fatalf("testdata/made holds %q, %v", paths, err)
	}
	found := make(map[string][]byte)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(path)] = data
	}
	return found
}

// TestMade verifies the files that are checked in, which needs no openssl.
func TestMade(t *testing.T) {
	trusted := madeCertificates(t)
	for name, data := range seeds(t) {
		d, err := pkcs7.Parse(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, err = d.Verify([]byte(rootHash), trusted)
		var want error
		switch name {
		case "sha1.p7s":
			want = fault.ErrUntrusted
		case "keyid.p7s", "pss.p7s":
			want = fault.ErrUnsupported
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: Verify = %v, want %v", name, err, want)
		}
		if _, err := d.Verify([]byte("other"), trusted); err == nil {
			t.Errorf("%s verifies over other content", name)
		}
	}
}

// FuzzParse: no bytes make the reader panic, and what it takes it takes again
// in DER, with the same meaning.
func FuzzParse(f *testing.F) {
	trusted := madeCertificates(f)
	for _, data := range seeds(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := pkcs7.Parse(data)
		if err != nil {
			if d != nil {
				t.Errorf("Parse = %v, %v, want nil", d, err)
			}
			return
		}
		_, verdict := d.Verify([]byte(rootHash), trusted)
		d.KernelRefusals()
		for i := range d.Signers {
			d.Signers[i].IssuerText()
		}
		der, err := pkcs7.DER(data)
		if err != nil {
			t.Fatalf("DER = %v for what Parse takes", err)
		}
		again, err := pkcs7.Parse(der)
		if err != nil {
			t.Fatalf("Parse(DER) = %v", err)
		}
		if _, second := again.Verify([]byte(rootHash), trusted); (second == nil) != (verdict == nil) {
			t.Errorf("Verify = %v, and %v for the DER", verdict, second)
		}
		if twice, err := pkcs7.DER(der); err != nil || !bytes.Equal(twice, der) {
			t.Errorf("DER(DER) = %x, %v, want %x", twice, err, der)
		}
	})
}
