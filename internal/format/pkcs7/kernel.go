package pkcs7

import (
	"fmt"
	"slices"
)

// KernelRefusals lists what the Linux kernel's parser refuses in d though
// OpenSSL, and so systemd, takes it: a signature with one of these can only
// be verified in user space. It is nil for what Sign writes. From
// crypto/asymmetric_keys/pkcs7_parser.c and pkcs7_verify.c and
// certs/system_keyring.c of Linux 6.x.
func (d *SignedData) KernelRefusals() []string {
	var refusals []string
	if d.Version != 1 && d.Version != 3 {
		refusals = append(refusals, fmt.Sprintf("SignedData version %d, not 1 or 3", d.Version))
	}
	if d.ContentType != OIDData {
		refusals = append(refusals, fmt.Sprintf("content type %v, not data", d.ContentType))
	}
	if d.Content != nil {
		refusals = append(refusals, "content inside the signature")
	}
	for i := range d.Signers {
		for _, refusal := range d.Signers[i].kernelRefusals(d.Version) {
			refusals = append(refusals, fmt.Sprintf("signer %d: %s", i+1, refusal))
		}
		if (d.Signers[i].Attributes == nil) != (d.Signers[0].Attributes == nil) {
			refusals = append(refusals, "some signers with and some without signed attributes")
		}
	}
	return refusals
}

func (s *Signer) kernelRefusals(dataVersion int) []string {
	var refusals []string
	if (s.Version == 1) != (dataVersion == 1) {
		refusals = append(refusals, fmt.Sprintf("SignerInfo version %d in SignedData version %d", s.Version, dataVersion))
	}
	switch s.Algorithm {
	case OIDRSAEncryption, OIDECDSAWithSHA256, OIDECDSAWithSHA384, OIDECDSAWithSHA512:
	default:
		refusals = append(refusals, fmt.Sprintf("signature algorithm %v", s.Algorithm))
	}
	if s.Attributes == nil {
		return refusals
	}
	if slices.Contains(s.Attributes.Types, OIDSMIMECapabilities) {
		refusals = append(refusals, "signed attribute smimeCapabilities (openssl smime leaves it out with -noattr or -nosmimecap)")
	}
	return refusals
}
