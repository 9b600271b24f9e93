package squashfs

// UnpackXZ unpacks an xz stream as a block of a file system.
func UnpackXZ(limit int, src []byte) ([]byte, error) {
	return newXZ(limit, nil).unpack(make([]byte, 0, limit), src)
}
