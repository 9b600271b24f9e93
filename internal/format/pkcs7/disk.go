package pkcs7

import (
	"crypto"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"sextant/internal/fault"
)

// MaxSize is the size in bytes of the largest signature that Parse reads. It
// is systemd's limit for a whole signature partition (dissect-image.c,
// dissected_image_load_verity_sig_partition).
const MaxSize = 4 << 20

// maxSigners bounds the work that one signature can ask for.
const maxSigners = 64

// OID is an ASN.1 object identifier in dotted form.
type OID string

// The object identifiers that the format and its algorithms use.
const (
	OIDData       OID = "1.2.840.113549.1.7.1"
	OIDSignedData OID = "1.2.840.113549.1.7.2"

	OIDContentType       OID = "1.2.840.113549.1.9.3"
	OIDMessageDigest     OID = "1.2.840.113549.1.9.4"
	OIDSigningTime       OID = "1.2.840.113549.1.9.5"
	OIDSMIMECapabilities OID = "1.2.840.113549.1.9.15"

	OIDSHA1   OID = "1.3.14.3.2.26"
	OIDSHA256 OID = "2.16.840.1.101.3.4.2.1"
	OIDSHA384 OID = "2.16.840.1.101.3.4.2.2"
	OIDSHA512 OID = "2.16.840.1.101.3.4.2.3"

	OIDRSAEncryption OID = "1.2.840.113549.1.1.1"
	OIDSHA256WithRSA OID = "1.2.840.113549.1.1.11"
	OIDSHA384WithRSA OID = "1.2.840.113549.1.1.12"
	OIDSHA512WithRSA OID = "1.2.840.113549.1.1.13"
	OIDRSASSAPSS     OID = "1.2.840.113549.1.1.10"

	OIDECDSAWithSHA256 OID = "1.2.840.10045.4.3.2"
	OIDECDSAWithSHA384 OID = "1.2.840.10045.4.3.3"
	OIDECDSAWithSHA512 OID = "1.2.840.10045.4.3.4"

	OIDEd25519 OID = "1.3.101.112"
)

// String gives the identifier's name in the specifications, and the dotted
// form of one that has no name here.
func (o OID) String() string {
	switch o {
	case OIDData:
		return "data"
	case OIDSignedData:
		return "signedData"
	case OIDContentType:
		return "contentType"
	case OIDMessageDigest:
		return "messageDigest"
	case OIDSigningTime:
		return "signingTime"
	case OIDSMIMECapabilities:
		return "smimeCapabilities"
	case OIDSHA1:
		return "sha1"
	case OIDSHA256:
		return "sha256"
	case OIDSHA384:
		return "sha384"
	case OIDSHA512:
		return "sha512"
	}
	return o.signatureName()
}

func (o OID) signatureName() string {
	switch o {
	case OIDRSAEncryption:
		return "rsaEncryption"
	case OIDSHA256WithRSA:
		return "sha256WithRSAEncryption"
	case OIDSHA384WithRSA:
		return "sha384WithRSAEncryption"
	case OIDSHA512WithRSA:
		return "sha512WithRSAEncryption"
	case OIDRSASSAPSS:
		return "rsassaPss"
	case OIDECDSAWithSHA256:
		return "ecdsa-with-SHA256"
	case OIDECDSAWithSHA384:
		return "ecdsa-with-SHA384"
	case OIDECDSAWithSHA512:
		return "ecdsa-with-SHA512"
	case OIDEd25519:
		return "ed25519"
	}
	return string(o)
}

// Identifier gives the form that encoders take. It panics unless o is in dotted
// form, as all constants are.
func (o OID) Identifier() asn1.ObjectIdentifier {
	var id asn1.ObjectIdentifier
	for arc := range strings.SplitSeq(string(o), ".") {
		n, err := strconv.Atoi(arc)
		if err != nil {
			panic("internal error: object identifier " + string(o))
		}
		id = append(id, n)
	}
	return id
}

// hash gives the hash function that a digest algorithm names.
func (o OID) hash() (crypto.Hash, error) {
	switch o {
	case OIDSHA256:
		return crypto.SHA256, nil
	case OIDSHA384:
		return crypto.SHA384, nil
	case OIDSHA512:
		return crypto.SHA512, nil
	case OIDSHA1:
		return 0, fmt.Errorf("digest sha1 does not bind the content, as collisions can be made: %w", fault.ErrUntrusted)
	}
	return 0, fmt.Errorf("digest %v: %w", o, fault.ErrUnsupported)
}

// SignedData is a PKCS#7 signature as read.
//
//	ContentInfo ::= SEQUENCE {
//	  contentType ContentType,                   -- signedData
//	  content [0] EXPLICIT SignedData }
//
//	SignedData ::= SEQUENCE {                    -- RFC 5652, 5.1
//	  version CMSVersion,
//	  digestAlgorithms SET OF AlgorithmIdentifier,
//	  encapContentInfo SEQUENCE {
//	    eContentType OBJECT IDENTIFIER,
//	    eContent [0] EXPLICIT OCTET STRING OPTIONAL },
//	  certificates [0] IMPLICIT CertificateSet OPTIONAL,
//	  crls [1] IMPLICIT RevocationInfoChoices OPTIONAL,
//	  signerInfos SET OF SignerInfo }
type SignedData struct {
	// Version is 1 for the usual case and 3 with subject key identifiers.
	Version int

	// DigestAlgorithms are the digests that signers may use.
	DigestAlgorithms []OID

	// ContentType is OIDData for a dm-verity signature.
	ContentType OID

	// Content is what stands inside an attached signature, and nil for a
	// detached one. Verify does not look at it.
	Content []byte

	// Certificates holds the DER of each element of the certificate set.
	// Nothing here vouches for them: they are for display only.
	Certificates [][]byte

	// Signers are the signers in the order of the file. There is at least one.
	Signers []Signer
}

// Signer is one signature and the name of the key that made it.
//
//	SignerInfo ::= SEQUENCE {                    -- RFC 5652, 5.3
//	  version CMSVersion,
//	  sid CHOICE {
//	    issuerAndSerialNumber SEQUENCE { issuer Name, serialNumber INTEGER },
//	    subjectKeyIdentifier [0] IMPLICIT OCTET STRING },
//	  digestAlgorithm AlgorithmIdentifier,
//	  signedAttrs [0] IMPLICIT SET OF Attribute OPTIONAL,
//	  signatureAlgorithm AlgorithmIdentifier,
//	  signature OCTET STRING,
//	  unsignedAttrs [1] IMPLICIT SET OF Attribute OPTIONAL }
type Signer struct {
	// Version is 1 with issuer and serial number, 3 with a key identifier.
	Version int

	// Issuer is the DER of the issuer's Name, and Serial the serial number of
	// the signer's certificate. Both are nil if SubjectKeyID is set.
	Issuer []byte
	Serial *big.Int

	// SubjectKeyID names the certificate instead of Issuer and Serial.
	SubjectKeyID []byte

	// Digest is the algorithm over the content, Algorithm the one that made
	// Signature.
	Digest    OID
	Algorithm OID

	// Attributes are the signed attributes; nil means that the signature is
	// over the content itself.
	Attributes *Attributes

	// Signature is PKCS#1 v1.5 for RSA and a DER ECDSA-Sig-Value for ECDSA.
	Signature []byte
}

// Attributes are the signed attributes of a signer.
//
//	Attribute ::= SEQUENCE {
//	  attrType OBJECT IDENTIFIER,
//	  attrValues SET OF AttributeValue }
type Attributes struct {
	// ContentType repeats the content type, MessageDigest is the digest of
	// the content. Both must be present (RFC 5652, 5.3).
	ContentType   OID
	MessageDigest []byte

	// Types lists all attributes in the order of the file.
	Types []OID

	// Signed is the DER "SET OF Attribute" that the signature is over.
	Signed []byte
}
