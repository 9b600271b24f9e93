// Package erofs writes and reads EROFS images, the read-only file system that
// systemd's extension images use by default.
//
// Writing is planned first and done later: Plan gives every byte of the image
// its place without reading a file, and any part of the image can then be
// rendered on its own, in any order, by any number of goroutines.
package erofs
