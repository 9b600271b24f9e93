package pkcs7

import (
	"encoding/asn1"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"

	"sextant/internal/fault"
)

// Context-specific tags. A constructed [0] is explicit content, a certificate
// set or signed attributes; a primitive one is a subject key identifier.
const (
	explicit0  = tag.Tag(0xa0)
	explicit1  = tag.Tag(0xa1)
	primitive0 = tag.Tag(0x80)
)

// Parse reads a signature in DER or BER. It checks the structure, not the
// signatures. Errors wrap fault.ErrCorrupt if the bytes are not what RFC 5652
// says, and fault.ErrUnsupported for other CMS content types and for sizes
// beyond what this package reads.
func Parse(data []byte) (*SignedData, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("signature of %d bytes, where at most %d are read: %w", len(data), MaxSize, fault.ErrUnsupported)
	}
	der, err := DER(data)
	if err != nil {
		return nil, err
	}
	body, err := readContentInfo(cryptobyte.String(der))
	if err != nil {
		return nil, err
	}
	return readSignedData(body)
}

// readContentInfo returns what is inside the SignedData SEQUENCE.
func readContentInfo(s cryptobyte.String) (cryptobyte.String, error) {
	var info, content, signedData cryptobyte.String
	if !s.ReadASN1(&info, tag.SEQUENCE) {
		return nil, malformed("ContentInfo")
	}
	kind, ok := readOID(&info)
	if !ok {
		return nil, malformed("contentType")
	}
	if kind != OIDSignedData {
		return nil, fmt.Errorf("content type %v instead of signedData: %w", kind, fault.ErrUnsupported)
	}
	if !info.ReadASN1(&content, explicit0) || !info.Empty() {
		return nil, malformed("ContentInfo")
	}
	if !content.ReadASN1(&signedData, tag.SEQUENCE) || !content.Empty() {
		return nil, malformed("SignedData")
	}
	return signedData, nil
}

func readSignedData(s cryptobyte.String) (*SignedData, error) {
	var d SignedData
	if !s.ReadASN1Integer(&d.Version) || d.Version < 0 || d.Version > 5 {
		return nil, malformed("SignedData version")
	}
	var err error
	if d.DigestAlgorithms, err = readAlgorithms(&s); err != nil {
		return nil, err
	}
	if err := d.readContent(&s); err != nil {
		return nil, err
	}
	if d.Certificates, err = readCertificates(&s); err != nil {
		return nil, err
	}
	if !s.SkipOptionalASN1(explicit1) { // crls: systemd and the kernel ignore them
		return nil, malformed("crls")
	}
	if d.Signers, err = readSigners(&s); err != nil {
		return nil, err
	}
	if !s.Empty() {
		return nil, malformed("end of SignedData")
	}
	return &d, nil
}

// readAlgorithms reads the digestAlgorithms.
func readAlgorithms(s *cryptobyte.String) (algorithms []OID, err error) {
	var set cryptobyte.String
	if !s.ReadASN1(&set, tag.SET) {
		return nil, malformed("digestAlgorithms")
	}
	for !set.Empty() {
		algorithm, ok := readAlgorithm(&set)
		if !ok || len(algorithms) == maxSigners {
			return nil, malformed("digestAlgorithms")
		}
		algorithms = append(algorithms, algorithm)
	}
	return algorithms, nil
}

// readContent reads the encapContentInfo.
func (d *SignedData) readContent(s *cryptobyte.String) error {
	var info, wrapper, content cryptobyte.String
	var attached, ok bool
	if !s.ReadASN1(&info, tag.SEQUENCE) {
		return malformed("encapContentInfo")
	}
	if d.ContentType, ok = readOID(&info); !ok {
		return malformed("eContentType")
	}
	if !info.ReadOptionalASN1(&wrapper, &attached, explicit0) || !info.Empty() {
		return malformed("encapContentInfo")
	}
	if !attached {
		return nil
	}
	if !wrapper.ReadASN1(&content, tag.OCTET_STRING) || !wrapper.Empty() {
		return malformed("eContent")
	}
	d.Content = append([]byte{}, content...)
	return nil
}

// readCertificates splits the certificate set. Its elements are not looked
// into: a damaged one harms nobody, as none is trusted.
func readCertificates(s *cryptobyte.String) (certificates [][]byte, err error) {
	var set cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&set, &present, explicit0) {
		return nil, malformed("certificates")
	}
	for !set.Empty() {
		var element cryptobyte.String
		var kind tag.Tag
		if !set.ReadAnyASN1Element(&element, &kind) {
			return nil, malformed("certificates")
		}
		certificates = append(certificates, element)
	}
	return certificates, nil
}

func readSigners(s *cryptobyte.String) (signers []Signer, err error) {
	var set cryptobyte.String
	if !s.ReadASN1(&set, tag.SET) {
		return nil, malformed("signerInfos")
	}
	for !set.Empty() {
		if len(signers) == maxSigners {
			return nil, fmt.Errorf("more than %d signers: %w", maxSigners, fault.ErrUnsupported)
		}
		var body cryptobyte.String
		if !set.ReadASN1(&body, tag.SEQUENCE) {
			return nil, malformed("SignerInfo")
		}
		signer, err := readSigner(body)
		if err != nil {
			return nil, fmt.Errorf("signer %d: %w", len(signers)+1, err)
		}
		signers = append(signers, signer)
	}
	if len(signers) == 0 {
		return nil, fmt.Errorf("no signer: %w", fault.ErrCorrupt)
	}
	return signers, nil
}

func readSigner(s cryptobyte.String) (Signer, error) {
	var signer Signer
	var ok bool
	if !s.ReadASN1Integer(&signer.Version) {
		return signer, malformed("SignerInfo version")
	}
	if !signer.readName(&s) {
		return signer, malformed("signer identifier")
	}
	if named := signer.SubjectKeyID == nil; named && signer.Version != 1 || !named && signer.Version != 3 {
		return signer, fmt.Errorf("SignerInfo version %d for this form of signer identifier: %w", signer.Version, fault.ErrCorrupt)
	}
	if signer.Digest, ok = readAlgorithm(&s); !ok {
		return signer, malformed("digestAlgorithm")
	}
	if s.PeekASN1Tag(explicit0) {
		var err error
		if signer.Attributes, err = readAttributes(&s); err != nil {
			return signer, err
		}
	}
	if signer.Algorithm, ok = readAlgorithm(&s); !ok {
		return signer, malformed("signatureAlgorithm")
	}
	var signature cryptobyte.String
	if !s.ReadASN1(&signature, tag.OCTET_STRING) {
		return signer, malformed("signature")
	}
	signer.Signature = signature
	if !s.SkipOptionalASN1(explicit1) || !s.Empty() { // unsignedAttrs: time stamps
		return signer, malformed("end of SignerInfo")
	}
	return signer, nil
}

// readName reads the sid.
func (s *Signer) readName(in *cryptobyte.String) bool {
	var id, issuer cryptobyte.String
	if in.PeekASN1Tag(primitive0) {
		ok := in.ReadASN1(&id, primitive0) && len(id) > 0
		s.SubjectKeyID = id
		return ok
	}
	s.Serial = new(big.Int)
	if !in.ReadASN1(&id, tag.SEQUENCE) || !id.ReadASN1Element(&issuer, tag.SEQUENCE) {
		return false
	}
	s.Issuer = issuer
	return id.ReadASN1Integer(s.Serial) && id.Empty()
}

// readAttributes reads the signedAttrs. What is signed is not the element in
// the file, which has the tag [0], but the same with the tag of a SET (RFC
// 5652, 5.4). OpenSSL and the kernel hash it in the order of the file.
func readAttributes(s *cryptobyte.String) (*Attributes, error) {
	var element, set cryptobyte.String
	if !s.ReadASN1Element(&element, explicit0) {
		return nil, malformed("signedAttrs")
	}
	attributes := &Attributes{Signed: append([]byte{byte(tag.SET)}, element[1:]...)}
	if !element.ReadASN1(&set, explicit0) {
		return nil, malformed("signedAttrs")
	}
	for !set.Empty() {
		if err := attributes.read(&set); err != nil {
			return nil, err
		}
	}
	if attributes.ContentType == "" || attributes.MessageDigest == nil {
		return nil, fmt.Errorf("signedAttrs without contentType and messageDigest: %w", fault.ErrCorrupt)
	}
	return attributes, nil
}

// read reads one attribute.
func (a *Attributes) read(s *cryptobyte.String) error {
	var attribute, values cryptobyte.String
	if !s.ReadASN1(&attribute, tag.SEQUENCE) {
		return malformed("signed attribute")
	}
	kind, ok := readOID(&attribute)
	if !ok || !attribute.ReadASN1(&values, tag.SET) || !attribute.Empty() {
		return malformed("signed attribute")
	}
	a.Types = append(a.Types, kind)
	switch kind {
	case OIDContentType:
		repeated := a.ContentType != ""
		if a.ContentType, ok = readOID(&values); !ok || repeated || !values.Empty() {
			return malformed("contentType attribute")
		}
	case OIDMessageDigest:
		var digest cryptobyte.String
		if a.MessageDigest != nil || !values.ReadASN1(&digest, tag.OCTET_STRING) || !values.Empty() {
			return malformed("messageDigest attribute")
		}
		a.MessageDigest = append([]byte{}, digest...)
	}
	return nil
}

// readAlgorithm reads an AlgorithmIdentifier and passes over its parameters:
// for the digests and RSA they are NULL or absent, for ECDSA absent.
func readAlgorithm(s *cryptobyte.String) (OID, bool) {
	var algorithm cryptobyte.String
	if !s.ReadASN1(&algorithm, tag.SEQUENCE) {
		return "", false
	}
	return readOID(&algorithm)
}

func readOID(s *cryptobyte.String) (OID, bool) {
	var id asn1.ObjectIdentifier
	ok := s.ReadASN1ObjectIdentifier(&id)
	return OID(id.String()), ok
}

func malformed(what string) error {
	return fmt.Errorf("malformed %s: %w", what, fault.ErrCorrupt)
}
