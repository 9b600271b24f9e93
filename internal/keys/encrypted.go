package keys

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"fmt"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/scrypt"

	"sextant/internal/fault"
	"sextant/internal/format/pkcs7"
)

// Object identifiers of keys (RFC 8017, 8410) and their encryption (RFC 8018,
// 7914), in dotted form.
const (
	oidRSASSAPSS = "1.2.840.113549.1.1.10"
	oidEd448     = "1.3.101.113"

	oidPBES2  = "1.2.840.113549.1.5.13"
	oidPBKDF2 = "1.2.840.113549.1.5.12"
	oidScrypt = "1.3.6.1.4.1.11591.4.11"

	oidHMACSHA1   = "1.2.840.113549.2.7"
	oidHMACSHA224 = "1.2.840.113549.2.8"
	oidHMACSHA256 = "1.2.840.113549.2.9"
	oidHMACSHA384 = "1.2.840.113549.2.10"
	oidHMACSHA512 = "1.2.840.113549.2.11"

	oidAES128CBC = "2.16.840.1.101.3.4.1.2"
	oidAES192CBC = "2.16.840.1.101.3.4.1.22"
	oidAES256CBC = "2.16.840.1.101.3.4.1.42"
	oid3DESCBC   = "1.2.840.113549.3.7"
)

const (
	// iterations is what OWASP asks of PBKDF2-HMAC-SHA256 since 2023. openssl
	// takes 2048.
	iterations = 600_000

	// What a file may ask for, in PBKDF2 rounds and in bytes of scrypt memory.
	maxIterations   = 20_000_000
	maxScryptMemory = 1 << 30
)

// reencrypt is the advice for an encryption that we do not read.
const reencrypt = `"openssl pkey -in OLD -aes256 -out NEW" converts it`

// encryptPKCS8 encrypts a PrivateKeyInfo with PBES2: AES-256-CBC under a key
// from PBKDF2-HMAC-SHA256.
//
//	EncryptedPrivateKeyInfo ::= SEQUENCE {
//	  encryptionAlgorithm AlgorithmIdentifier,   -- PBES2
//	  encryptedData OCTET STRING }
//
//	PBES2-params ::= SEQUENCE { keyDerivationFunc, encryptionScheme }
//	PBKDF2-params ::= SEQUENCE { salt, iterationCount, keyLength OPTIONAL, prf }
func encryptPKCS8(plain, passphrase []byte) ([]byte, error) {
	salt, iv := make([]byte, 16), make([]byte, aes.BlockSize)
	rand.Read(salt)
	rand.Read(iv)
	key, err := pbkdf2.Key(sha256.New, string(passphrase), salt, iterations, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	padding := aes.BlockSize - len(plain)%aes.BlockSize
	data := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(padding)}, padding)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)

	var b cryptobyte.Builder
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		addAlgorithm(b, oidPBES2, func(b *cryptobyte.Builder) {
			b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
				addAlgorithm(b, oidPBKDF2, func(b *cryptobyte.Builder) { addPBKDF2(b, salt) })
				addAlgorithm(b, oidAES256CBC, func(b *cryptobyte.Builder) { b.AddASN1OctetString(iv) })
			})
		})
		b.AddASN1OctetString(data)
	})
	return b.Bytes()
}

func addPBKDF2(b *cryptobyte.Builder, salt []byte) {
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(salt)
		b.AddASN1Int64(iterations)
		addAlgorithm(b, oidHMACSHA256, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
	})
}

func addAlgorithm(b *cryptobyte.Builder, id string, parameters cryptobyte.BuilderContinuation) {
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(pkcs7.OID(id).Identifier())
		parameters(b)
	})
}

// decryptPKCS8 returns the PrivateKeyInfo inside an EncryptedPrivateKeyInfo.
func decryptPKCS8(der, passphrase []byte) ([]byte, error) {
	in := cryptobyte.String(der)
	var info, data, parameters cryptobyte.String
	if !in.ReadASN1(&info, tag.SEQUENCE) || !in.Empty() {
		return nil, malformed("EncryptedPrivateKeyInfo")
	}
	id, body, ok := readAlgorithm(&info)
	if !ok || !info.ReadASN1(&data, tag.OCTET_STRING) || !info.Empty() {
		return nil, malformed("EncryptedPrivateKeyInfo")
	}
	if id != oidPBES2 {
		return nil, fmt.Errorf("key encryption %s; %s: %w", id, reencrypt, fault.ErrUnsupported)
	}
	if !body.ReadASN1(&parameters, tag.SEQUENCE) {
		return nil, malformed("PBES2 parameters")
	}
	kdf, kdfParameters, ok := readAlgorithm(&parameters)
	if !ok {
		return nil, malformed("PBES2 key derivation")
	}
	scheme, schemeParameters, ok := readAlgorithm(&parameters)
	if !ok || !parameters.Empty() {
		return nil, malformed("PBES2 encryption scheme")
	}
	var iv cryptobyte.String
	if !schemeParameters.ReadASN1(&iv, tag.OCTET_STRING) {
		return nil, malformed("initialisation vector")
	}
	c, err := schemeOf(scheme)
	if err != nil {
		return nil, err
	}
	key, err := deriveKey(kdf, kdfParameters, passphrase, c.keySize)
	if err != nil {
		return nil, err
	}
	return c.decrypt(key, iv, data)
}

// scheme is a block cipher in CBC mode.
type scheme struct {
	keySize int
	cipher  func(key []byte) (cipher.Block, error)
}

func schemeOf(id string) (scheme, error) {
	switch id {
	case oidAES128CBC:
		return scheme{16, aes.NewCipher}, nil
	case oidAES192CBC:
		return scheme{24, aes.NewCipher}, nil
	case oidAES256CBC:
		return scheme{32, aes.NewCipher}, nil
	case oid3DESCBC:
		return scheme{24, des.NewTripleDESCipher}, nil
	}
	return scheme{}, fmt.Errorf("key encrypted with cipher %s; %s: %w", id, reencrypt, fault.ErrUnsupported)
}

func (s scheme) decrypt(key, iv, data []byte) ([]byte, error) {
	block, err := s.cipher(key)
	if err != nil {
		return nil, err
	}
	size := block.BlockSize()
	if len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, malformed("encrypted data")
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	padding := int(plain[len(plain)-1])
	if padding == 0 || padding > size || !bytes.HasSuffix(plain, bytes.Repeat([]byte{byte(padding)}, padding)) {
		return nil, ErrWrongPassphrase
	}
	return plain[:len(plain)-padding], nil
}

func deriveKey(id string, parameters cryptobyte.String, passphrase []byte, size int) ([]byte, error) {
	var body cryptobyte.String
	if !parameters.ReadASN1(&body, tag.SEQUENCE) {
		return nil, malformed("key derivation parameters")
	}
	switch id {
	case oidPBKDF2:
		return derivePBKDF2(body, passphrase, size)
	case oidScrypt:
		return deriveScrypt(body, passphrase, size)
	}
	return nil, fmt.Errorf("key derivation %s; %s: %w", id, reencrypt, fault.ErrUnsupported)
}

func derivePBKDF2(s cryptobyte.String, passphrase []byte, size int) ([]byte, error) {
	var salt cryptobyte.String
	var rounds int
	if !s.ReadASN1(&salt, tag.OCTET_STRING) || !s.ReadASN1Integer(&rounds) || rounds < 1 || !readKeyLength(&s, size) {
		return nil, malformed("PBKDF2 parameters")
	}
	prf := oidHMACSHA1 // the default
	if !s.Empty() {
		var ok bool
		if prf, _, ok = readAlgorithm(&s); !ok || !s.Empty() {
			return nil, malformed("PBKDF2 function")
		}
	}
	if rounds > maxIterations {
		return nil, fmt.Errorf("PBKDF2 with %d rounds, where at most %d are done: %w", rounds, maxIterations, fault.ErrUnsupported)
	}
	h, err := prfHash(prf)
	if err != nil {
		return nil, err
	}
	return pbkdf2.Key(h, string(passphrase), salt, rounds, size)
}

func prfHash(id string) (func() hash.Hash, error) {
	switch id {
	case oidHMACSHA1:
		return sha1.New, nil
	case oidHMACSHA224:
		return sha256.New224, nil
	case oidHMACSHA256:
		return sha256.New, nil
	case oidHMACSHA384:
		return sha512.New384, nil
	case oidHMACSHA512:
		return sha512.New, nil
	}
	return nil, fmt.Errorf("PBKDF2 with function %s; %s: %w", id, reencrypt, fault.ErrUnsupported)
}

// deriveScrypt reads the parameters of RFC 7914, 7.
func deriveScrypt(s cryptobyte.String, passphrase []byte, size int) ([]byte, error) {
	var salt cryptobyte.String
	var n, r, p int
	if !s.ReadASN1(&salt, tag.OCTET_STRING) || !s.ReadASN1Integer(&n) || !s.ReadASN1Integer(&r) || !s.ReadASN1Integer(&p) ||
		!readKeyLength(&s, size) || !s.Empty() {
		return nil, malformed("scrypt parameters")
	}
	if n < 2 || r < 1 || p < 1 || r > 1024 || p > 64 || n > maxScryptMemory/128/r {
		return nil, fmt.Errorf("scrypt with N=%d r=%d p=%d: %w", n, r, p, fault.ErrUnsupported)
	}
	return scrypt.Key(passphrase, salt, n, r, p, size)
}

// readKeyLength passes over an optional key length and checks that it is want.
func readKeyLength(s *cryptobyte.String, want int) bool {
	length := want
	return !s.PeekASN1Tag(tag.INTEGER) || s.ReadASN1Integer(&length) && length == want
}

// readAlgorithm reads an AlgorithmIdentifier and returns its identifier in
// dotted form and what is left of it: the parameters.
func readAlgorithm(s *cryptobyte.String) (id string, parameters cryptobyte.String, ok bool) {
	var oid asn1.ObjectIdentifier
	ok = s.ReadASN1(&parameters, tag.SEQUENCE) && parameters.ReadASN1ObjectIdentifier(&oid)
	return oid.String(), parameters, ok
}

// keyAlgorithm returns the algorithm in a PrivateKeyInfo, or "" for anything else.
//
//	PrivateKeyInfo ::= SEQUENCE { version, privateKeyAlgorithm, privateKey, ... }
func keyAlgorithm(der []byte) string {
	in := cryptobyte.String(der)
	var info cryptobyte.String
	var version int
	if !in.ReadASN1(&info, tag.SEQUENCE) || !info.ReadASN1Integer(&version) {
		return ""
	}
	id, _, ok := readAlgorithm(&info)
	if !ok {
		return ""
	}
	return id
}

// isEncrypted reports whether der is an EncryptedPrivateKeyInfo: an algorithm
// and an octet string, nothing more.
func isEncrypted(der []byte) bool {
	in := cryptobyte.String(der)
	var info, data cryptobyte.String
	if !in.ReadASN1(&info, tag.SEQUENCE) {
		return false
	}
	_, _, ok := readAlgorithm(&info)
	return ok && info.ReadASN1(&data, tag.OCTET_STRING) && info.Empty()
}

func malformed(what string) error {
	return fmt.Errorf("malformed %s: %w", what, fault.ErrCorrupt)
}
