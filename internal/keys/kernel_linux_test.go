package keys_test

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"sextant/internal/format/pkcs7"
	"sextant/internal/keys"
	"sextant/internal/vmtest"
	"sextant/internal/vmtest/rootfs"
)

// TestKernel lets stock kernels parse what we make. Debian 12 builds its kernel
// without ECDSA.
func TestKernel(t *testing.T) {
	t.Run("bookworm", func(t *testing.T) {
		vm := vmtest.New(t, rootfs.Bookworm())
		vm.KernelArgs("module.sig_enforce=1")
		vm.RunTest("TestInKernelRSA")
	})
	t.Run("sid", func(t *testing.T) {
		vm := vmtest.New(t, rootfs.Sid())
		vm.KernelArgs("module.sig_enforce=1")
		vm.RunTest("TestInKernelECDSA")
	})
}

func TestInKernelRSA(t *testing.T) {
	vmtest.SkipOnHost(t)
	askKernel(t, keys.RSA2048)
}

func TestInKernelECDSA(t *testing.T) {
	vmtest.SkipOnHost(t)
	askKernel(t, keys.RSA2048)
	askKernel(t, keys.ECDSAP256)
	askKernel(t, keys.ECDSAP384)
}

// What the kernel says of a module whose signature it could read and whose
// certificate, inside the signature, did make it, but is not one that it
// trusts; and of a signature that it has no code for.
const (
	soundButUnknown = "module with unavailable key"
	unsupported     = "module with unsupported crypto"
)

func askKernel(t *testing.T, algorithm keys.Algorithm) {
	key, certificate := generate(t, algorithm)
	if err := addKey(certificate); err != nil {
		t.Errorf("%s: the kernel does not take the certificate: %v", algorithm, err)
	}
	signature, err := key.SignPKCS7(t.Context(), []byte(rootHash), certificate, pkcs7.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if said, err := loadModule(t, rootHash, signature); !errors.Is(err, syscall.EKEYREJECTED) || !strings.Contains(said, soundButUnknown) {
		t.Errorf("%s: kernel says %v, %q, want %q", algorithm, err, said, soundButUnknown)
	}
	bare, err := key.SignPKCS7(t.Context(), []byte(rootHash), certificate, pkcs7.Options{NoCertificate: true})
	if err != nil {
		t.Fatal(err)
	}
	if said, err := loadModule(t, rootHash, bare); !errors.Is(err, syscall.EKEYREJECTED) || !strings.Contains(said, soundButUnknown) {
		t.Errorf("%s without certificate: kernel says %v, %q, want %q", algorithm, err, said, soundButUnknown)
	}
	if said, err := loadModule(t, rootHash[1:]+"0", signature); err == nil || strings.Contains(said, "Loading of") {
		t.Errorf("%s over other content: kernel says %v, %q, want an error about the signature itself", algorithm, err, said)
	}
	if algorithm == keys.RSA2048 {
		askAboutLibraryOID(t, signature)
	}
}

// askAboutLibraryOID: with the OID that most libraries write, the kernel does
// not get as far as a key.
func askAboutLibraryOID(t *testing.T, signature []byte) {
	ours := []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01") // rsaEncryption
	theirs := append(bytes.Clone(ours[:10]), 11)                   // sha256WithRSAEncryption
	at := bytes.LastIndex(signature, ours)
	changed := append(append(bytes.Clone(signature[:at]), theirs...), signature[at+len(ours):]...)
	signed, err := pkcs7.Parse(changed)
	if err != nil {
		t.Fatal(err)
	}
	if refusals := signed.KernelRefusals(); len(refusals) != 1 {
		t.Errorf("KernelRefusals() = %q, want one", refusals)
	}
	if said, err := loadModule(t, rootHash, changed); err == nil || !strings.Contains(said, unsupported) {
		t.Errorf("sha256WithRSAEncryption: kernel says %v, %q, want %q", err, said, unsupported)
	}
}

// addKey does what "keyctl padd asymmetric" does.
func addKey(certificate *x509.Certificate) error {
	const processKeyring = -2
	kind, name := []byte("asymmetric\x00"), []byte("test\x00")
	keyring := processKeyring
	_, _, errno := syscall.Syscall6(syscall.SYS_ADD_KEY, uintptr(unsafe.Pointer(&kind[0])), uintptr(unsafe.Pointer(&name[0])),
		uintptr(unsafe.Pointer(&certificate.Raw[0])), uintptr(len(certificate.Raw)), uintptr(keyring), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// loadModule asks the kernel to load content, which is no module, as a module
// with the given signature. The kernel looks at the signature first
// (kernel/module/signing.c), with the parser that dm-verity uses, and tells in
// its log what it found.
func loadModule(t *testing.T, content string, signature []byte) (said string, err error) {
	t.Helper()
	const pkcs7Type = 2
	module := append([]byte(content), signature...)
	module = append(module, 0, 0, pkcs7Type, 0, 0, 0, 0, 0)
	module = binary.BigEndian.AppendUint32(module, uint32(len(signature)))
	module = append(module, "~Module signature appended~\n"...)
	const readAll, clearLog = 3, 5
	if _, err := syscall.Klogctl(clearLog, nil); err != nil {
		t.Fatal(err)
	}
	arguments := []byte{0}
	_, _, errno := syscall.Syscall(syscall.SYS_INIT_MODULE, uintptr(unsafe.Pointer(&module[0])), uintptr(len(module)), uintptr(unsafe.Pointer(&arguments[0])))
	log := make([]byte, 1<<16)
	n, err := syscall.Klogctl(readAll, log)
	if err != nil {
		t.Fatal(err)
	}
	return string(log[:n]), errno
}
