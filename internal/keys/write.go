package keys

import (
	"crypto/x509"
	"encoding/pem"
)

// MarshalKey returns key as PKCS#8 in PEM, encrypted unless passphrase is
// empty. The file it goes to should have mode 0600, as WritePair gives it.
func MarshalKey(key *Key, passphrase []byte) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key.signer)
	if err != nil {
		return nil, err
	}
	if len(passphrase) == 0 {
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
	}
	encrypted, err := encryptPKCS8(der, passphrase)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: encrypted}), nil
}
