package erofs

// UnpackLZMA gives tests the decoder for MicroLZMA.
func UnpackLZMA(dst, src []byte) (n int, err error) { return new(lzma).unpack(dst, src) }
