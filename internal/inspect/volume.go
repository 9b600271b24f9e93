package inspect

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"sextant/internal/fault"
	"sextant/internal/format/gpt"
	"sextant/internal/format/pkcs7"
	"sextant/internal/format/verity"
	"sextant/internal/image"
	"sextant/internal/signature"
)

// Volume is the root or the usr file system with what protects it.
type Volume struct {
	Role       string     `json:"role"`
	Partition  int        `json:"partition,omitempty"` // its number
	FileSystem FileSystem `json:"fileSystem"`
	Verity     *Verity    `json:"verity,omitempty"`
	Signature  *Signature `json:"signature,omitempty"`
}

// FileSystem is what its superblock says, or why that cannot be read.
type FileSystem struct {
	image.Facts
	Problem string `json:"problem,omitempty"`
}

// Verity is what the superblock of a hash tree says.
type Verity struct {
	Partition     int    `json:"partition,omitempty"`
	RootHash      string `json:"rootHash"` // what the UUIDs of the partitions stand for
	Algorithm     string `json:"algorithm,omitempty"`
	HashType      string `json:"hashType,omitempty"`
	DataBlockSize int    `json:"dataBlockSize,omitempty"`
	HashBlockSize int    `json:"hashBlockSize,omitempty"`
	DataBlocks    int64  `json:"dataBlocks,omitempty"`
	Salt          string `json:"salt,omitempty"`
	UUID          string `json:"uuid,omitempty"`
	TreeSize      int64  `json:"treeSize,omitempty"` // bytes, superblock included
	Problem       string `json:"problem,omitempty"`
}

// Signature is what a signature partition says. Nothing of it is verified.
type Signature struct {
	Partition    int           `json:"partition,omitempty"`
	RootHash     string        `json:"rootHash,omitempty"`
	Matches      bool          `json:"matches"` // it is for the root hash of the UUIDs
	Fingerprint  string        `json:"fingerprint,omitempty"`
	Signers      []Signer      `json:"signers"`
	Certificates []Certificate `json:"certificates"` // those inside
	Problem      string        `json:"problem,omitempty"`
}

// Signer says who signed, and how.
type Signer struct {
	Issuer     string `json:"issuer,omitempty"`
	Serial     string `json:"serial,omitempty"` // hexadecimal
	KeyID      string `json:"subjectKeyId,omitempty"`
	Digest     string `json:"digest"`
	Algorithm  string `json:"algorithm"`
	Attributes bool   `json:"signedAttributes"`
}

// Certificate is one that the signature brings along.
type Certificate struct {
	Subject     string    `json:"subject,omitempty"`
	Issuer      string    `json:"issuer,omitempty"`
	Serial      string    `json:"serial,omitempty"`
	Fingerprint string    `json:"fingerprint"`
	NotBefore   time.Time `json:"notBefore,omitzero"`
	NotAfter    time.Time `json:"notAfter,omitzero"`
	Key         string    `json:"key,omitempty"`
	Problem     string    `json:"problem,omitempty"`
}

func newVolume(m *image.Image, vol image.Volume) (Volume, error) {
	v := Volume{Role: string(vol.Role()), Partition: vol.Data.Number}
	facts, err := m.Facts(vol.Data)
	v.FileSystem.Facts = facts
	if err != nil {
		if v.FileSystem.Problem, err = understood(err); err != nil {
			return v, fmt.Errorf("%s: %w", vol.Data.Name(), err)
		}
	}
	if vol.Hash != nil {
		if v.Verity, err = newVerity(m, vol); err != nil {
			return v, fmt.Errorf("%s: %w", vol.Hash.Name(), err)
		}
	}
	if vol.Signature != nil {
		if v.Signature, err = newSignature(m, vol); err != nil {
			return v, fmt.Errorf("%s: %w", vol.Signature.Name(), err)
		}
	}
	return v, nil
}

// protection returns systemd's word for the column verity.
func (v Volume) protection(m *image.Image) string {
	switch {
	case m.Table == nil:
		return ""
	case v.Signature != nil && v.Verity != nil:
		return "signed"
	case v.Verity != nil:
		return "yes"
	}
	return "no"
}

func newVerity(m *image.Image, vol image.Volume) (*Verity, error) {
	v := &Verity{Partition: vol.Hash.Number, RootHash: hex.EncodeToString(vol.RootHash())}
	p, err := verity.ReadSuperblock(m.Section(vol.Hash), vol.Hash.Span.Length)
	if err != nil {
		v.Problem, err = understood(err)
		return v, err
	}
	v.Algorithm, v.HashType, v.DataBlocks = string(p.Algorithm), p.HashType.String(), p.DataBlocks
	v.DataBlockSize, v.HashBlockSize = p.DataBlockSize, p.HashBlockSize
	v.Salt, v.UUID = hex.EncodeToString(p.Salt), gpt.GUID(p.UUID).String()
	if g, err := p.Geometry(); err == nil {
		v.TreeSize = g.Size
	}
	return v, nil
}

func newSignature(m *image.Image, vol image.Volume) (*Signature, error) {
	s := &Signature{Partition: vol.Signature.Number, Signers: []Signer{}, Certificates: []Certificate{}}
	read, err := readSignature(m, vol.Signature)
	if err != nil {
		s.Problem, err = understood(err)
		return s, err
	}
	s.RootHash, s.Fingerprint = hex.EncodeToString(read.RootHash), read.Fingerprint
	s.Matches = vol.Hash != nil && bytes.Equal(read.RootHash, vol.RootHash())
	signed, err := pkcs7.Parse(read.PKCS7)
	if err != nil {
		s.Problem, err = understood(fmt.Errorf("PKCS#7: %w", err))
		return s, err
	}
	for n := range signed.Signers {
		s.Signers = append(s.Signers, newSigner(&signed.Signers[n]))
	}
	for _, der := range signed.Certificates {
		s.Certificates = append(s.Certificates, newCertificate(der))
	}
	return s, nil
}

// readSignature reads a signature partition.
func readSignature(m *image.Image, p *image.Part) (*signature.Signature, error) {
	content, err := signatureBytes(m, p)
	if err != nil {
		return nil, err
	}
	return signature.Parse(content)
}

func signatureBytes(m *image.Image, p *image.Part) ([]byte, error) {
	if p.Span.Length > signature.MaxPartition {
		return nil, fmt.Errorf("partition of %d bytes, systemd reads at most %d: %w", p.Span.Length, signature.MaxPartition, fault.ErrUnsupported)
	}
	content := make([]byte, p.Span.Length)
	if _, err := m.Section(p).ReadAt(content, 0); err != nil && err != io.EOF {
		return nil, err
	}
	return content, nil
}

func newSigner(s *pkcs7.Signer) Signer {
	signer := Signer{
		Issuer: s.IssuerText(), Digest: s.Digest.String(), Algorithm: s.Algorithm.String(),
		KeyID: hex.EncodeToString(s.SubjectKeyID), Attributes: s.Attributes != nil,
	}
	if s.Serial != nil {
		signer.Serial = s.Serial.Text(16)
	}
	return signer
}

func newCertificate(der []byte) Certificate {
	c := Certificate{Fingerprint: pkcs7.Fingerprint(der)}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		c.Problem = err.Error()
		return c
	}
	c.Subject, c.Issuer, c.Serial = parsed.Subject.String(), parsed.Issuer.String(), parsed.SerialNumber.Text(16)
	c.NotBefore, c.NotAfter = parsed.NotBefore.UTC(), parsed.NotAfter.UTC()
	c.Key = keyText(parsed)
	return c
}
