package keys

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"

	"sextant/internal/format/pkcs7"
)

// Subject is the name in a certificate.
type Subject struct {
	der  []byte // a Name
	text string
}

// String gives the text that ParseSubject read.
func (s Subject) String() string { return s.text }

// attribute is a type and value of a name; joined means that it belongs to the
// same relative distinguished name as the one before.
type attribute struct {
	kind   attributeKind
	value  string
	joined bool
}

// attributeKind says how an attribute type is written and stored: with the
// string type and the upper bound of RFC 5280, appendix A.
type attributeKind struct {
	names  []string
	id     pkcs7.OID
	max    int // in characters
	string tag.Tag
}

func attributeKinds() []attributeKind {
	return []attributeKind{
		{[]string{"CN", "commonName"}, "2.5.4.3", 64, tag.UTF8String},
		{[]string{"O", "organizationName"}, "2.5.4.10", 64, tag.UTF8String},
		{[]string{"OU", "organizationalUnitName"}, "2.5.4.11", 64, tag.UTF8String},
		{[]string{"C", "countryName"}, "2.5.4.6", 2, tag.PrintableString},
		{[]string{"ST", "S", "stateOrProvinceName"}, "2.5.4.8", 128, tag.UTF8String},
		{[]string{"L", "localityName"}, "2.5.4.7", 128, tag.UTF8String},
		{[]string{"STREET", "street", "streetAddress"}, "2.5.4.9", 128, tag.UTF8String},
		{[]string{"serialNumber"}, "2.5.4.5", 64, tag.PrintableString},
		{[]string{"title"}, "2.5.4.12", 64, tag.UTF8String},
		{[]string{"GN", "givenName"}, "2.5.4.42", 64, tag.UTF8String},
		{[]string{"SN", "surname"}, "2.5.4.4", 64, tag.UTF8String},
		{[]string{"DC", "domainComponent"}, "0.9.2342.19200300.100.1.25", 63, tag.IA5String},
		{[]string{"UID", "userId"}, "0.9.2342.19200300.100.1.1", 256, tag.UTF8String},
		{[]string{"emailAddress", "E"}, "1.2.840.113549.1.9.1", 128, tag.IA5String},
	}
}

// ParseSubject reads a name in openssl's form, "/CN=signer/O=Example", or in
// that of RFC 4514, "CN=signer,O=Example". Both give the name with CN first in
// the first form and last in the second: RFC 4514 writes names backwards. A
// backslash takes the meaning from the character after it, "+" puts two
// attributes into one relative name.
func ParseSubject(text string) (Subject, error) {
	parse := parseRFC4514
	if strings.HasPrefix(text, "/") {
		parse = parseSlashes
	}
	attributes, err := parse(text)
	if err != nil {
		return Subject{}, fmt.Errorf("subject %q: %w", text, err)
	}
	der, err := marshalName(attributes)
	if err != nil {
		return Subject{}, fmt.Errorf("subject %q: %w", text, err)
	}
	return Subject{der, text}, nil
}

// parseSlashes reads openssl's form.
func parseSlashes(text string) (attributes []attribute, err error) {
	for _, part := range split(text[1:], "/+") {
		value, err := unescape(part.value, false)
		if err != nil {
			return nil, err
		}
		a, err := newAttribute(part.name, value, part.joined)
		if err != nil {
			return nil, err
		}
		attributes = append(attributes, a)
	}
	return attributes, nil
}

// parseRFC4514 reads the standard's form and turns the order round.
func parseRFC4514(text string) ([]attribute, error) {
	var names [][]attribute
	for _, part := range split(text, ",+") {
		if strings.HasPrefix(part.value, "#") {
			return nil, fmt.Errorf("value %q in hexadecimal BER is not read", part.value)
		}
		value, err := unescape(trimSpace(part.value), true)
		if err != nil {
			return nil, err
		}
		a, err := newAttribute(strings.TrimSpace(part.name), value, part.joined)
		if err != nil {
			return nil, err
		}
		if part.joined && len(names) > 0 {
			names[len(names)-1] = append(names[len(names)-1], a)
		} else {
			names = append(names, []attribute{a})
		}
	}
	slices.Reverse(names)
	return slices.Concat(names...), nil
}

// trimSpace removes spaces around text, but not an escaped one at its end.
func trimSpace(text string) string {
	text = strings.TrimLeft(text, " ")
	trimmed := strings.TrimRight(text, " ")
	if strings.HasSuffix(trimmed, `\`) && !strings.HasSuffix(trimmed, `\\`) && trimmed != text {
		return trimmed + " "
	}
	return trimmed
}

// part is "name=value" with the value still escaped.
type part struct {
	name, value string
	joined      bool // the separator before it was "+"
}

// split cuts text at separators that no backslash stands before.
func split(text, separators string) (parts []part) {
	start, joined := 0, false
	cut := func(end int) {
		name, value, _ := strings.Cut(text[start:end], "=")
		parts = append(parts, part{name, value, joined})
	}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case strings.IndexByte(separators, text[i]) >= 0:
			cut(i)
			start, joined = i+1, text[i] == '+'
		}
	}
	cut(len(text))
	return parts
}

// unescape resolves backslashes; with pairs also "\41" for a byte.
func unescape(value string, pairs bool) (string, error) {
	var out []byte
	for i := 0; i < len(value); i++ {
		if value[i] != '\\' {
			out = append(out, value[i])
			continue
		}
		if i+1 == len(value) {
			return "", fmt.Errorf("value %q ends with a backslash", value)
		}
		if pairs && i+2 < len(value) {
			if b, err := hex.DecodeString(value[i+1 : i+3]); err == nil {
				out = append(out, b...)
				i += 2
				continue
			}
		}
		i++
		out = append(out, value[i])
	}
	return string(out), nil
}

func newAttribute(name, value string, joined bool) (attribute, error) {
	kind, err := kindNamed(name)
	if err != nil {
		return attribute{}, err
	}
	switch length := utf8.RuneCountInString(value); {
	case value == "":
		return attribute{}, fmt.Errorf("%s has no value", name)
	case !utf8.ValidString(value):
		return attribute{}, fmt.Errorf("%s is not UTF-8", name)
	case length > kind.max:
		return attribute{}, fmt.Errorf("%s has %d characters, where at most %d are allowed", name, length, kind.max)
	case kind.names[0] == "C" && length != 2:
		return attribute{}, fmt.Errorf("%s is a country code of 2 letters, not %q", name, value)
	}
	if at := strings.IndexFunc(value, func(r rune) bool { return !fits(r, kind.string) }); at >= 0 {
		return attribute{}, fmt.Errorf("%s has a character at byte %d that it must not have", name, at)
	}
	return attribute{kind, value, joined}, nil
}

// fits reports whether a string type can hold r.
func fits(r rune, kind tag.Tag) bool {
	switch kind {
	case tag.PrintableString:
		return r < utf8.RuneSelf && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" '()+,-./:=?", r))
	case tag.IA5String:
		return r >= ' ' && r < 0x7f
	}
	return r >= ' '
}

func kindNamed(name string) (attributeKind, error) {
	var choices []string
	for _, kind := range attributeKinds() {
		for _, known := range kind.names {
			if strings.EqualFold(known, name) {
				return kind, nil
			}
		}
		choices = append(choices, kind.names[0])
	}
	return attributeKind{}, fmt.Errorf("no attribute %q: known are %s", name, strings.Join(choices, ", "))
}

// marshalName encodes the attributes.
//
//	Name ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value }
func marshalName(attributes []attribute) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		for len(attributes) > 0 {
			n := 1
			for n < len(attributes) && attributes[n].joined {
				n++
			}
			addRelativeName(b, attributes[:n])
			attributes = attributes[n:]
		}
	})
	return b.Bytes()
}

// addRelativeName adds a SET, whose elements DER wants in the order of their
// bytes.
func addRelativeName(b *cryptobyte.Builder, attributes []attribute) {
	var elements []string
	for _, a := range attributes {
		var element cryptobyte.Builder
		element.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(a.kind.id.Identifier())
			b.AddASN1(a.kind.string, func(b *cryptobyte.Builder) { b.AddBytes([]byte(a.value)) })
		})
		elements = append(elements, string(element.BytesOrPanic()))
	}
	slices.Sort(elements)
	b.AddASN1(tag.SET, func(b *cryptobyte.Builder) { b.AddBytes([]byte(strings.Join(elements, ""))) })
}
