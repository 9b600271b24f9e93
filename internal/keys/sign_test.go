package keys_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/format/pkcs7"
	"sextant/internal/keys"
)

// The vectors with SHA-256 of RFC 6979, appendices A.2.5 and A.2.6.
var rfc6979 = []struct {
	curve                 elliptic.Curve
	private               string
	message, wantR, wantS string
}{
	{elliptic.P256(), "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721", "sample",
		"EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
		"F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"},
	{elliptic.P256(), "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721", "test",
		"F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
		"019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083"},
	{elliptic.P384(), "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5", "sample",
		"21B13D1E013C7FA1392D03C5F99AF8B30C570C6F98D4EA8E354B63A21D3DAA33BDE1E888E63355D92FA2B3C36D8FB2CD",
		"F3AA443FB107745BF4BD77CB3891674632068A10CA67E3D45DB2266FA7D1FEEBEFDC63ECCD1AC42EC0CB8668A4FA0AB0"},
	{elliptic.P384(), "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5", "test",
		"6D6DEFAC9AB64DABAFE36C6BF510352A4CC27001263638E5B16D9BB51D451559F918EEDAF2293BE5B475CC8F0188636B",
		"2D46F3BECBCC523D5F1A1256BF0C9B024D879BA9E838144C8BA6BAEB4B53B47D51AB373F9845C0514EEFB14024787265"},
}

func TestRFC6979(t *testing.T) {
	for _, v := range rfc6979 {
		scalar, err := hex.DecodeString(v.private)
		if err != nil {
			t.Fatal(err)
		}
		private, err := ecdsa.ParseRawPrivateKey(v.curve, scalar)
		if err != nil {
			t.Fatal(err)
		}
		key, err := keys.NewKey(private)
		if err != nil {
			t.Fatal(err)
		}
		digest := sha256.Sum256([]byte(v.message))
		signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256) // the reader must not matter
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(signature, &got); err != nil {
			t.Fatal(err)
		}
		wantR, _ := new(big.Int).SetString(v.wantR, 16)
		wantS, _ := new(big.Int).SetString(v.wantS, 16)
		if got.R.Cmp(wantR) != 0 || got.S.Cmp(wantS) != 0 {
			t.Errorf("%s, %q: r, s = %X, %X, want %s, %s", v.curve.Params().Name, v.message, got.R, got.S, v.wantR, v.wantS)
		}
	}
}

// TestSameSignatureTwice: whatever the key, signing again gives the same bytes.
func TestSameSignatureTwice(t *testing.T) {
	for _, algorithm := range keys.Algorithms() {
		key, certificate := generate(t, algorithm)
		var made [2][]byte
		for i := range made {
			var err error
			if made[i], err = key.SignPKCS7(context.Background(), []byte(rootHash), certificate, pkcs7.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(made[0], made[1]) {
			t.Errorf("%s: two signatures differ: %x, %x", algorithm, made[0], made[1])
		}
	}
}

func TestSignRefuses(t *testing.T) {
	key, _ := generate(t, keys.RSA2048)
	_, other := generate(t, keys.RSA2048)
	_, err := key.SignPKCS7(context.Background(), []byte(rootHash), other, pkcs7.Options{})
	wantError(t, "SignPKCS7", err, "key does not match the certificate")
	digest := sha256.Sum256([]byte(rootHash))
	if _, err := key.Sign(rand.Reader, digest[:], &rsa.PSSOptions{Hash: crypto.SHA256}); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Sign(PSS) = %v, want %v", err, fault.ErrUnsupported)
	}
}
