//go:build !linux

package stock

import "io/fs"

func allocated(fs.FileInfo) (blocks int64, ok bool) { return 0, false }
