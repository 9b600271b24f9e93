//go:build !linux

// Package sparse knows the holes of files, and the ways to copy a file without
// reading it. Outside Linux there are none.
package sparse

import (
	"errors"
	"io/fs"
	"os"
)

// Next returns all that is left of a file of size bytes.
func Next(_ *os.File, from, size int64) (start, end int64, err error) { return from, size, nil }

// Allocated returns the length of the file.
func Allocated(info fs.FileInfo) int64 { return info.Size() }

// Clone returns errors.ErrUnsupported.
func Clone(*os.File, *os.File) error { return errors.ErrUnsupported }

// Copy returns errors.ErrUnsupported.
func Copy(dst, src *os.File, to, from, length int64) error { return errors.ErrUnsupported }

// Flush does nothing.
func Flush(*os.File, int64, int64) {}
