package signature_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/format/pkcs7"
	"sextant/internal/keys"
	"sextant/internal/signature"
	"sextant/internal/testenv"
)

// TestPartition: what Sign makes has systemd's form and verifies, with us and
// with the openssl command that does what systemd does.
func TestPartition(t *testing.T) {
	testenv.Require(t, "openssl")
	for _, algorithm := range []keys.Algorithm{keys.RSA2048, keys.ECDSAP256, keys.ECDSAP384} {
		key, certificate := generate(t, algorithm, "/CN=signer")
		partition, err := signature.Sign(t.Context(), rootHash(), certificate, key, pkcs7.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(partition) != signature.PartitionSize {
			t.Errorf("partition of %d bytes, want %d", len(partition), signature.PartitionSize)
		}
		text := string(bytes.TrimRight(partition, "\x00"))
		start := fmt.Sprintf(`{"rootHash":"%x","certificateFingerprint":"%s","signature":"`, rootHash(), keys.Fingerprint(certificate))
		if !strings.HasPrefix(text, start) || !strings.HasSuffix(text, `"}`) {
			t.Errorf("partition holds %s, want %s...", text, start)
		}
		got, err := signature.Verify(rootHash(), partition, []*x509.Certificate{certificate})
		if err != nil || got != certificate {
			t.Errorf("Verify = %v, %v", got, err)
		}
		opensslVerifies(t, partition, certificate)
	}
}

func opensslVerifies(t *testing.T, partition []byte, certificate *x509.Certificate) {
	t.Helper()
	s, err := signature.Parse(partition)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFile(t, dir+"/p7s", s.PKCS7)
	writeFile(t, dir+"/rh", fmt.Appendf(nil, "%x", s.RootHash))
	writeFile(t, dir+"/crt", keys.MarshalCertificate(certificate))
	run(t, exec.Command("openssl", "smime", "-verify", "-inform", "der", "-in", dir+"/p7s", "-content", dir+"/rh",
		"-certfile", dir+"/crt", "-nointern", "-noverify", "-binary"))
}

// TestAssemble takes the signature of a machine without sextant, as
// "openssl smime" makes it there.
func TestAssemble(t *testing.T) {
	testenv.Require(t, "openssl")
	key, certificate := generate(t, keys.RSA2048, "/CN=signer")
	_, other := generate(t, keys.RSA2048, "/CN=signer")
	dir := t.TempDir()
	text, err := keys.MarshalKey(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir+"/key", text)
	writeFile(t, dir+"/crt", keys.MarshalCertificate(certificate))
	writeFile(t, dir+"/rh", fmt.Appendf(nil, "%x", rootHash()))
	for _, form := range [][]string{{"der", "-nocerts", "-noattr"}, {"pem", "-noattr"}, {"der", "-stream"}} {
		made, err := exec.Command("openssl", append([]string{"smime", "-sign", "-binary", "-in", dir + "/rh", "-signer", dir + "/crt",
			"-inkey", dir + "/key", "-outform"}, form...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		partition, err := signature.Assemble(rootHash(), certificate, made, pkcs7.Options{})
		if err != nil {
			t.Errorf("%q: %v", form, err)
			continue
		}
		opensslVerifies(t, partition, certificate)
		if _, err := signature.Assemble(rootHash(), other, made, pkcs7.Options{}); !errors.Is(err, fault.ErrUntrusted) {
			t.Errorf("%q, another certificate: %v, want %v", form, err, fault.ErrUntrusted)
		}
		if _, err := signature.Assemble(make([]byte, 32), certificate, made, pkcs7.Options{}); !errors.Is(err, fault.ErrUntrusted) {
			t.Errorf("%q, another root hash: %v, want %v", form, err, fault.ErrUntrusted)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	key, certificate := generate(t, keys.ECDSAP256, "/CN=signer")
	_, other := generate(t, keys.ECDSAP256, "/CN=other")
	partition, err := signature.Sign(t.Context(), rootHash(), certificate, key, pkcs7.Options{})
	if err != nil {
		t.Fatal(err)
	}
	otherHash := make([]byte, 32)
	relabelled := bytes.Replace(partition, fmt.Appendf(nil, "%x", rootHash()), fmt.Appendf(nil, "%x", otherHash), 1)
	for _, c := range []struct {
		name      string
		hash      []byte
		partition []byte
		trusted   []*x509.Certificate
		want      string
	}{
		{"nobody trusted", rootHash(), partition, nil, "no certificate is trusted"},
		{"another trusted", rootHash(), partition, []*x509.Certificate{other}, "which is not among the trusted ones"},
		{"another root hash", otherHash, partition, []*x509.Certificate{certificate}, "signature is for root hash"},
		{"another root hash in the text", otherHash, relabelled, []*x509.Certificate{certificate}, "not by the key of certificate"},
	} {
		got, err := signature.Verify(c.hash, c.partition, c.trusted)
		wantError(t, c.name, err, c.want)
		if got != nil || !errors.Is(err, fault.ErrUntrusted) {
			t.Errorf("%s: Verify = %v, %v, want %v", c.name, got, err, fault.ErrUntrusted)
		}
	}
}

// TestTooLong: the text and its final NUL must fit.
func TestTooLong(t *testing.T) {
	frame := len(`{"rootHash":"` + strings.Repeat("0", 64) + `","certificateFingerprint":"","signature":""}`)
	room := (signature.PartitionSize - 1 - frame) / 4 * 3
	s := signature.Signature{RootHash: make([]byte, 32), PKCS7: make([]byte, room)}
	partition, err := s.Marshal()
	if err != nil || len(partition) != signature.PartitionSize || partition[len(partition)-1] != 0 {
		t.Errorf("Marshal of %d bytes = %d bytes, %v", room, len(partition), err)
	}
	s.PKCS7 = make([]byte, room+3)
	_, err = s.Marshal()
	wantError(t, "Marshal", err, "leave the certificates out")
}

func TestParse(t *testing.T) {
	pad := func(text string) []byte { return append([]byte(text), make([]byte, 100)...) }
	for _, c := range []struct {
		name, text string
		want       signature.Signature
	}{
		{"short", `{"rootHash":"0aFF","signature":"AQI="}`, signature.Signature{RootHash: []byte{0x0a, 0xff}, PKCS7: []byte{1, 2}}},
		{"other fields", `{"x":{"rootHash":1},"signature":"AQI=","y":[null],"rootHash":"00"}`, signature.Signature{RootHash: []byte{0}, PKCS7: []byte{1, 2}}},
		{"white space", " {\n \"rootHash\" : \" 0 0\\n\" ,\t\"signature\":\"AQ I=\\n\"}\n", signature.Signature{RootHash: []byte{0}, PKCS7: []byte{1, 2}}},
		{"repeated: the first", `{"rootHash":"00","rootHash":"11","signature":"AQI="}`, signature.Signature{RootHash: []byte{0}, PKCS7: []byte{1, 2}}},
		{"names in another case", `{"roothash":"11","rootHash":"00","SIGNATURE":"","signature":"AQI="}`, signature.Signature{RootHash: []byte{0}, PKCS7: []byte{1, 2}}},
		{"bad fingerprint", `{"rootHash":"00","signature":"AQI=","certificateFingerprint":"\u001b[31m"}`, signature.Signature{RootHash: []byte{0}, PKCS7: []byte{1, 2}}},
		{"fingerprint", `{"rootHash":"00","signature":"AQI=","certificateFingerprint":"` + strings.Repeat("0A", 32) + `"}`,
			signature.Signature{RootHash: []byte{0}, PKCS7: []byte{1, 2}, Fingerprint: strings.Repeat("0a", 32)}},
	} {
		got, err := signature.Parse(pad(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if fmt.Sprint(*got) != fmt.Sprint(c.want) {
			t.Errorf("%s: Parse = %v, want %v", c.name, *got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := `{"rootHash":"00","signature":"AQI="}`
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "blank"},
		{"zeros", make([]byte, signature.PartitionSize), "blank"},
		{"NUL, then data", []byte(good + "\x00\x00x"), "data behind a NUL byte"},
		{"NUL first", []byte("\x00" + good), "data behind a NUL byte"},
		{"text behind", []byte(good + "x"), "not JSON"},
		{"two objects", []byte(good + good), "not JSON"},
		{"array", []byte("[" + good + "]"), "no object"},
		{"string", []byte(`"x"`), "no object"},
		{"no root hash", []byte(`{"signature":"AQI="}`), "no field rootHash"},
		{"no signature", []byte(`{"rootHash":"00"}`), "no field signature"},
		{"number", []byte(`{"rootHash":1,"signature":"AQI="}`), "rootHash is not a string"},
		{"null", []byte(`{"rootHash":null,"signature":"AQI="}`), "rootHash is not a string"},
		{"odd", []byte(`{"rootHash":"0","signature":"AQI="}`), "rootHash is empty or badly encoded"},
		{"empty", []byte(`{"rootHash":"","signature":"AQI="}`), "rootHash is empty or badly encoded"},
		{"unpadded", []byte(`{"rootHash":"00","signature":"AQI"}`), "signature is empty or badly encoded"},
		{"loose bits", []byte(`{"rootHash":"00","signature":"AQJ="}`), "signature is empty or badly encoded"},
		{"huge", make([]byte, signature.MaxPartition+1), "at most 4194304 are read"},
	} {
		s, err := signature.Parse(c.data)
		wantError(t, c.name, err, c.want)
		wanted := fault.ErrCorrupt
		if c.name == "huge" {
			wanted = fault.ErrUnsupported
		}
		if s != nil || !errors.Is(err, wanted) || errors.Is(err, signature.ErrBlank) != (c.want == "blank") {
			t.Errorf("%s: Parse = %v, %v, want %v", c.name, s, err, wanted)
		}
	}
}

// FuzzParse: no bytes make the reader panic, and what it takes it can write.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"rootHash":"00","signature":"AQI="}` + "\x00\x00"))
	f.Add([]byte(`{"a":[{}],"rootHash":" 0 0","certificateFingerprint":"00","signature":"AQ I="}`))
	f.Add(make([]byte, 100))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := signature.Parse(data)
		if err != nil {
			if s != nil {
				t.Errorf("Parse = %v, %v, want nil", s, err)
			}
			return
		}
		again, err := s.Marshal()
		if err != nil {
			return // too long for our size of partition
		}
		reread, err := signature.Parse(again)
		if err != nil || fmt.Sprint(reread) != fmt.Sprint(s) {
			t.Errorf("Parse(Marshal) = %v, %v, want %v", reread, err, s)
		}
		if !json.Valid(bytes.TrimRight(again, "\x00")) {
			t.Errorf("Marshal = %q, which is not JSON", again)
		}
	})
}

// TestTrustWorksWithVerify goes the whole way of a host: verity.d, partition.
func TestTrustWorksWithVerify(t *testing.T) {
	root := t.TempDir()
	key, certificate := generate(t, keys.ECDSAP256, "/CN=signer")
	_, other := generate(t, keys.ECDSAP256, "/CN=other")
	writeFile(t, filepath.Join(root, "etc/verity.d/z.crt"), keys.MarshalCertificate(certificate))
	writeFile(t, filepath.Join(root, "usr/lib/verity.d/a.crt"), keys.MarshalCertificate(other))
	anchors, err := signature.Trust(root)
	if err != nil {
		t.Fatal(err)
	}
	partition, err := signature.Sign(t.Context(), rootHash(), certificate, key, pkcs7.Options{NoCertificate: true})
	if err != nil {
		t.Fatal(err)
	}
	got, err := signature.Verify(rootHash(), partition, signature.Certificates(anchors))
	if err != nil || !got.Equal(certificate) {
		t.Errorf("Verify = %v, %v, want the certificate of z.crt", got, err)
	}
}
