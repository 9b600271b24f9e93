package verity_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/format/verity"
	"sextant/internal/testenv"
)

const testUUID = "898929e6-7747-423e-8593-3659ba461e7c"

// cases are sizes in blocks around every edge of a tree, with block sizes,
// algorithms and salts in turn.
func cases(t *testing.T) map[string]verity.Params {
	t.Helper()
	all := make(map[string]verity.Params)
	add := func(p verity.Params) {
		p.HashType = verity.Normal
		copy(p.UUID[:], unhex(t, strings.ReplaceAll(testUUID, "-", "")))
		all[fmt.Sprintf("%s-%d-%d-%d-salt%d", p.Algorithm, p.DataBlockSize, p.HashBlockSize, p.DataBlocks, len(p.Salt))] = p
	}
	for _, blocks := range []int64{1, 2, 127, 128, 129, 1000, 128*128 - 1, 128 * 128, 128*128 + 1} {
		add(verity.Params{Algorithm: verity.SHA256, DataBlockSize: 4096, HashBlockSize: 4096, DataBlocks: blocks, Salt: salt(32)})
	}
	for _, algorithm := range []verity.Algorithm{verity.SHA1, verity.SHA224, verity.SHA256, verity.SHA384, verity.SHA512, verity.SHA3_256, verity.SHA3_512} {
		for _, blocks := range []int64{1, 7, 8, 9, 300} {
			add(verity.Params{Algorithm: algorithm, DataBlockSize: 512, HashBlockSize: 512, DataBlocks: blocks, Salt: salt(20)})
		}
		add(verity.Params{Algorithm: algorithm, DataBlockSize: 1024, HashBlockSize: 4096, DataBlocks: 500, Salt: salt(1)})
	}
	for _, size := range []int{512, 1024, 2048, 8192, 65536} {
		add(verity.Params{Algorithm: verity.SHA256, DataBlockSize: size, HashBlockSize: 512, DataBlocks: 100})
		add(verity.Params{Algorithm: verity.SHA256, DataBlockSize: 512, HashBlockSize: size, DataBlocks: 5000, Salt: salt(256)})
	}
	return all
}

// salt has a first byte that is not zero, as all cases with the same length
// should have the same salt and none should be zero.
func salt(n int) []byte {
	s := make([]byte, n)
	for i := range s {
		s[i] = byte(i*7 + 1)
	}
	return s
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// noise returns data for p in which every third block is zero.
func noise(p verity.Params) []byte {
	b := make([]byte, p.DataSize())
	source := rand.NewChaCha8([32]byte{2})
	if _, err := source.Read(b); err != nil {
		panic(err)
	}
	for i := int64(0); i < p.DataBlocks; i += 3 {
		clear(b[i*int64(p.DataBlockSize):][:p.DataBlockSize])
	}
	return b
}

// veritysetup runs a command of veritysetup and returns the root hash it
// prints, if any.
func veritysetup(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("veritysetup", args...).CombinedOutput()
	if err != nil {
		t.Errorf("veritysetup %s: %v\n%s", strings.Join(args, " "), err, out)
		return ""
	}
	_, after, _ := strings.Cut(string(out), "Root hash:")
	root, _, _ := strings.Cut(strings.TrimSpace(after), "\n")
	return root
}

func options(p verity.Params) []string {
	salt := "-"
	if len(p.Salt) > 0 {
		salt = hex.EncodeToString(p.Salt)
	}
	return []string{
		"--hash=" + string(p.Algorithm), "--salt=" + salt, "--uuid=" + testUUID,
		fmt.Sprint("--data-block-size=", p.DataBlockSize), fmt.Sprint("--hash-block-size=", p.HashBlockSize),
	}
}

func openFile(t testing.TB, name string) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestVeritysetup(t *testing.T) {
	testenv.Require(t, "veritysetup")
	for name, p := range cases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			data, theirs, ours := filepath.Join(dir, "data"), filepath.Join(dir, "theirs"), filepath.Join(dir, "ours")
			if err := os.WriteFile(data, noise(p), 0o644); err != nil {
				t.Fatal(err)
			}
			want := veritysetup(t, append([]string{"format", data, theirs}, options(p)...)...)

			root, err := verity.Build(context.Background(), openFile(t, ours), openFile(t, data), p)
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(root); got != want {
				t.Errorf("Build = %s, veritysetup has %s", got, want)
			}
			compareFiles(t, ours, theirs)
			veritysetup(t, "verify", data, ours, hex.EncodeToString(root))
			verifyFiles(t, data, theirs, root)
		})
	}
}

func compareFiles(t *testing.T, ours, theirs string) {
	t.Helper()
	a, errA := os.ReadFile(ours)
	b, errB := os.ReadFile(theirs)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if !bytes.Equal(a, b) {
		t.Errorf("hash areas differ: %d bytes of ours, %d of veritysetup's", len(a), len(b))
	}
}

// verifyFiles reads the parameters from a superblock and checks with them.
func verifyFiles(t *testing.T, data, hash string, root []byte) {
	t.Helper()
	d, h := section(t, openFile(t, data)), section(t, openFile(t, hash))
	p, err := verity.ReadSuperblock(h, h.Size())
	if err != nil {
		t.Fatal(err)
	}
	report, err := verity.Verify(context.Background(), d, h, p, root)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Err(); err != nil {
		t.Errorf("Verify of what veritysetup made: %v", err)
	}
}

// TestOldTrees checks trees that only others make: hash type 0, and trees
// without a superblock, with all sizes of digests.
func TestOldTrees(t *testing.T) {
	testenv.Require(t, "veritysetup")
	for name, p := range cases(t) {
		if p.DataBlocks > 5000 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			data, hash := filepath.Join(dir, "data"), filepath.Join(dir, "hash")
			if err := os.WriteFile(data, noise(p), 0o644); err != nil {
				t.Fatal(err)
			}
			root := veritysetup(t, append([]string{"format", data, hash, "--format=0"}, options(p)...)...)
			verifyFiles(t, data, hash, unhex(t, root))

			root = veritysetup(t, append([]string{"format", data, hash, "--format=1", "--no-superblock"}, options(p)...)...)
			p.NoSuperblock = true
			report, err := verity.Verify(context.Background(), section(t, openFile(t, data)), section(t, openFile(t, hash)), p, unhex(t, root))
			if err != nil || report.Err() != nil {
				t.Errorf("Verify of a tree without superblock = %v, %v", report, err)
			}
		})
	}
}

// TestVeritysetupFindsWhatWeFind damages each of our blocks in turn.
func TestVeritysetupFindsWhatWeFind(t *testing.T) {
	testenv.Require(t, "veritysetup")
	p := small()
	data := noise(p)
	hash, root := build(t, data, p)
	dir := t.TempDir()
	dataFile, hashFile := filepath.Join(dir, "data"), filepath.Join(dir, "hash")
	try := func(what string) {
		t.Helper()
		if err := os.WriteFile(dataFile, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(hashFile, hash, 0o644); err != nil {
			t.Fatal(err)
		}
		theirs := exec.Command("veritysetup", "verify", dataFile, hashFile, hex.EncodeToString(root)).Run()
		ours := verify(t, data, hash, p, root).Err()
		if (theirs == nil) != (ours == nil) {
			t.Errorf("%s: veritysetup says %v, we %v", what, theirs, ours)
		}
	}
	try("nothing")
	for _, offset := range []int{512, 1024 + 31, 1024 + 2*32, len(hash) - 512, len(hash) - 1} {
		hash[offset] ^= 1
		try(fmt.Sprint("hash area at ", offset))
		hash[offset] ^= 1
	}
	data[len(data)-1] ^= 1
	try("last byte of data")
}
