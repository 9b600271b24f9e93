// Package pkcs7 writes, reads and verifies the PKCS#7 signatures that vouch
// for the root hash of a dm-verity tree.
//
// Such a signature is a CMS SignedData (RFC 5652) whose content, the root hash
// in lower-case hexadecimal, is not inside it ("detached"):
//
//	ContentInfo
//	  contentType            signedData
//	  SignedData
//	    version              1
//	    digestAlgorithms     sha256
//	    encapContentInfo     data, no content
//	    certificates         the signer's certificate, or left out
//	    signerInfos
//	      SignerInfo
//	        version          1
//	        sid              issuer and serial number of the certificate
//	        digestAlgorithm  sha256
//	        signedAttrs      left out: the signature is over the content itself
//	        signatureAlgorithm  rsaEncryption or ecdsa-with-SHA256
//	        signature
//
// Sign writes exactly this shape, which is also what systemd-repart and
// "openssl smime -sign -binary -noattr" write; for RSA keys the bytes are the
// same. The algorithm must be rsaEncryption and not sha256WithRSAEncryption,
// which is what most libraries put there and kernels refuse (pkcs7_parser.c,
// pkcs7_sig_note_pkey_algo). P-384 and P-521 keys sign SHA-256 too, as openssl
// does.
//
// Parse reads more: signed attributes, several signers, other digests,
// attached content and BER encoding. Verify answers as systemd does.
// KernelRefusals says what the kernel's own parser does not take.
//
// Left out: chains, dates, key usage, revocation lists and time stamps, as
// systemd looks at none of them; RSASSA-PSS and Ed25519, as neither systemd's
// OpenSSL call nor the kernel takes them in this format; content types other
// than signedData.
//
// Specifications: RFC 5652 (CMS), RFC 2315 (PKCS#7 1.5, which OpenSSL's PKCS7
// functions implement), RFC 5754 and RFC 8017 (algorithms), RFC 5480 (ECDSA).
package pkcs7
