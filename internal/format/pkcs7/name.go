package pkcs7

import (
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
)

// String types that cryptobyte has no name for.
const (
	visibleString   = tag.Tag(26)
	universalString = tag.Tag(28)
	bmpString       = tag.Tag(30)
)

func unmarshal(raw []byte, into any) ([]byte, error) { return asn1.Unmarshal(raw, into) }

// sameName reports whether two DER Names are the same to OpenSSL: the type of
// a string, the case of ASCII letters and the amount of white space do not
// count (crypto/x509/x_name.c, x509_name_canon). The kernel compares bytes.
func sameName(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	canonicalA, okA := canonicalName(a)
	canonicalB, okB := canonicalName(b)
	return okA && okB && bytes.Equal(canonicalA, canonicalB)
}

// canonicalName encodes a Name with all its strings folded.
func canonicalName(raw []byte) ([]byte, bool) {
	in := cryptobyte.String(raw)
	var name cryptobyte.String
	if !in.ReadASN1(&name, tag.SEQUENCE) || !in.Empty() {
		return nil, false
	}
	var out cryptobyte.Builder
	for !name.Empty() {
		var set cryptobyte.String
		if !name.ReadASN1(&set, tag.SET) {
			return nil, false
		}
		ok := true
		out.AddASN1(tag.SET, func(out *cryptobyte.Builder) {
			for ok && !set.Empty() {
				ok = foldAttribute(&set, out)
			}
		})
		if !ok {
			return nil, false
		}
	}
	folded, err := out.Bytes()
	return folded, err == nil
}

// foldAttribute moves one AttributeTypeAndValue from in to out.
func foldAttribute(in *cryptobyte.String, out *cryptobyte.Builder) bool {
	var attribute, kind, value cryptobyte.String
	var valueTag tag.Tag
	if !in.ReadASN1(&attribute, tag.SEQUENCE) || !attribute.ReadASN1Element(&kind, tag.OBJECT_IDENTIFIER) ||
		!attribute.ReadAnyASN1(&value, &valueTag) || !attribute.Empty() {
		return false
	}
	out.AddASN1(tag.SEQUENCE, func(out *cryptobyte.Builder) {
		out.AddBytes(kind)
		if text, ok := stringText(valueTag, value); ok {
			value, valueTag = []byte(foldText(text)), tag.UTF8String
		}
		out.AddASN1(valueTag, func(out *cryptobyte.Builder) { out.AddBytes(value) })
	})
	return true
}

// stringText gives an ASN.1 string as UTF-8.
func stringText(kind tag.Tag, value []byte) (string, bool) {
	switch kind {
	case tag.UTF8String, tag.PrintableString, tag.IA5String, visibleString:
		return string(value), true
	case tag.T61String: // in practice Latin-1, and so in OpenSSL
		runes := make([]rune, len(value))
		for i, b := range value {
			runes[i] = rune(b)
		}
		return string(runes), true
	case bmpString:
		units := make([]uint16, len(value)/2)
		_, err := binary.Decode(value, binary.BigEndian, units)
		return string(utf16.Decode(units)), err == nil && len(value)%2 == 0
	case universalString:
		runes := make([]rune, len(value)/4)
		_, err := binary.Decode(value, binary.BigEndian, runes)
		return string(runes), err == nil && len(value)%4 == 0
	}
	return "", false
}

// foldText trims white space, makes every run of it one space, and lowers
// ASCII letters.
func foldText(text string) string {
	isSpace := func(r rune) bool { return strings.ContainsRune(" \t\n\v\f\r", r) }
	text = strings.Join(strings.FieldsFunc(text, isSpace), " ")
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
}
