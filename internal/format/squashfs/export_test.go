package squashfs

// UnpackXZ unpacks an xz stream as a block of a file system.
func UnpackXZ(limit int, src []byte) ([]byte, error) {
	d := xzDecoder{maxDict: xzDictionary(limit, nil)}
	return d.unpack(make([]byte, 0, limit), src)
}
