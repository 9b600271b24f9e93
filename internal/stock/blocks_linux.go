package stock

import (
	"io/fs"
	"syscall"
)

// allocated returns st_blocks.
func allocated(found fs.FileInfo) (blocks int64, ok bool) {
	s, ok := found.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return s.Blocks, true
}
