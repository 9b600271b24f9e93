package image_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sextant/internal/dps"
	"sextant/internal/extension"
	"sextant/internal/format/erofs"
	"sextant/internal/format/gpt"
	"sextant/internal/format/pkcs7"
	"sextant/internal/format/verity"
	"sextant/internal/ids"
	"sextant/internal/image"
	"sextant/internal/imagetest"
	"sextant/internal/keys"
	"sextant/internal/report"
	"sextant/internal/signature"
	"sextant/internal/tree"
)

// now is when the tests think they run.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// pair is a key with its certificate.
type pair struct {
	key         *keys.Key
	certificate *x509.Certificate
}

func generate(t testing.TB, algorithm keys.Algorithm, name string) pair {
	t.Helper()
	subject, err := keys.ParseSubject("/CN=" + name)
	if err != nil {
		t.Fatal(err)
	}
	key, certificate, err := keys.Generate(algorithm, subject, 365, now)
	if err != nil {
		t.Fatal(err)
	}
	return pair{key, certificate}
}

// recipe is how a test image is made. The zero recipe is a signed image in the
// smallest disk.
type recipe struct {
	files      *tree.Tree // nil: one tool and its release file
	sectorSize int        // 0: 512
	role       dps.Designator
	noHash     bool
	signature  func(root []byte) []byte // content of the signature partition; nil: none
	tail       int64                    // bytes more in data and hash partition
}

// content is the tree of the extension called name.
func content(name string) imagetest.Builder {
	b := imagetest.NewBuilder()
	b.File("usr/bin/tool", 0o755, "#!/bin/sh\necho tool\n")
	b.File("usr/share/doc/tool/text", 0o644, string(bytes.Repeat([]byte("the sextant measures angles\n"), 200)))
	b.File("usr/lib/extension-release.d/extension-release."+name, 0o644, "ID=_any\nARCHITECTURE=x86-64\n")
	return b
}

// signedBy returns the content of the signature partition by one signer.
func signedBy(t testing.TB, p pair) func(root []byte) []byte {
	return func(root []byte) []byte {
		part, err := signature.Sign(context.Background(), root, p.certificate, p.key, pkcs7.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return part
	}
}

// blob is a ReadWriterAt in memory.
type blob []byte

func (b blob) ReadAt(p []byte, off int64) (int, error)  { return bytes.NewReader(b).ReadAt(p, off) }
func (b blob) WriteAt(p []byte, off int64) (int, error) { return copy(b[off:], p), nil }

// renderEROFS makes a file system of a tree.
func renderEROFS(t testing.TB, files *tree.Tree) blob {
	t.Helper()
	layout, err := erofs.Plan(files, erofs.Options{BuildTime: now})
	if err != nil {
		t.Fatal(err)
	}
	data := make(blob, layout.Size())
	if _, err := layout.Open().ReadAt(data, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return data
}

// hashTree builds the hash area for data.
func hashTree(t testing.TB, data blob) (hash blob, root []byte) {
	t.Helper()
	params := verity.Default(int64(len(data)))
	params.Salt = bytes.Repeat([]byte{7}, 32)
	params.UUID = [16]byte{1, 2, 3}
	g, err := params.Geometry()
	if err != nil {
		t.Fatal(err)
	}
	hash = make(blob, g.Size)
	root, err = verity.Build(context.Background(), hash, data, params)
	if err != nil {
		t.Fatal(err)
	}
	return hash, root
}

// made is a finished test image.
type made struct {
	bytes blob
	root  []byte
	table *gpt.Table
}

// make builds the image.
func (r recipe) make(t testing.TB) made {
	t.Helper()
	if r.files == nil {
		r.files = content("tool").Tree
	}
	if r.sectorSize == 0 {
		r.sectorSize = 512
	}
	if r.role == "" {
		r.role = dps.Root
	}
	data := renderEROFS(t, r.files)
	hash, root := hashTree(t, data)
	contents := []blob{append(data, make(blob, r.tail)...)}
	if !r.noHash {
		contents = append(contents, append(hash, make(blob, r.tail)...))
	}
	if r.signature != nil {
		contents = append(contents, r.signature(root))
	}
	return r.assemble(t, contents, root)
}

// assemble puts the partitions into a disk.
func (r recipe) assemble(t testing.TB, contents []blob, root []byte) made {
	t.Helper()
	hashRole, _ := r.role.Verity()
	sigRole, _ := r.role.VeritySig()
	at := max(int64(40*512), 6*int64(r.sectorSize))
	table := &gpt.Table{}
	sector := int64(r.sectorSize)
	dataUUID, hashUUID := ids.VerityPartitions(root)
	uuids := []gpt.GUID{dataUUID, hashUUID, {9, 9}}
	var starts []int64
	for i, role := range []dps.Designator{r.role, hashRole, sigRole}[:len(contents)] {
		if r.noHash && i == 1 {
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
	size := gpt.SizeFor((at+4095)/4096*4096, r.sectorSize)
	sized, err := gpt.New(size, r.sectorSize)
	if err != nil {
		t.Fatal(err)
	}
	sized.DiskGUID, sized.Partitions = gpt.GUID{5, 5, 5}, table.Partitions
	disk := make(blob, size)
	if err := gpt.Write(disk, size, sized); err != nil {
		t.Fatal(err)
	}
	for i, c := range contents {
		copy(disk[starts[i]:], c)
	}
	return made{disk, root, sized}
}

// span returns where the partition with the given number is.
func (m made) part(number int) (start, end int64) {
	s := m.table.Span(m.table.Partitions[number-1])
	return s.Offset, s.End()
}

// verify checks image bytes without a file.
func verify(t testing.TB, b blob, opts image.Options) *image.Checked {
	t.Helper()
	m, err := image.Read(b, int64(len(b)))
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	found, err := m.Verify(t.Context(), opts)
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	return found
}

// verifyFile checks the image or directory at path.
func verifyFile(t testing.TB, path string, opts image.Options) *image.Checked {
	t.Helper()
	m, err := image.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	found, err := m.Verify(t.Context(), opts)
	if err != nil {
		t.Fatalf("Verify(%s): %v", path, err)
	}
	return found
}

// summary gives the findings as "severity id", in order, each once.
func summary(found *image.Checked) (list []string) {
	seen := make(map[string]bool)
	for _, f := range found.Findings {
		if s := f.Severity.String() + " " + f.ID; !seen[s] {
			seen[s] = true
			list = append(list, s)
		}
	}
	return list
}

// worse reports whether there is at least a warning.
func worse(found *image.Checked) bool {
	worst, any := found.Worst()
	return any && worst >= report.Warning
}

func writeImage(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// reseal makes the checksums of a copy of the table right again, after entries
// or header were changed.
func reseal(b blob, headerAt, entriesAt int64) {
	le := binary.LittleEndian
	entries := b[entriesAt:][:int64(le.Uint32(b[headerAt+80:]))*int64(le.Uint32(b[headerAt+84:]))]
	le.PutUint32(b[headerAt+88:], crc32.ChecksumIEEE(entries))
	le.PutUint32(b[headerAt+16:], 0)
	le.PutUint32(b[headerAt+16:], crc32.ChecksumIEEE(b[headerAt:][:92]))
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// host is a system that extensions are checked against.
func host(t testing.TB, text string) *extension.Host {
	t.Helper()
	release, err := extension.ParseRelease([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &extension.Host{OS: release, Architecture: "x86-64", Scope: extension.System}
}
