// Package signature holds the verity signature partition: the JSON text that
// vouches for the root hash of a hash tree, and the certificates that decide
// whether it counts.
//
// The partition, as systemd-repart writes it, is 16384 bytes:
//
//	{"rootHash":"<hex>","certificateFingerprint":"<hex>","signature":"<base64>"}
//	NUL bytes up to the end
//
// rootHash is the root hash in lower-case hexadecimal, signature the DER of a
// detached PKCS#7 signature whose content is that text, without newline.
// certificateFingerprint, the SHA-256 of the signer's certificate in DER, is for
// people: systemd does not read it, and neither does Verify.
//
// Certificates come from the files *.crt in verity.d (Trust). There only the
// signer's own certificate counts, whoever issued it, and no dates.
//
// Specification: Discoverable Partitions Specification, "Verity signature
// partitions"; systemd 257 src/repart/repart.c (partition_format_verity_sig) and
// src/shared/dissect-image.c (dissected_image_load_verity_sig_partition,
// validate_signature_userspace).
package signature
