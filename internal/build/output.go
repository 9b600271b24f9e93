package build

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"sextant/internal/atomic"
	"sextant/internal/format/xz"
	"sextant/internal/plan"
)

// Output says where the files of a build go and which there are.
type Output struct {
	Directory string
	Name      string // of the image, without extension
	Extension string // "raw"; empty for none

	// Alias is a further name for the image, a symbolic link. It is not made
	// where it is taken by something that is no link.
	Alias string

	Compression string // "", "zstd", "xz" or "gz": the image is stored packed
	Level       int    // of the compression

	RootHash   bool   // write NAME.roothash
	Partitions bool   // write NAME.PARTITION.raw
	Manifest   []byte // write NAME.manifest, if not nil
	Checksums  bool   // write NAME.SHA256SUMS
}

// ImagePath returns the path of the image.
func (o Output) ImagePath() string { return o.path(o.imageName()) }

func (o Output) imageName() string {
	name := o.Name + o.suffix()
	switch o.Compression {
	case "zstd":
		return name + ".zst"
	case "xz", "gz":
		return name + "." + o.Compression
	}
	return name
}

func (o Output) suffix() string {
	if o.Extension == "" {
		return ""
	}
	return "." + o.Extension
}

func (o Output) path(name string) string { return filepath.Join(o.Directory, name) }

// Existing returns the path of the image if there is one already.
func (o Output) Existing() (path string, ok bool, err error) {
	_, err = os.Lstat(o.ImagePath())
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return o.ImagePath(), err == nil, err
}

// Files are the files of one build on their way: none has its name yet.
type Files struct {
	output Output
	image  *atomic.File
	others []*atomic.File
}

// Create starts the files of a build, making the directory if it is missing.
func (o Output) Create() (*Files, error) {
	if err := os.MkdirAll(o.Directory, 0o755); err != nil {
		return nil, err
	}
	f, err := atomic.Create(o.path(o.Name+o.suffix()), 0o644)
	if err != nil {
		return nil, fmt.Errorf("create image: %w", err)
	}
	return &Files{output: o, image: f}, nil
}

// Image returns the image, to be written.
func (f *Files) Image() Image { return f.image }

// Discard drops all files that were not committed.
func (f *Files) Discard() {
	f.image.Discard()
	for _, other := range f.others {
		other.Discard()
	}
}

// Commit writes the files that go beside the image and then gives all of them
// their names, the image last: whoever sees a new image sees what belongs to
// it. It returns the paths, the image first.
func (f *Files) Commit(p *plan.Plan, w *Written) ([]string, error) {
	if err := f.side(p, w); err != nil {
		return nil, err
	}
	published := f.image
	if f.output.Compression != "" {
		packed, err := f.pack()
		if err != nil {
			return nil, fmt.Errorf("compress image: %w", err)
		}
		published = packed
	}
	if err := f.checksums(published); err != nil {
		return nil, err
	}
	// What can fail for want of space or a bad disk fails here, before the
	// first name changes.
	all := append(slices.Clone(f.others), published)
	for _, file := range all {
		if err := file.Sync(); err != nil {
			return nil, err
		}
	}
	for _, file := range all {
		if err := file.Commit(); err != nil {
			return nil, err
		}
	}
	paths := []string{published.Path()}
	for _, other := range f.others {
		paths = append(paths, other.Path())
	}
	links, err := f.links()
	return append(paths, links...), err
}

// side writes the files that only depend on the image.
func (f *Files) side(p *plan.Plan, w *Written) error {
	if f.output.RootHash {
		for _, root := range w.RootHashes {
			if root == nil {
				continue
			}
			if err := f.add(".roothash", strings.NewReader(hex.EncodeToString(root))); err != nil {
				return err
			}
			break
		}
	}
	if f.output.Partitions {
		if err := f.split(p, w); err != nil {
			return err
		}
	}
	if f.output.Manifest != nil {
		return f.add(".manifest", bytes.NewReader(f.output.Manifest))
	}
	return nil
}

// split writes each partition that has a SplitName= as a file of its own.
func (f *Files) split(p *plan.Plan, w *Written) error {
	for i, part := range p.Partitions {
		if part.Deferred || part.Definition.SplitName == "" {
			continue
		}
		suffix, err := part.Definition.SplitSuffix(i, w.UUIDs[i])
		if err != nil {
			return fmt.Errorf("%s: %w", part.Definition.At, err)
		}
		content := io.NewSectionReader(f.image, part.Span.Offset, part.Span.Length)
		if err := f.add("."+suffix+f.output.suffix(), content); err != nil {
			return err
		}
	}
	return nil
}

// add writes one more file, called after the image.
func (f *Files) add(suffix string, content io.Reader) error {
	file, err := atomic.Create(f.output.path(f.output.Name+suffix), 0o644)
	if err != nil {
		return err
	}
	f.others = append(f.others, file)
	if _, err := io.Copy(file, content); err != nil {
		return fmt.Errorf("write %s: %w", file.Path(), err)
	}
	return nil
}

// checksums writes the SHA-256 of every file, in the form of sha256sum -b.
func (f *Files) checksums(image *atomic.File) error {
	if !f.output.Checksums {
		return nil
	}
	var lines []string
	for _, file := range append(slices.Clone(f.others), image) {
		hash := sha256.New()
		if _, err := io.Copy(hash, io.NewSectionReader(file, 0, 1<<62)); err != nil {
			return fmt.Errorf("hash %s: %w", file.Path(), err)
		}
		lines = append(lines, fmt.Sprintf("%x *%s\n", hash.Sum(nil), filepath.Base(file.Path())))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	return f.add(".SHA256SUMS", strings.NewReader(strings.Join(lines, "")))
}

// pack writes the compressed image.
func (f *Files) pack() (*atomic.File, error) {
	file, err := atomic.Create(f.output.ImagePath(), 0o644)
	if err != nil {
		return nil, err
	}
	content := io.NewSectionReader(f.image, 0, 1<<62)
	if err := f.compress(file, content); err != nil {
		file.Discard()
		return nil, err
	}
	f.image.Discard()
	f.image = file
	return file, nil
}

func (f *Files) compress(w io.Writer, content io.Reader) error {
	packer, err := f.packer(w)
	if err != nil {
		return err
	}
	if _, err := io.Copy(packer, content); err != nil {
		return err
	}
	return packer.Close()
}

// packer returns the compressor. One thread, as the bytes must not depend on
// how many there are.
func (f *Files) packer(w io.Writer) (io.WriteCloser, error) {
	level := f.output.Level
	switch f.output.Compression {
	case "zstd":
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)))
	case "gz":
		return gzip.NewWriterLevel(w, min(max(level, gzip.BestSpeed), gzip.BestCompression))
	case "xz":
		return xz.NewWriter(w)
	}
	panic("internal error: compression " + f.output.Compression)
}

// links makes mkosi's link, the name without extension, and the alias.
func (f *Files) links() (made []string, err error) {
	target := f.output.imageName()
	for _, name := range []string{f.output.Name, f.output.Alias} {
		if name == "" || name == target {
			continue
		}
		path := f.output.path(name)
		if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		if err := atomic.Symlink(target, path); err != nil {
			return made, err
		}
		made = append(made, path)
	}
	return made, nil
}
