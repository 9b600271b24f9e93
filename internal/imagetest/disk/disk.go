// Package disk makes small disk images for tests, whole and signed, of which
// tests then damage what they like.
package disk

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/binary"
	"hash/crc32"
	"io"
	"testing"
	"time"

	"sextant/internal/dps"
	"sextant/internal/format/erofs"
	"sextant/internal/format/gpt"
	"sextant/internal/format/pkcs7"
	"sextant/internal/format/verity"
	"sextant/internal/ids"
	"sextant/internal/imagetest"
	"sextant/internal/keys"
	"sextant/internal/signature"
	"sextant/internal/tree"
)

// Now is when certificates are made.
func Now() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

// Pair is a key with its certificate.
type Pair struct {
	Key         *keys.Key
	Certificate *x509.Certificate
}

// Generate makes a pair that is valid for a year from Now on.
func Generate(t testing.TB, algorithm keys.Algorithm, name string) Pair {
	t.Helper()
	subject, err := keys.ParseSubject("/CN=" + name)
	if err != nil {
		t.Fatal(err)
	}
	key, certificate, err := keys.Generate(algorithm, subject, 365, Now())
	if err != nil {
		t.Fatal(err)
	}
	return Pair{key, certificate}
}

// Recipe is how a test image is made. The zero Recipe is an image with a hash
// tree and without signature, in the smallest disk.
type Recipe struct {
	Files      *tree.Tree // nil: one tool and its release file
	SectorSize int        // 0: 512
	Role       dps.Designator
	NoHash     bool
	Signature  func(root []byte) []byte // content of the signature partition; nil: none
	Tail       int64                    // bytes more in data and hash partition
}

// Content is the tree of the extension called name.
func Content(name string) imagetest.Builder {
	b := imagetest.NewBuilder()
	b.File("usr/bin/tool", 0o755, "#!/bin/sh\necho tool\n")
	b.File("usr/share/doc/tool/text", 0o644, string(bytes.Repeat([]byte("the sextant measures angles\n"), 200)))
	b.File("usr/lib/extension-release.d/extension-release."+name, 0o644, "ID=_any\nARCHITECTURE=x86-64\n")
	return b
}

// SignedBy returns the content of the signature partition by one signer.
func SignedBy(t testing.TB, p Pair) func(root []byte) []byte {
	return func(root []byte) []byte {
		part, err := signature.Sign(context.Background(), root, p.Certificate, p.Key, pkcs7.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return part
	}
}

// Blob is a file in memory.
type Blob []byte

// ReadAt implements io.ReaderAt.
func (b Blob) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(b).ReadAt(p, off) }

// WriteAt implements io.WriterAt.
func (b Blob) WriteAt(p []byte, off int64) (int, error) { return copy(b[off:], p), nil }

// RenderEROFS makes a file system of a tree.
func RenderEROFS(t testing.TB, files *tree.Tree) Blob {
	t.Helper()
	layout, err := erofs.Plan(files, erofs.Options{BuildTime: Now()})
	if err != nil {
		t.Fatal(err)
	}
	data := make(Blob, layout.Size())
	if _, err := layout.Open().ReadAt(data, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return data
}

// HashTree builds the hash area for data.
func HashTree(t testing.TB, data Blob) (hash Blob, root []byte) {
	t.Helper()
	params := verity.Default(int64(len(data)))
	params.Salt = bytes.Repeat([]byte{7}, 32)
	params.UUID = [16]byte{1, 2, 3}
	g, err := params.Geometry()
	if err != nil {
		t.Fatal(err)
	}
	hash = make(Blob, g.Size)
	root, err = verity.Build(context.Background(), hash, data, params)
	if err != nil {
		t.Fatal(err)
	}
	return hash, root
}

// Disk is a finished test image.
type Disk struct {
	Bytes Blob
	Root  []byte
	Table *gpt.Table
}

// Make builds the image.
func (r Recipe) Make(t testing.TB) Disk {
	t.Helper()
	if r.Files == nil {
		r.Files = Content("tool").Tree
	}
	if r.SectorSize == 0 {
		r.SectorSize = 512
	}
	if r.Role == "" {
		r.Role = dps.Root
	}
	data := RenderEROFS(t, r.Files)
	hash, root := HashTree(t, data)
	contents := []Blob{append(data, make(Blob, r.Tail)...)}
	if !r.NoHash {
		contents = append(contents, append(hash, make(Blob, r.Tail)...))
	}
	if r.Signature != nil {
		contents = append(contents, r.Signature(root))
	}
	return r.assemble(t, contents, root)
}

// assemble puts the partitions into a disk.
func (r Recipe) assemble(t testing.TB, contents []Blob, root []byte) Disk {
	t.Helper()
	hashRole, _ := r.Role.Verity()
	sigRole, _ := r.Role.VeritySig()
	at := max(int64(40*512), 6*int64(r.SectorSize))
	if len(contents[0]) > 3<<20 {
		at = 1 << 20 // where partitions of larger disks begin
	}
	table := &gpt.Table{}
	sector := int64(r.SectorSize)
	dataUUID, hashUUID := ids.VerityPartitions(root)
	uuids := []gpt.GUID{dataUUID, hashUUID, {9, 9}}
	var starts []int64
	for i, role := range []dps.Designator{r.Role, hashRole, sigRole}[:len(contents)] {
		if r.NoHash && i == 1 {
			role = sigRole
		}
		kind, _ := dps.TypeFor(role, dps.X86_64)
		at = (at + 4095) / 4096 * 4096
		starts = append(starts, at)
		end := at + int64(len(contents[i]))
		table.Partitions = append(table.Partitions, gpt.Partition{
			Type: kind.UUID, UUID: uuids[i], Name: kind.Name, Attributes: gpt.ReadOnly,
			First: uint64(at / sector), Last: uint64((end+sector-1)/sector - 1),
		})
		at = end
	}
	size := gpt.SizeFor((at+4095)/4096*4096, r.SectorSize)
	sized, err := gpt.New(size, r.SectorSize)
	if err != nil {
		t.Fatal(err)
	}
	sized.DiskGUID, sized.Partitions = gpt.GUID{5, 5, 5}, table.Partitions
	disk := make(Blob, size)
	if err := gpt.Write(disk, size, sized); err != nil {
		t.Fatal(err)
	}
	for i, c := range contents {
		copy(disk[starts[i]:], c)
	}
	return Disk{disk, root, sized}
}

// Part returns where the partition with the given number begins and ends.
func (m Disk) Part(number int) (start, end int64) {
	s := m.Table.Span(m.Table.Partitions[number-1])
	return s.Offset, s.End()
}

// Reseal makes the checksums of a copy of the table right again, after entries
// or header were changed.
func Reseal(b Blob, headerAt, entriesAt int64) {
	le := binary.LittleEndian
	entries := b[entriesAt:][:int64(le.Uint32(b[headerAt+80:]))*int64(le.Uint32(b[headerAt+84:]))]
	le.PutUint32(b[headerAt+88:], crc32.ChecksumIEEE(entries))
	le.PutUint32(b[headerAt+16:], 0)
	le.PutUint32(b[headerAt+16:], crc32.ChecksumIEEE(b[headerAt:][:92]))
}
