package image

import (
	"sextant/internal/format/erofs"
)

// Compressors returns the names of the compressors that the kernel needs to
// read the file system of a partition: what its superblock says may be used in
// it.
func (m *Image) Compressors(p *Part) ([]string, error) {
	fsys, _, err := m.FileSystem(p)
	if err != nil {
		return nil, err
	}
	switch f := fsys.(type) {
	case erofsFS:
		return f.compressors(), nil
	case squashFS:
		return []string{f.Superblock().Compression.String()}, nil
	}
	return nil, nil
}

// compressors reads the two ways in which EROFS names them: without a list of
// settings it is LZ4, which an image without any compressed file does not ask
// for.
func (f erofsFS) compressors() (names []string) {
	sb := f.SuperBlock()
	switch {
	case sb.FeatureIncompat&erofs.IncompatCompression != 0:
		for a := erofs.LZ4; a <= erofs.Zstd; a++ {
			if sb.Compression&(1<<a) != 0 {
				names = append(names, a.String())
			}
		}
	case sb.FeatureIncompat&erofs.IncompatZeroPadding != 0:
		names = []string{erofs.LZ4.String()}
	}
	return names
}
