package image

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"sextant/internal/fault"
	"sextant/internal/format/gpt"
	"sextant/internal/format/verity"
	"sextant/internal/ids"
	"sextant/internal/report"
	"sextant/internal/signature"
	"sextant/internal/span"
)

// Trust is what a signature is checked against.
type Trust struct {
	// Certificates vouch for what their own keys signed, and nothing else.
	Certificates []*x509.Certificate

	// Required makes it an error that none of them vouches for the image; it
	// is a warning otherwise.
	Required bool
}

// Verify checks everything there is to check about the image, reading all of
// it. The error says that it could not look; what is wrong with the image is
// in the report.
func (m *Image) Verify(ctx context.Context, trust Trust) (*report.Report, error) {
	v := &verifier{m: m, trust: trust, r: &report.Report{}}
	v.table()
	volumes := m.Volumes()
	if len(volumes) == 0 {
		v.r.Add(report.Error, "image", "UAPI.3", "no root and no usr partition")
	}
	for _, vol := range volumes {
		if err := v.volume(ctx, vol); err != nil {
			return nil, err
		}
	}
	return v.r, v.slack(ctx)
}

type verifier struct {
	m     *Image
	trust Trust
	r     *report.Report
}

// table reports on the partition table.
func (v *verifier) table() {
	if v.m.Table == nil {
		return
	}
	for _, p := range v.m.Problems {
		severity := report.Warning // the other copy counts
		if p.Place == gpt.PlacePartition {
			severity = report.Error
		}
		v.r.Findings = append(v.r.Findings, report.Finding{
			Severity: severity, Place: string(p.Place), Text: p.Text, Rule: p.Rule, Cause: p,
		})
	}
	if len(v.m.Problems) == 0 {
		v.r.Good("partition table", "%d partitions, sectors of %d bytes", len(v.m.Parts), v.m.Table.SectorSize)
	}
}

// volume checks the root or the usr partition with its hash tree and
// signature, then what is in it. Only an image that could not be read is an
// error.
func (v *verifier) volume(ctx context.Context, vol Volume) error {
	if vol.Hash != nil {
		if err := v.protected(ctx, vol); err != nil {
			return err
		}
	} else if vol.Signature != nil {
		v.r.Add(report.Error, vol.Signature.Name(), "DPS", "a signature, but no hash partition")
	}
	return v.content(vol)
}

// protected checks hash tree and signature.
func (v *verifier) protected(ctx context.Context, vol Volume) error {
	root := vol.RootHash()
	if vol.Signature != nil {
		s, err := v.readSignature(vol.Signature)
		if err != nil {
			if !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) {
				return err
			}
			v.r.AddError(report.Error, vol.Signature.Name(), err)
		} else {
			root = v.signed(vol, s)
		}
	} else {
		v.r.Add(report.Note, "signature", "", "there is none")
	}
	return v.hashTree(ctx, vol, root)
}

func (v *verifier) readSignature(p *Part) (*signature.Signature, error) {
	if p.Span.Length > signature.MaxPartition {
		return nil, fmt.Errorf("partition of %d bytes, systemd reads at most %d: %w", p.Span.Length, signature.MaxPartition, fault.ErrUnsupported)
	}
	content := make([]byte, p.Span.Length)
	if _, err := v.m.Section(p).ReadAt(content, 0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read %s: %w", p.Name(), err)
	}
	return signature.Parse(content)
}

// signed checks who vouches for the root hash, and returns that root hash.
func (v *verifier) signed(vol Volume, s *signature.Signature) (root []byte) {
	data, hash := splitRoot(s.RootHash)
	if data != vol.Data.UUID || hash != vol.Hash.UUID {
		v.r.Add(report.Error, "partition table", "DPS", "the UUIDs of data and hash partition are not the halves of root hash %x", s.RootHash)
	}
	certificate, err := signature.VerifyDetached(s.RootHash, s.PKCS7, v.trust.Certificates)
	if err == nil {
		v.r.Good("signature", "by %s, certificate %s", certificate.Subject, fingerprint(certificate))
		return s.RootHash
	}
	severity := report.Warning
	if v.trust.Required || errors.Is(err, fault.ErrCorrupt) {
		severity = report.Error
	}
	v.r.AddError(severity, "signature", err)
	return s.RootHash
}

// splitRoot returns the halves of a root hash as UUIDs, zeros if it is too
// short.
func splitRoot(root []byte) (data, hash gpt.GUID) {
	if len(root) < 16 {
		return data, hash
	}
	return ids.VerityPartitions(root)
}

// hashTree checks every block of hash tree and data.
func (v *verifier) hashTree(ctx context.Context, vol Volume, root []byte) error {
	hash, data := v.m.Section(vol.Hash), v.m.Section(vol.Data)
	params, err := verity.ReadSuperblock(hash, vol.Hash.Span.Length)
	if err != nil {
		return v.orFinding(vol.Hash.Name(), err)
	}
	if params.DataSize() > vol.Data.Span.Length {
		v.r.Add(report.Error, vol.Hash.Name(), "dm-verity", "the tree covers %d bytes, the data partition has %d", params.DataSize(), vol.Data.Span.Length)
		return nil
	}
	found, err := verity.Verify(ctx, data, hash, params, root)
	if err != nil {
		return v.orFinding(vol.Hash.Name(), err)
	}
	for _, f := range found.Findings {
		severity := report.Error
		if f.Kind == verity.BadPadding || f.Kind == verity.BadSuperblock {
			severity = report.Warning // the kernel does not look
		}
		v.r.Add(severity, vol.Hash.Name(), "dm-verity", "%s does not match", f)
	}
	if err := found.Err(); err == nil {
		v.r.Good("hash tree", "%d data blocks, root hash %s", params.DataBlocks, hex.EncodeToString(root))
	} else if !found.RootMatches {
		v.r.AddError(report.Error, vol.Hash.Name(), fmt.Errorf("root hash %x: %w", root, err))
	}
	return nil
}

// orFinding notes an error about the bytes, and returns one about reading them.
func (v *verifier) orFinding(place string, err error) error {
	if errors.Is(err, fault.ErrCorrupt) || errors.Is(err, fault.ErrUnsupported) || errors.Is(err, fault.ErrUntrusted) {
		v.r.AddError(report.Error, place, err)
		return nil
	}
	return fmt.Errorf("%s: %w", place, err)
}

// slack warns of bytes other than zero in no partition: nothing vouches for
// them, and nothing should be there.
func (v *verifier) slack(ctx context.Context) error {
	for _, gap := range v.m.Free() {
		if err := ctx.Err(); err != nil {
			return err
		}
		place, err := firstNonZero(v.m.r, gap)
		if err != nil {
			return err
		}
		if place >= 0 {
			v.r.Add(report.Warning, "unused space", "", "byte %d is not zero, and in no partition", place)
		}
	}
	return nil
}

// firstNonZero returns the offset of the first byte that is not zero, or -1.
func firstNonZero(r io.ReaderAt, s span.Span) (int64, error) {
	buffer := make([]byte, min(s.Length, 64<<10))
	zeros := make([]byte, len(buffer))
	for at := s.Offset; at < s.End(); at += int64(len(buffer)) {
		buffer = buffer[:min(int64(len(buffer)), s.End()-at)]
		if _, err := r.ReadAt(buffer, at); err != nil && err != io.EOF {
			return 0, fmt.Errorf("read unused space: %w", err)
		}
		if bytes.Equal(buffer, zeros[:len(buffer)]) {
			continue
		}
		for i, b := range buffer {
			if b != 0 {
				return at + int64(i), nil
			}
		}
	}
	return -1, nil
}
