//go:build !linux

// Package inode makes and marks files in an open directory. Outside Linux it
// can do nothing of that: every function but KeepXattrs returns
// errors.ErrUnsupported.
package inode

import (
	"errors"
	"os"
	"time"
)

// Mknod makes nothing.
func Mknod(*os.File, string, uint32, uint32, uint32) error { return errors.ErrUnsupported }

// Chmod sets nothing.
func Chmod(*os.File, string, uint32) error { return errors.ErrUnsupported }

// SetXattr sets nothing.
func SetXattr(*os.File, string, string, []byte) error { return errors.ErrUnsupported }

// KeepXattrs does nothing: attributes are not read there either.
func KeepXattrs(*os.File, string, func(string) bool) error { return nil }

// SetTime sets nothing.
func SetTime(*os.File, string, time.Time) error { return errors.ErrUnsupported }
