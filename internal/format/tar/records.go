package tar

import (
	"fmt"
	"strconv"
	"strings"

	"sextant/internal/fault"
)

// The keys of pax records that the reader acts on.
const (
	keyPath     = "path"
	keyLinkPath = "linkpath"
	keySize     = "size"
	keyUID      = "uid"
	keyGID      = "gid"
	keyModTime  = "mtime"

	keySparseMajor    = "GNU.sparse.major"
	keySparseMinor    = "GNU.sparse.minor"
	keySparseName     = "GNU.sparse.name"
	keySparseSize     = "GNU.sparse.size"     // 0.0 and 0.1
	keySparseRealSize = "GNU.sparse.realsize" // 1.0
	keySparseMap      = "GNU.sparse.map"      // 0.1
	keySparseOffset   = "GNU.sparse.offset"   // 0.0, once for each range
	keySparseNumBytes = "GNU.sparse.numbytes" // 0.0, once for each range
)

// Records are the pax records of an entry, by key.
type Records map[string]string

// parseRecords reads "LENGTH KEY=VALUE\n" until data ends. GNU's sparse format
// 0.0 repeats two keys; they become the one key of format 0.1.
func parseRecords(data string) (Records, error) {
	records := make(Records)
	var sparse []string
	for data != "" {
		key, value, rest, err := parseRecord(data)
		if err != nil {
			return nil, err
		}
		data = rest
		switch key {
		case keySparseOffset, keySparseNumBytes:
			if (key == keySparseNumBytes) != (len(sparse)%2 == 1) || strings.Contains(value, ",") {
				return nil, fmt.Errorf("record %s stands out of order: %w", key, fault.ErrCorrupt)
			}
			sparse = append(sparse, value)
		default:
			records[key] = value
		}
	}
	if len(sparse) > 0 {
		records[keySparseMap] = strings.Join(sparse, ",")
	}
	return records, nil
}

func parseRecord(data string) (key, value, rest string, err error) {
	digits, _, ok := strings.Cut(data, " ")
	n, numErr := strconv.ParseUint(digits, 10, 31)
	if !ok || numErr != nil || int(n) <= len(digits)+1 || int(n) > len(data) || data[n-1] != '\n' {
		return "", "", "", fmt.Errorf("pax record %.20q: length does not fit: %w", data, fault.ErrCorrupt)
	}
	key, value, ok = strings.Cut(data[len(digits)+1:n-1], "=")
	if !ok || key == "" {
		return "", "", "", fmt.Errorf("pax record %.20q has no key: %w", data, fault.ErrCorrupt)
	}
	if strings.Contains(key, "\x00") || (key == keyPath || key == keyLinkPath) && strings.Contains(value, "\x00") {
		return "", "", "", fmt.Errorf("pax record %.20q: NUL in a name: %w", data, fault.ErrCorrupt)
	}
	return key, value, data[n:], nil
}

// join returns local laid over global.
func join(global, local Records) Records {
	if len(global) == 0 {
		return local
	}
	all := make(Records, len(global)+len(local))
	for _, records := range []Records{global, local} {
		for key, value := range records {
			all[key] = value
		}
	}
	return all
}

// number puts the value of the record called key into dst. One that is empty
// or missing leaves dst alone: an empty value takes a global record back.
func (r Records) number(key string, dst *int64) (err error) {
	if value := r[key]; value != "" {
		if *dst, err = decimal(value); err != nil {
			return fmt.Errorf("record %s: %w", key, err)
		}
	}
	return nil
}

// text is number for a string.
func (r Records) text(key string, dst *string) {
	if value := r[key]; value != "" {
		*dst = value
	}
}
