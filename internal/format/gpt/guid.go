package gpt

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// GUID is an identifier in the byte order of its text form (RFC 9562), which
// is also the order in which systemd hashes it. On disk a GPT keeps the first
// three groups in little-endian order (UEFI appendix A); disk.go converts.
type GUID [16]byte

// ParseGUID reads the text form of a GUID, in either case, with the four
// hyphens at their places or with none.
func ParseGUID(s string) (GUID, error) {
	digits := s
	if len(s) == 36 {
		if s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
			return GUID{}, fmt.Errorf("%q is not a GUID", s)
		}
		digits = s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36]
	}
	var g GUID
	if len(digits) != 32 {
		return GUID{}, fmt.Errorf("%q is not a GUID", s)
	}
	if _, err := hex.Decode(g[:], []byte(digits)); err != nil {
		return GUID{}, fmt.Errorf("%q is not a GUID", s)
	}
	return g, nil
}

// MustParseGUID is ParseGUID for constants in source code. It panics on bad
// text.
func MustParseGUID(s string) GUID {
	g, err := ParseGUID(s)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return g
}

// IsZero reports whether g is the zero GUID, which marks an unused entry.
func (g GUID) IsZero() bool { return g == GUID{} }

// String gives the text form in lower case.
func (g GUID) String() string {
	h := hex.EncodeToString(g[:])
	return strings.Join([]string{h[0:8], h[8:12], h[12:16], h[16:20], h[20:32]}, "-")
}

// MarshalText gives the text form in lower case.
func (g GUID) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText is ParseGUID.
func (g *GUID) UnmarshalText(text []byte) error {
	parsed, err := ParseGUID(string(text))
	if err != nil {
		return err
	}
	*g = parsed
	return nil
}
