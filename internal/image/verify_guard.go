package image

import (
	"errors"
	"fmt"
	"io"
	"os"

	"sextant/internal/dps"
	"sextant/internal/format/gpt"
	"sextant/internal/ids"
	"sextant/internal/signature"
	"sextant/internal/verdict"
)

// guard is what protects the data of a volume.
type guard struct {
	place string // of the hash tree
	hash  *io.SectionReader
	file  *os.File // of a hash tree beside the image
	root  []byte   // root hash, nil if there is none that can be used

	signed *signature.Signature // nil without a signature that can be read
	sealed string               // where the signature is, "" if there is none

	// used says that the release reads the data through dm-verity.
	used bool
}

func (g *guard) close() {
	if g != nil && g.file != nil {
		g.file.Close()
	}
}

// guard finds what protects a volume. A nil one protects nothing.
func (v *verifier) guard(vol Volume) (*guard, error) {
	switch {
	case v.m.Table == nil:
		return v.guardBeside()
	case vol.Hash == nil:
		return nil, nil
	}
	g := &guard{place: vol.Hash.Name(), hash: v.m.Section(vol.Hash), root: vol.RootHash()}
	beside := v.rootBeside(vol)
	g.used = v.usesTree(vol, beside != nil)
	v.settle(vol, g)
	if vol.Signature != nil {
		if err := v.readSignature(g, vol.Signature); err != nil {
			return nil, err
		}
	}
	if g.signed != nil {
		g.root = g.signed.RootHash
	}
	if beside != nil {
		v.compareRoots(g, beside)
	}
	v.compareUUIDs(vol, g.root)
	return g, v.sealBeside(g)
}

// guessRelease is the first release that takes the root hash from the UUIDs of
// the partitions (dissect-image.c).
const guessRelease = 258

// usesTree reports whether the release uses the hash tree of a partition. Up
// to 257 it needs to be told the root hash, and without a side-car it looks for
// the signature of a root partition only.
func (v *verifier) usesTree(vol Volume, beside bool) bool {
	return v.opts.Systemd >= guessRelease || beside || vol.Signature != nil && vol.Role() == dps.Root
}

// readSignature reads the signature partition. What is wrong with its text is
// a finding.
func (v *verifier) readSignature(g *guard, p *Part) error {
	g.sealed = p.Name()
	if p.Span.Length > signature.MaxPartition {
		v.add(verdict.SignatureBroken, p.Name(), "has %d bytes, systemd reads at most %d", p.Span.Length, signature.MaxPartition)
		return nil
	}
	content := make([]byte, p.Span.Length)
	if _, err := v.m.Section(p).ReadAt(content, 0); err != nil && err != io.EOF {
		return fmt.Errorf("read %s: %w", p.Name(), err)
	}
	var err error
	g.signed, err = signature.Parse(content)
	return v.orFinding(verdict.SignatureBroken, p.Name(), err)
}

// rootBeside returns the root hash beside the image, nil if there is none for
// the volume.
func (v *verifier) rootBeside(vol Volume) []byte {
	b := v.m.Beside
	if b.RootHash == "" || b.Role != vol.Role() {
		return nil
	}
	root, err := b.Root()
	if err != nil {
		v.addError(verdict.SidecarBroken, b.From, err)
	}
	return root
}

// compareRoots takes the root hash from beside the image. systemd then wants
// it in the UUIDs and in the signature partition.
func (v *verifier) compareRoots(g *guard, beside []byte) {
	if g.signed != nil && string(g.signed.RootHash) != string(beside) {
		v.add(verdict.SignatureBroken, g.sealed, "is for root hash %x, %s has %x", g.signed.RootHash, v.m.Beside.From, beside)
	}
	g.root = beside
}

// compareUUIDs checks that the UUIDs of the partitions are the halves of the
// root hash. Where that lies beside the image, systemd looks for partitions
// with these UUIDs and refuses the image without them.
func (v *verifier) compareUUIDs(vol Volume, root []byte) {
	data, hash := splitRoot(root)
	if data == vol.Data.UUID && hash == vol.Hash.UUID {
		return
	}
	rule := verdict.PartitionUUID
	if v.m.Beside.RootHash != "" {
		rule = verdict.SidecarBroken
	}
	v.add(rule, "partition table", "the UUIDs of data and hash partition are not the halves of root hash %x", root)
}

// splitRoot returns the halves of a root hash as UUIDs, zeros if it is too
// short.
func splitRoot(root []byte) (data, hash gpt.GUID) {
	if len(root) < 16 {
		return data, hash
	}
	return ids.VerityPartitions(root)
}

// guardBeside finds what protects a bare file system.
func (v *verifier) guardBeside() (*guard, error) {
	b := v.m.Beside
	if b.Tree == "" || b.RootHash == "" || b.Role != dps.Root {
		return nil, nil
	}
	g := &guard{place: b.Tree, used: true}
	var err error
	if g.root, err = b.Root(); err != nil {
		v.addError(verdict.SidecarBroken, b.From, err)
		return nil, nil
	}
	v.settle(Volume{}, g)
	if g.file, err = os.Open(b.Tree); err != nil {
		return nil, err
	}
	size, err := g.file.Seek(0, io.SeekEnd)
	if err != nil {
		g.close()
		return nil, err
	}
	g.hash = io.NewSectionReader(whole{g.file}, 0, size)
	if err := v.sealBeside(g); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// sealBeside reads the signature beside the image, which counts for a root
// hash from there.
func (v *verifier) sealBeside(g *guard) error {
	b := v.m.Beside
	if b.Signature == "" {
		return nil
	}
	text, err := readSmall(b.Signature)
	if err != nil {
		return err
	}
	if len(text) == 0 {
		v.addError(verdict.SidecarBroken, b.Signature, errors.New("is empty"))
		return nil
	}
	g.sealed, g.signed = b.Signature, &signature.Signature{RootHash: g.root, PKCS7: text}
	return nil
}
