// Package keys makes, stores and reads the key pairs that sign images.
//
// A pair is two PEM files:
//
//	custom.key   PRIVATE KEY (PKCS#8), or ENCRYPTED PRIVATE KEY with a passphrase
//	custom.crt   CERTIFICATE (X.509): goes into verity.d of the hosts
//
// Keys are RSA or ECDSA over P-256, P-384 or P-521, as the kernel's PKCS#7
// parser takes no others. They sign deterministically (RFC 6979 for ECDSA), so
// the same image built twice has the same bytes. A key that is not in a file
// signs through Command: any program that takes the root hash and returns a
// signature.
//
// ReadKey takes PKCS#8 (RFC 5958), encrypted PKCS#8 with PBES2 (RFC 8018; PBKDF2
// or scrypt), PKCS#1 "RSA PRIVATE KEY" and SEC1 "EC PRIVATE KEY", in PEM or DER.
// Left out, with an error that gives the command to convert them: keys in
// OpenSSL's old encryption (Proc-Type: 4,ENCRYPTED), PBES1 and PKCS#12 encryption,
// OpenSSH's own format. Left out for good: Ed25519, Ed448 and RSASSA-PSS keys,
// which neither systemd's way of verifying nor the kernel takes.
package keys
