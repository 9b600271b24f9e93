package pkcs7

import (
	"encoding/asn1"
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"sextant/internal/fault"
	"sextant/internal/hexdump"
)

// describeDepth is how deep elements of a signature lie in each other at most; a
// certificate in it has about ten more levels.
const describeDepth = 40

// Describe prints the elements of a signature in DER, headers and values apart,
// with the level of each.
func Describe(out *hexdump.Printer, data []byte) error {
	if len(data) > MaxSize {
		return fmt.Errorf("%d bytes of PKCS#7: %w", len(data), fault.ErrUnsupported)
	}
	return describeElements(out, data, 0, 0)
}

func describeElements(out *hexdump.Printer, data []byte, offset int64, depth int) error {
	rest := cryptobyte.String(data)
	for !rest.Empty() {
		var element, value cryptobyte.String
		var tag cbasn1.Tag
		before := rest
		if depth > describeDepth || !rest.ReadAnyASN1Element(&element, &tag) {
			out.Field(offset, before, strings.Repeat("  ", depth)+"no DER")
			return nil
		}
		whole := element
		if !element.ReadAnyASN1(&value, &tag) {
			panic("internal error: an element that was read cannot be read")
		}
		header := int64(len(whole) - len(value))
		text := strings.Repeat("  ", depth) + tagText(tag)
		if tag&0x20 != 0 { // constructed
			out.Field(offset, whole[:header], text)
			if err := describeElements(out, value, offset+header, depth+1); err != nil {
				return err
			}
		} else {
			out.Field(offset, whole, text+valueText(tag, whole, value))
		}
		offset += int64(len(whole))
	}
	return out.Err()
}

func tagText(tag cbasn1.Tag) string {
	names := map[cbasn1.Tag]string{
		cbasn1.BOOLEAN: "BOOLEAN", cbasn1.INTEGER: "INTEGER", cbasn1.BIT_STRING: "BIT STRING", cbasn1.OCTET_STRING: "OCTET STRING",
		cbasn1.NULL: "NULL", cbasn1.OBJECT_IDENTIFIER: "OBJECT IDENTIFIER", cbasn1.ENUM: "ENUMERATED",
		cbasn1.UTF8String: "UTF8String", cbasn1.SEQUENCE: "SEQUENCE", cbasn1.SET: "SET", cbasn1.PrintableString: "PrintableString",
		cbasn1.T61String: "T61String", cbasn1.IA5String: "IA5String", cbasn1.UTCTime: "UTCTime", cbasn1.GeneralizedTime: "GeneralizedTime",
		cbasn1.GeneralString: "GeneralString",
	}
	if name, ok := names[tag]; ok {
		return name
	}
	if tag&0xc0 == 0x80 {
		return fmt.Sprintf("[%d]", tag&0x1f)
	}
	return fmt.Sprintf("tag %#02x", uint8(tag))
}

// valueText gives the value of what can be read.
func valueText(tag cbasn1.Tag, whole, value cryptobyte.String) string {
	switch tag {
	case cbasn1.OBJECT_IDENTIFIER:
		var id asn1.ObjectIdentifier
		if whole.ReadASN1ObjectIdentifier(&id) {
			return ": " + OID(id.String()).String()
		}
	case cbasn1.INTEGER:
		if len(value) <= 8 {
			var n int64
			if whole.ReadASN1Integer(&n) {
				return fmt.Sprintf(": %d", n)
			}
		}
	case cbasn1.UTF8String, cbasn1.PrintableString, cbasn1.IA5String, cbasn1.UTCTime, cbasn1.GeneralizedTime:
		return fmt.Sprintf(": %q", value)
	}
	return ""
}
