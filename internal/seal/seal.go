// Package seal puts the signature into an image that was built without one.
//
//	image ─ root hash ─ every block checked ─ signature ─┬─ new partition, in place
//	                                                     └─ other content, in a copy
//
// A first signature is written to the space behind the hash partition, or to
// any other that is free, and only then gets its entry in both partition tables. Whoever
// reads the image at any moment sees it signed or unsigned, never broken. To
// replace a signature its bytes would have to change under the readers, so
// that is done in a copy, which then takes the image's name.
package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"sextant/internal/atomic"
	"sextant/internal/dps"
	"sextant/internal/extension"
	"sextant/internal/fault"
	"sextant/internal/format/gpt"
	"sextant/internal/format/verity"
	"sextant/internal/ids"
	"sextant/internal/image"
	"sextant/internal/plan"
	"sextant/internal/signature"
	"sextant/internal/span"
)

// Options say how an image is signed.
type Options struct {
	// Sign returns the content of the signature partition for a root hash.
	Sign func(rootHash []byte) ([]byte, error)

	// Force replaces a signature that is there.
	Force bool

	// Seed is what the id of the partition is derived from. Without one it is
	// the default seed, if the image was built with that, else the disk's GUID.
	Seed *ids.Seed
}

// ErrSigned says that the image has a signature already.
var ErrSigned = errors.New("is signed already")

// Sealed is what was done.
type Sealed struct {
	RootHash  []byte
	Partition gpt.Partition
	Replaced  bool // there was a signature before
}

// Seal signs the image at path. After an error the image is as it was.
func Seal(ctx context.Context, path string, opts Options) (*Sealed, error) {
	// A rename must not replace a link with an image.
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	m, err := image.Open(path)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	vol, err := volume(m)
	if err != nil {
		return nil, err
	}
	if vol.Signature != nil && !opts.Force && !blank(m, vol.Signature) {
		return nil, fmt.Errorf("%s %w", vol.Signature.Name(), ErrSigned)
	}
	root := vol.RootHash()
	if err := check(ctx, m, vol, root); err != nil {
		return nil, err
	}
	content, err := opts.Sign(root)
	if err != nil {
		return nil, err
	}
	if vol.Signature != nil {
		return replace(path, vol, root, content)
	}
	return add(path, m, vol, root, content, opts)
}

// volume returns the one volume of the image that can be signed.
func volume(m *image.Image) (image.Volume, error) {
	var found []image.Volume
	for _, v := range m.Volumes() {
		if v.Hash != nil {
			found = append(found, v)
		}
	}
	switch {
	case m.Table == nil:
		return image.Volume{}, fmt.Errorf("has no partition table, so a signature has no place in it: %w", fault.ErrUnsupported)
	case len(found) == 0:
		return image.Volume{}, fmt.Errorf("has no hash partition, so there is no root hash to sign: %w", fault.ErrUnsupported)
	case len(found) > 1:
		return image.Volume{}, fmt.Errorf("has hash partitions for both root and usr: %w", fault.ErrUnsupported)
	}
	return found[0], gpt.Err(m.Problems)
}

// blank reports whether a signature partition was never written. Such an image
// is refused by systemd, so there is nothing to lose.
func blank(m *image.Image, p *image.Part) bool {
	content := make([]byte, min(p.Span.Length, signature.MaxPartition))
	if _, err := m.Section(p).ReadAt(content, 0); err != nil && err != io.EOF {
		return false
	}
	_, err := signature.Parse(content)
	return errors.Is(err, signature.ErrBlank)
}

// check verifies every block: a signature says that the content is what its
// author meant, and nobody can mean a broken one.
func check(ctx context.Context, m *image.Image, vol image.Volume, root []byte) error {
	params, err := verity.ReadSuperblock(m.Section(vol.Hash), vol.Hash.Span.Length)
	if err != nil {
		return fmt.Errorf("%s: %w", vol.Hash.Name(), err)
	}
	if params.DataSize() > vol.Data.Span.Length {
		return fmt.Errorf("%s: covers %d bytes, %s has %d: %w", vol.Hash.Name(), params.DataSize(), vol.Data.Name(), vol.Data.Span.Length, fault.ErrCorrupt)
	}
	found, err := verity.Verify(ctx, m.Section(vol.Data), m.Section(vol.Hash), params, root)
	if err == nil {
		err = found.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", vol.Hash.Name(), err)
	}
	return nil
}

// replace writes a copy of the image with other content in its signature
// partition.
func replace(path string, vol image.Volume, root, content []byte) (*Sealed, error) {
	p := vol.Signature
	if int64(len(content)) > p.Span.Length {
		return nil, fmt.Errorf("%s has %d bytes, the signature needs %d", p.Name(), p.Span.Length, len(content))
	}
	padded := make([]byte, p.Span.Length)
	copy(padded, content)
	if err := rewrite(path, padded, p.Span.Offset); err != nil {
		return nil, err
	}
	return &Sealed{RootHash: root, Partition: p.Partition, Replaced: true}, nil
}

// rewrite gives the file at path other bytes at an offset, through a copy that
// takes its name.
func rewrite(path string, content []byte, offset int64) error {
	old, err := os.Open(path)
	if err != nil {
		return err
	}
	defer old.Close()
	info, err := old.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("replace a signature in something that is not a file: %w", fault.ErrUnsupported)
	}
	f, err := atomic.Create(path, info.Mode().Perm())
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := io.Copy(f, old); err != nil {
		return err
	}
	if _, err := f.WriteAt(content, offset); err != nil {
		return err
	}
	return f.Commit()
}

// add writes the content to free space and then gives it an entry.
func add(path string, m *image.Image, vol image.Volume, root, content []byte, opts Options) (*Sealed, error) {
	p, at, err := newPartition(m, vol, int64(len(content)), opts)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.WriteAt(content, at); err != nil {
		return nil, err
	}
	// The content must be there before anything points to it.
	if err := f.Sync(); err != nil {
		return nil, err
	}
	if err := gpt.Add(f, m.Size, p); err != nil {
		return nil, fmt.Errorf("partition table: %w", err)
	}
	return &Sealed{RootHash: root, Partition: p}, f.Close()
}

// newPartition returns the entry for a signature of the given size, and its
// offset in bytes.
func newPartition(m *image.Image, vol image.Volume, size int64, opts Options) (gpt.Partition, int64, error) {
	role, _ := vol.Data.Type.Designator.VeritySig()
	kind, ok := dps.TypeFor(role, vol.Data.Type.Architecture)
	if !ok {
		panic("internal error: no signature type for " + vol.Data.Type.Name)
	}
	at, err := room(m.Free(), vol.Hash.Span.End(), size)
	if err != nil {
		return gpt.Partition{}, 0, err
	}
	sector := int64(m.Table.SectorSize)
	return gpt.Partition{
		Type: kind.UUID, UUID: seedOf(m, vol, opts).Partition(kind.UUID, 0),
		First: uint64(at / sector), Last: uint64((at+size)/sector - 1),
		Attributes: gpt.ReadOnly, Name: kind.Name,
	}, at, nil
}

// room returns where size bytes are free: behind the hash partition if
// possible, where Verity=defer keeps the space.
func room(free []span.Span, preferred, size int64) (int64, error) {
	found := int64(-1)
	for _, gap := range free {
		at := span.AlignUp(gap.Offset, plan.Grain)
		if at+size > gap.End() {
			continue
		}
		if gap.Offset == preferred {
			return at, nil
		}
		if found < 0 {
			found = at
		}
	}
	if found < 0 {
		return 0, fmt.Errorf("no %d bytes are free for the signature: %w", size, fault.ErrUnsupported)
	}
	return found, nil
}

// seedOf returns the seed that the image was built with, as far as that can be
// known: then it is the same as if it had been signed at once.
func seedOf(m *image.Image, vol image.Volume, opts Options) ids.Seed {
	if opts.Seed != nil {
		return *opts.Seed
	}
	fsys, _, err := m.FileSystem(vol.Data)
	if err != nil {
		return ids.Seed(m.Table.DiskGUID)
	}
	found, err := image.Extensions(fsys)
	if err != nil {
		return ids.Seed(m.Table.DiskGUID)
	}
	for _, e := range found {
		if seed := defaultSeed(e.Class, e.Name); seed.Disk() == m.Table.DiskGUID {
			return seed
		}
	}
	return ids.Seed(m.Table.DiskGUID)
}

func defaultSeed(class extension.Class, name string) ids.Seed {
	return ids.DefaultSeed(class.String(), name)
}
