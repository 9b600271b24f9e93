package squashfs

// UnpackXZ returns what unpacks xz streams as blocks of a file system, into
// room bytes.
func UnpackXZ(limit int, options []byte) func(room int, src []byte) ([]byte, error) {
	pool := newXZ(limit, options)
	return func(room int, src []byte) ([]byte, error) { return pool.unpack(make([]byte, 0, room), src) }
}
