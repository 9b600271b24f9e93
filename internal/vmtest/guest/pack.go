package guest

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// Pack adds the file or directory tree at host to the archive, under name,
// with everything that Unpack restores.
func Pack(archive *tar.Writer, host, name string) error {
	return filepath.WalkDir(host, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(host, file)
		if err != nil {
			return err
		}
		fi, err := entry.Info()
		if err != nil {
			return err
		}
		if err := packEntry(archive, fi, file, path.Join(name, filepath.ToSlash(below))); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		return nil
	})
}

func packEntry(archive *tar.Writer, fi fs.FileInfo, file, name string) error {
	link := ""
	if fi.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(file)
		if err != nil {
			return err
		}
		link = target
	}
	header, err := tar.FileInfoHeader(fi, link)
	if err != nil {
		return err
	}
	header.Name, header.Format = strings.TrimPrefix(name, "/"), tar.FormatPAX
	header.Uname, header.Gname = "", "" // numbers count, the names are the host's
	if header.PAXRecords, err = xattrs(fi, file); err != nil {
		return err
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if !fi.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(archive, f)
	return err
}

// xattrs returns the extended attributes of a file or directory. Package
// syscall cannot ask for those of a symlink, which may have none of user.*.
func xattrs(fi fs.FileInfo, file string) (map[string]string, error) {
	if !fi.Mode().IsRegular() && !fi.IsDir() {
		return nil, nil
	}
	names := make([]byte, 64<<10) // XATTR_LIST_MAX
	n, err := syscall.Listxattr(file, names)
	if errors.Is(err, syscall.ENOTSUP) || n == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list extended attributes: %w", err)
	}
	records := map[string]string{}
	value := make([]byte, 64<<10) // XATTR_SIZE_MAX
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		n, err := syscall.Getxattr(file, name, value)
		if err != nil {
			return nil, fmt.Errorf("get %s: %w", name, err)
		}
		records[XattrRecord+name] = string(value[:n])
	}
	return records, nil
}
