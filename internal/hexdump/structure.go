package hexdump

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"
)

// Structure prints the fields of a structure that lies at offset, one after the
// other with name and meaning. structure is a pointer to one of fixed size; it
// is filled from b, little-endian. Fields that b has no room for are left out.
func (p *Printer) Structure(offset int64, b []byte, structure any) {
	full := make([]byte, max(len(b), binary.Size(structure)))
	copy(full, b)
	if _, err := binary.Decode(full, binary.LittleEndian, structure); err != nil {
		panic("internal error: " + err.Error())
	}
	v := reflect.ValueOf(structure).Elem()
	at := 0
	for i := range v.NumField() {
		size := binary.Size(v.Field(i).Interface())
		if at+size > len(b) {
			return
		}
		p.Field(offset+int64(at), b[at:at+size], strings.TrimRight(v.Type().Field(i).Name+": "+meaning(v.Field(i)), ": "))
		at += size
	}
}

// meaning gives the value of a field in words.
func meaning(v reflect.Value) string {
	if s, ok := v.Interface().(fmt.Stringer); ok {
		return s.String()
	}
	if v.Kind() != reflect.Array {
		return fmt.Sprint(v.Interface())
	}
	if v.Type().Elem().Kind() != reflect.Uint8 {
		return ""
	}
	b := make([]byte, v.Len())
	reflect.Copy(reflect.ValueOf(b), v)
	text := strings.TrimRight(string(b), "\x00")
	switch {
	case text == "":
		return "zero"
	case strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0:
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%x", b)
}
