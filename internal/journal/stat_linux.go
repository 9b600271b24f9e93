package journal

import (
	"fmt"
	"io/fs"
	"syscall"
)

// deviceAndInode returns "DEV:INO" in decimal, as in $JOURNAL_STREAM.
func deviceAndInode(info fs.FileInfo) string {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d:%d", s.Dev, s.Ino)
}
