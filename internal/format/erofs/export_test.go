package erofs

// UnpackLZ4 gives tests the decoder for LZ4 blocks.
func UnpackLZ4(dst, src []byte) (d, s int, err error) { return unpackLZ4(dst, src) }

// UnpackLZMA gives tests the decoder for MicroLZMA.
func UnpackLZMA(dst, src []byte) (n int, err error) { return new(lzma).unpack(dst, src) }
