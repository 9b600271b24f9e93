package signature

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"sextant/internal/fault"
)

// Parse reads the bytes of a signature partition by systemd's rules: a JSON
// object up to the first NUL byte, nothing but NUL bytes behind it, rootHash and
// signature present, other fields ignored, of repeated fields the first. It
// does not verify anything. Errors wrap fault.ErrCorrupt, and ErrBlank too where
// there is nothing at all; more than MaxPartition bytes wrap fault.ErrUnsupported.
func Parse(partition []byte) (*Signature, error) {
	text, err := textOf(partition)
	if err != nil {
		return nil, err
	}
	fields, err := readObject(text)
	if err != nil {
		return nil, fmt.Errorf("signature partition: %w: %w", err, fault.ErrCorrupt)
	}
	var s Signature
	if s.RootHash, err = readField(fields, "rootHash", decodeHex); err != nil {
		return nil, err
	}
	if s.PKCS7, err = readField(fields, "signature", decodeBase64); err != nil {
		return nil, err
	}
	// A bad one is not worth an error, as systemd does not read it.
	if print, err := readField(fields, "certificateFingerprint", decodeHex); err == nil && len(print) == sha256.Size {
		s.Fingerprint = hex.EncodeToString(print)
	}
	return &s, nil
}

// textOf returns what stands before the NUL bytes.
func textOf(partition []byte) ([]byte, error) {
	if len(partition) > MaxPartition {
		return nil, fmt.Errorf("signature partition of %d bytes, where at most %d are read: %w", len(partition), MaxPartition, fault.ErrUnsupported)
	}
	text, padding, _ := bytes.Cut(partition, []byte{0})
	if strings.Trim(string(padding), "\x00") != "" {
		return nil, fmt.Errorf("signature partition: data behind a NUL byte: %w", fault.ErrCorrupt)
	}
	if len(text) == 0 {
		return nil, fmt.Errorf("%w: %w", ErrBlank, fault.ErrCorrupt)
	}
	return text, nil
}

// readObject reads one JSON object. encoding/json would match names in any
// case and take the last of two fields; systemd takes the first exact one.
func readObject(text []byte) (map[string]json.RawMessage, error) {
	if !json.Valid(text) {
		return nil, fmt.Errorf("not JSON")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, fmt.Errorf("JSON that is no object")
	}
	fields := make(map[string]json.RawMessage)
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		if _, repeated := fields[name.(string)]; !repeated {
			fields[name.(string)] = value
		}
	}
	if _, err := decoder.Token(); err != nil && err != io.EOF {
		return nil, err
	}
	return fields, nil
}

func readField(fields map[string]json.RawMessage, name string, decode func(string) ([]byte, error)) ([]byte, error) {
	raw, present := fields[name]
	if !present {
		return nil, fmt.Errorf("signature partition: no field %s: %w", name, fault.ErrCorrupt)
	}
	var text *string
	if err := json.Unmarshal(raw, &text); err != nil || text == nil {
		return nil, fmt.Errorf("signature partition: %s is not a string: %w", name, fault.ErrCorrupt)
	}
	value, err := decode(*text)
	if err != nil || len(value) == 0 {
		return nil, fmt.Errorf("signature partition: %s is empty or badly encoded: %w", name, fault.ErrCorrupt)
	}
	return value, nil
}

// decodeHex and decodeBase64 pass over white space, as systemd does
// (hexdecoct.c).
func decodeHex(text string) ([]byte, error) { return hex.DecodeString(withoutSpace(text)) }

func decodeBase64(text string) ([]byte, error) {
	return base64.StdEncoding.Strict().DecodeString(withoutSpace(text))
}

func withoutSpace(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\n\r", r) {
			return -1
		}
		return r
	}, text)
}
