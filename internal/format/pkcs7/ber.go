package pkcs7

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"sextant/internal/fault"
)

// maxDepth is how deep values may nest, which is also OpenSSL's limit
// (ASN1_MAX_CONSTRUCTED_NEST).
const maxDepth = 30

// The first octet of a BER value.
const (
	constructed = 0x20
	numberMask  = 0x1f
)

// DER returns the DER form of the one BER value that data holds: definite and
// shortest lengths, strings in one piece. DER comes back unchanged. "openssl
// smime -stream" and Java write BER, and the d2i_PKCS7 of systemd reads it.
// Elements of a SET keep their order, as they do in OpenSSL. Errors wrap
// fault.ErrCorrupt.
func DER(data []byte) ([]byte, error) {
	value, rest, err := toDER(data, 0)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%d bytes behind the value: %w", len(rest), fault.ErrCorrupt)
	}
	return value, nil
}

// toDER converts the value at the start of data.
func toDER(data []byte, depth int) (value, rest []byte, err error) {
	h, err := readHeader(data)
	if err != nil {
		return nil, nil, err
	}
	if depth >= maxDepth {
		return nil, nil, fmt.Errorf("values nest deeper than %d: %w", maxDepth, fault.ErrCorrupt)
	}
	data = data[h.size:]
	if h.first&constructed == 0 {
		value, err = h.encode(data[:h.length])
		return value, data[h.length:], err
	}
	var body []byte
	if h.indefinite {
		body, rest, err = untilEnd(h, data, depth)
	} else {
		rest = data[h.length:]
		body, err = elements(h, data[:h.length], depth)
	}
	if err != nil {
		return nil, nil, err
	}
	value, err = h.primitive().encode(body)
	return value, rest, err
}

// elements converts all values in data, the body of h.
func elements(h header, data []byte, depth int) (body []byte, err error) {
	for len(data) > 0 {
		var value []byte
		if value, data, err = toDER(data, depth+1); err != nil {
			return nil, err
		}
		if body, err = h.join(body, value); err != nil {
			return nil, err
		}
	}
	return body, nil
}

// untilEnd converts the values in data up to the end-of-contents octets that
// close h.
func untilEnd(h header, data []byte, depth int) (body, rest []byte, err error) {
	for {
		if len(data) >= 2 && data[0] == 0 && data[1] == 0 {
			return body, data[2:], nil
		}
		var value []byte
		if value, data, err = toDER(data, depth+1); err != nil {
			return nil, nil, err
		}
		if body, err = h.join(body, value); err != nil {
			return nil, nil, err
		}
	}
}

// header is the identifier and length of a BER value.
type header struct {
	first      byte // class, constructed bit and number
	length     int  // of the contents; 0 if indefinite
	size       int  // of the header itself
	indefinite bool
}

// readHeader reads the header at the start of data and checks that the
// contents lie inside data.
func readHeader(data []byte) (header, error) {
	if len(data) < 2 {
		return header{}, fmt.Errorf("value ends within its header: %w", fault.ErrCorrupt)
	}
	h := header{first: data[0], size: 2}
	if h.first&numberMask == numberMask {
		return header{}, fmt.Errorf("tag 0x%02x with a long number: %w", h.first, fault.ErrCorrupt)
	}
	if h.first == 0 {
		return header{}, fmt.Errorf("end of contents without a start: %w", fault.ErrCorrupt)
	}
	switch n := int(data[1]); {
	case n < 0x80:
		h.length = n
	case n == 0x80:
		if h.first&constructed == 0 {
			return header{}, fmt.Errorf("indefinite length of a primitive value: %w", fault.ErrCorrupt)
		}
		h.indefinite = true
	default:
		return h.withLength(data, n&0x7f)
	}
	return h, h.check(data)
}

// withLength completes h with a length of n octets.
func (h header) withLength(data []byte, n int) (header, error) {
	if len(data) < 2+n {
		return header{}, fmt.Errorf("value ends within its header: %w", fault.ErrCorrupt)
	}
	for _, b := range data[2 : 2+n] {
		if h.length > len(data) {
			break // lies outside already; more octets could overflow
		}
		h.length = h.length<<8 | int(b)
	}
	h.size = 2 + n
	return h, h.check(data)
}

func (h header) check(data []byte) error {
	if h.length > len(data)-h.size {
		return fmt.Errorf("value of %d bytes where %d are left: %w", h.length, len(data)-h.size, fault.ErrCorrupt)
	}
	return nil
}

// isString reports whether h is a string in pieces. Only universal strings can
// be told from structures; in SignedData no other strings come in pieces.
func (h header) isString() bool {
	switch asn1.Tag(h.first &^ constructed) {
	case asn1.OCTET_STRING, asn1.UTF8String, asn1.PrintableString, asn1.T61String, asn1.IA5String:
		return h.first&constructed != 0
	}
	return false
}

// primitive returns h, in the primitive form if it is a string in pieces.
func (h header) primitive() header {
	if h.isString() {
		h.first &^= constructed
	}
	return h
}

// join appends the DER of the next element of h to body: as it is in a
// structure, its contents in a string in pieces.
func (h header) join(body, value []byte) ([]byte, error) {
	if !h.isString() {
		return append(body, value...), nil
	}
	s := cryptobyte.String(value)
	var piece cryptobyte.String
	if !s.ReadASN1(&piece, asn1.Tag(h.first&^constructed)) {
		return nil, fmt.Errorf("string of tag 0x%02x with a piece of tag 0x%02x: %w", h.first, value[0], fault.ErrCorrupt)
	}
	return append(body, piece...), nil
}

// encode returns the DER value with h's tag and the contents body.
func (h header) encode(body []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.Tag(h.first), func(b *cryptobyte.Builder) { b.AddBytes(body) })
	return b.Bytes()
}
