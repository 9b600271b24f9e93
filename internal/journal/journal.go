// Package journal speaks to systemd's journal: entries with fields over its
// socket, and the priority in front of lines that a unit writes to standard
// error.
//
//	MESSAGE=text\n                  a field
//	MESSAGE\n<length, 8 bytes, little-endian>text\n    one with lines in it
//
// Sources: https://systemd.io/JOURNAL_NATIVE_PROTOCOL, sd-daemon(3).
package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// socket is where the journal listens.
const socket = "/run/systemd/journal/socket"

// patience is how long an entry may take. A journal that does not answer must
// not hold a boot up.
const patience = time.Second

// Field is one field of an entry. Names are upper case.
type Field struct{ Name, Value string }

// Send writes one entry with a priority of syslog, 0 to 7. Without a journal the
// error is the one of connect(2).
func Send(priority int, identifier, message string, fields ...Field) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	var b bytes.Buffer
	for _, f := range append([]Field{
		{"MESSAGE", message},
		{"PRIORITY", strconv.Itoa(priority)},
		{"SYSLOG_IDENTIFIER", identifier},
	}, fields...) {
		encode(&b, f)
	}
	if _, err := conn.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write to the journal: %w", err)
	}
	return nil
}

func encode(b *bytes.Buffer, f Field) {
	b.WriteString(f.Name)
	if strings.Contains(f.Value, "\n") {
		b.WriteByte('\n')
		b.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(f.Value))))
	} else {
		b.WriteByte('=')
	}
	b.WriteString(f.Value + "\n")
}

// IsStream reports whether f, usually standard error, ends in the journal.
// $JOURNAL_STREAM, which is stream, says which file that is.
func IsStream(f *os.File, stream string) bool {
	if stream == "" {
		return false
	}
	info, err := f.Stat()
	return err == nil && stream == deviceAndInode(info)
}
