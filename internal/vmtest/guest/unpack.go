package guest

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// XattrRecord is the prefix that tar programs share for the PAX records of
// extended attributes.
const XattrRecord = "SCHILY.xattr."

// Unpack writes the archive r into dir, with owners, modes, times and extended
// attributes. Files that are there are replaced; directories are kept.
func Unpack(r io.Reader, dir string) error {
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := unpackEntry(archive, header, dir); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
}

func unpackEntry(content io.Reader, header *tar.Header, dir string) error {
	path := filepath.Join(dir, header.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if header.Typeflag != tar.TypeDir {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := create(content, header, path, dir); err != nil {
		return err
	}
	if header.Typeflag == tar.TypeLink {
		return nil // the first name carried the metadata
	}
	return setMetadata(header, path)
}

func create(content io.Reader, header *tar.Header, path, dir string) error {
	switch header.Typeflag {
	case tar.TypeDir:
		return os.MkdirAll(path, 0o755)
	case tar.TypeReg:
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Close())
	case tar.TypeSymlink:
		return os.Symlink(header.Linkname, path)
	case tar.TypeLink:
		return os.Link(filepath.Join(dir, header.Linkname), path)
	case tar.TypeFifo:
		return syscall.Mknod(path, syscall.S_IFIFO, 0)
	case tar.TypeChar:
		return syscall.Mknod(path, syscall.S_IFCHR, device(header))
	case tar.TypeBlock:
		return syscall.Mknod(path, syscall.S_IFBLK, device(header))
	}
	return fmt.Errorf("entry of type %q", header.Typeflag)
}

// device packs device numbers the way that mknod(2) takes them.
func device(h *tar.Header) int {
	return int(h.Devmajor<<8 | h.Devminor&0xff | h.Devminor&^0xff<<12)
}

// setMetadata sets the owner first, as chown clears setuid bits and
// capabilities, and the times last.
func setMetadata(h *tar.Header, path string) error {
	if os.Geteuid() == 0 {
		if err := os.Lchown(path, h.Uid, h.Gid); err != nil {
			return err
		}
	}
	if h.Typeflag == tar.TypeSymlink {
		return nil
	}
	if err := syscall.Chmod(path, uint32(h.Mode)&0o7777); err != nil {
		return err
	}
	for record, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(record, XattrRecord)
		if !ok {
			continue
		}
		if err := syscall.Setxattr(path, name, []byte(value), 0); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return os.Chtimes(path, h.ModTime, h.ModTime)
}
