package pkcs7

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"

	"sextant/internal/fault"
)

// Accept turns what another program made of content into the DER of a detached
// signature, after verifying it with certificate alone. It takes PKCS#7 as
// PEM, DER or BER, and a raw signature over the SHA-256 of content: PKCS#1
// v1.5 for an RSA key; for ECDSA the DER form or r and s side by side, as PKCS#11
// and most key services give it. A certificate inside the PKCS#7 stays there;
// options count for raw signatures. Errors wrap fault.ErrUntrusted if
// the signature does not verify, and fault.ErrCorrupt if made is neither form.
func Accept(content, made []byte, certificate *x509.Certificate, options Options) ([]byte, error) {
	if block, _ := pem.Decode(made); block != nil {
		if block.Type != "PKCS7" && block.Type != "CMS" && block.Type != "PKCS #7 SIGNED DATA" {
			return nil, fmt.Errorf("PEM block %q, where a signature is PKCS7 or CMS: %w", block.Type, fault.ErrCorrupt)
		}
		made = block.Bytes
	}
	if isContentInfo(made) {
		return acceptPKCS7(content, made, certificate)
	}
	if isText(made) || !looksRaw(made, certificate) {
		return nil, fmt.Errorf("%s: %w", describe(made), fault.ErrCorrupt)
	}
	return Wrap(content, toASN1(made, certificate), certificate, options)
}

func acceptPKCS7(content, made []byte, certificate *x509.Certificate) ([]byte, error) {
	signed, err := Parse(made)
	if err != nil {
		return nil, err
	}
	if _, err := signed.Verify(content, []*x509.Certificate{certificate}); err != nil {
		return nil, err
	}
	return DER(made)
}

// isContentInfo reports whether data is a CMS structure of any kind: it begins
// with an object identifier, which no raw signature in DER does.
func isContentInfo(data []byte) bool {
	der, err := DER(data)
	s := cryptobyte.String(der)
	var body cryptobyte.String
	return err == nil && s.ReadASN1(&body, tag.SEQUENCE) && body.PeekASN1Tag(tag.OBJECT_IDENTIFIER)
}

// looksRaw reports whether data has the length of a raw signature by the key
// of certificate.
func looksRaw(data []byte, certificate *x509.Certificate) bool {
	switch key := certificate.PublicKey.(type) {
	case *ecdsa.PublicKey:
		size := (key.Params().BitSize + 7) / 8
		return len(data) >= 8 && len(data) <= 2*size+9
	case interface{ Size() int }:
		return len(data) == key.Size()
	}
	return false
}

// toASN1 returns an ECDSA signature that is r and s side by side as DER, and
// any other signature as it is.
func toASN1(signature []byte, certificate *x509.Certificate) []byte {
	key, ok := certificate.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return signature
	}
	size := (key.Params().BitSize + 7) / 8
	if len(signature) != 2*size || isECDSAValue(signature) {
		return signature
	}
	var b cryptobyte.Builder
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(signature[:size]))
		b.AddASN1BigInt(new(big.Int).SetBytes(signature[size:]))
	})
	return b.BytesOrPanic()
}

// isECDSAValue reports whether data is SEQUENCE { r INTEGER, s INTEGER }.
func isECDSAValue(data []byte) bool {
	in := cryptobyte.String(data)
	var body cryptobyte.String
	r, s := new(big.Int), new(big.Int)
	return in.ReadASN1(&body, tag.SEQUENCE) && in.Empty() &&
		body.ReadASN1Integer(r) && body.ReadASN1Integer(s) && body.Empty()
}

// describe says what data is that is no signature.
func describe(data []byte) string {
	switch {
	case len(data) == 0:
		return "no signature: nothing was given"
	case isText(data):
		return fmt.Sprintf("%d bytes of text, which is no signature: hexadecimal and base64 need decoding first", len(data))
	default:
		return fmt.Sprintf("%d bytes that are neither PKCS#7 nor a raw signature by this key", len(data))
	}
}

func isText(data []byte) bool {
	for _, b := range data {
		if (b < ' ' || b > '~') && b != '\n' && b != '\r' && b != '\t' {
			return false
		}
	}
	return true
}
