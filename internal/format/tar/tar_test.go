package tar_test

import (
	stdtar "archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/fault"
	"sextant/internal/format/tar"
	"sextant/internal/testenv"
)

// TestLayout compares the structs with the offsets of the specifications.
func TestLayout(t *testing.T) {
	for _, c := range []struct {
		block any
		base  int
		want  map[string]int
		size  int
	}{
		{tar.Header{}, 0, map[string]int{"Name": 0, "Mode": 100, "UID": 108, "GID": 116, "Size": 124, "ModTime": 136,
			"Checksum": 148, "Typeflag": 156, "Linkname": 157, "Magic": 257, "Version": 263, "Uname": 265, "Gname": 297,
			"DevMajor": 329, "DevMinor": 337, "Prefix": 345, "Pad": 500}, 512},
		{tar.GNUTail{}, 345, map[string]int{"AccessTime": 345, "ChangeTime": 357, "Offset": 369, "LongNames": 381, "Unused": 385,
			"Sparse": 386, "IsExtended": 482, "RealSize": 483, "Pad": 495}, 512 - 345},
		{tar.SparseBlock{}, 0, map[string]int{"Sparse": 0, "IsExtended": 504, "Pad": 505}, 512},
		{tar.SparseEntry{}, 0, map[string]int{"Offset": 0, "NumBytes": 12}, 24},
	} {
		typ := reflect.TypeOf(c.block)
		got := make(map[string]int)
		offset := c.base
		for i := range typ.NumField() {
			got[typ.Field(i).Name] = offset
			offset += binary.Size(reflect.Zero(typ.Field(i).Type).Interface())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("offsets of %v (-want +got):\n%s", typ, diff)
		}
		if n := binary.Size(c.block); n != c.size {
			t.Errorf("size of %v = %d, want %d", typ, n, c.size)
		}
	}
}

// read returns one line for each entry of the archive. Contents are read with
// their holes, except where they are large.
func read(archive []byte) ([]string, error) {
	r := tar.NewReader(bytes.NewReader(archive), int64(len(archive)))
	var lines []string
	for {
		e, err := r.Next()
		if err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		line := fmt.Sprintf("%q %s %04o %d:%d %v %d:%d %d", e.Name, e.Type, e.Mode, e.UID, e.GID,
			e.ModTime.UTC().Format(time.RFC3339Nano), e.Major, e.Minor, e.Size)
		if e.Type == tar.TypeSymlink || e.Type == tar.TypeLink {
			line += " " + e.Linkname
		}
		if e.Size < 1<<18 {
			content := make([]byte, e.Size)
			for _, p := range e.Data {
				copy(content[p.Offset:p.End()], archive[p.At:])
			}
			line += fmt.Sprintf(" %08x", hash(content))
		}
		lines = append(lines, line)
	}
}

// readStd is read with the standard library.
func readStd(archive []byte) ([]string, error) {
	r := stdtar.NewReader(bytes.NewReader(archive))
	var lines []string
	for {
		h, err := r.Next()
		if err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		if h.Typeflag == stdtar.TypeXGlobalHeader || h.Typeflag == 'V' {
			continue
		}
		typ := tar.Typeflag(h.Typeflag)
		if strings.HasSuffix(h.Name, "/") && typ != tar.TypeDir || typ == tar.TypeDir && h.Size != 0 {
			return lines, errors.New("a directory of version 7, which the library takes for a file or does not skip")
		}
		if typ == tar.TypeContiguous || typ == tar.TypeSparse {
			typ = tar.TypeRegular
		}
		major, minor := h.Devmajor, h.Devminor
		if typ != tar.TypeChar && typ != tar.TypeBlock {
			major, minor = 0, 0
		}
		size := h.Size
		if typ != tar.TypeRegular {
			size = 0
		}
		line := fmt.Sprintf("%q %s %04o %d:%d %v %d:%d %d", h.Name, typ, h.Mode&0o7777, h.Uid, h.Gid,
			h.ModTime.UTC().Format(time.RFC3339Nano), major, minor, size)
		if typ == tar.TypeSymlink || typ == tar.TypeLink {
			line += " " + h.Linkname
		}
		if size < 1<<18 {
			content, err := io.ReadAll(io.LimitReader(r, size))
			if err != nil {
				return lines, err
			}
			line += fmt.Sprintf(" %08x", hash(content))
		}
		lines = append(lines, line)
	}
}

// hash is FNV-1a, 32 bits.
func hash(b []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// corners makes a directory with a file of every kind that needs no root.
func corners(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	long := strings.Repeat("long-name-", 12)
	for name, content := range map[string]string{
		"plain": "hello", "empty": "", "block": strings.Repeat("x", 512), "two": strings.Repeat("y", 1025),
		"sub/" + long + "/" + long: "deep", "with\nnewline": "n", "é": "e",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Unix(1700000000, 123456789)); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"link": "plain", "longlink": strings.Repeat("t/", 80) + "x"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(dir, "plain"), filepath.Join(dir, "zhard")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "two"), 0o4755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	sparse(t, filepath.Join(dir, "sparse"), 30, 1<<20)
	sparse(t, filepath.Join(dir, "sparse2"), 2, 123456)
	return dir
}

// sparse makes a file of n islands of data, one every step bytes, that ends in
// a hole.
func sparse(t testing.TB, path string, n, step int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range n {
		if _, err := f.WriteAt(bytes.Repeat([]byte{byte(i + 1)}, 4096), i*step/4096*4096); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(n*step + 77); err != nil {
		t.Fatal(err)
	}
}

func run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, errs.Bytes())
	}
	return out.Bytes()
}

// formats are the ways in which GNU tar writes.
var formats = map[string][]string{
	"oldgnu":        {"--format=oldgnu"},
	"gnu":           {"--format=gnu"},
	"gnu sparse":    {"--format=gnu", "--sparse"},
	"ustar":         {"--format=ustar", "--exclude=longlink", "--exclude=long-name*"},
	"v7":            {"--format=v7", "--exclude=longlink", "--exclude=long-name*"},
	"pax":           {"--format=pax"},
	"pax 0.0":       {"--format=pax", "--sparse", "--sparse-version=0.0"},
	"pax 0.1":       {"--format=pax", "--sparse", "--sparse-version=0.1"},
	"pax 1.0":       {"--format=pax", "--sparse", "--sparse-version=1.0"},
	"pax global":    {"--format=pax", "--pax-option=globexthdr.name=g,comment=hi,exthdr.name=%d/x/%f"},
	"numeric owner": {"--format=gnu", "--numeric-owner", "--owner=:123456789", "--group=:4294967294"},
	"old mtime":     {"--format=gnu", "--mtime=1960-01-01 00:00:00Z"},
	"old pax mtime": {"--format=pax", "--mtime=1960-01-01 00:00:00.25Z"},
	"label":         {"--format=gnu", "--label=a label"},
	"small blocks":  {"--format=gnu", "--blocking-factor=1"},
}

func TestReaderAgainstGNUTar(t *testing.T) {
	testenv.Require(t, "tar")
	dir := corners(t)
	for name, args := range formats {
		t.Run(name, func(t *testing.T) {
			archive := run(t, "tar", append(args, "-C", dir, "--sort=name", "-cf", "-", ".")...)
			compare(t, archive)
		})
	}
}

// compare reads the archive with both readers.
func compare(t *testing.T, archive []byte) {
	t.Helper()
	got, err := read(archive)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) < 10 {
		t.Fatalf("read %d entries, want all", len(got))
	}
	want, err := readStd(archive)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-archive/tar +ours):\n%s", diff)
	}
}

func TestReaderAgainstBsdtar(t *testing.T) {
	testenv.Require(t, "bsdtar")
	dir := corners(t)
	for _, format := range []string{"pax", "ustar", "gnutar", "v7"} {
		t.Run(format, func(t *testing.T) {
			args := []string{"--format=" + format, "-C", dir, "-cf", "-", "."}
			if format == "ustar" || format == "v7" {
				args = append([]string{"--exclude=*longlink", "--exclude=*long-name*"}, args...)
			}
			compare(t, run(t, "bsdtar", args...))
		})
	}
}

// TestSparseInPlace has a file of 5 GiB in an archive of a few blocks.
func TestSparseInPlace(t *testing.T) {
	testenv.Require(t, "tar")
	dir := t.TempDir()
	sparse(t, filepath.Join(dir, "big"), 100, 5<<30/100)
	for _, name := range []string{"gnu sparse", "pax 0.0", "pax 0.1", "pax 1.0"} {
		archive := run(t, "tar", append(formats[name], "-C", dir, "-cf", "-", "big")...)
		e, err := tar.NewReader(bytes.NewReader(archive), int64(len(archive))).Next()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if e.Name != "big" || e.Size < 5e9 || len(e.Data) != 100 {
			t.Errorf("%s: Next = %s of %d bytes in %d pieces, want big, 5 GiB, 100", name, e.Name, e.Size, len(e.Data))
		}
		for i, p := range e.Data {
			if p.Length < 4096 || archive[p.At] != byte(i+1) || archive[p.At+4095] != byte(i+1) {
				t.Errorf("%s: piece %d = %v, does not hold its data", name, i, p)
			}
		}
	}
}

// block returns a header with the given fields patched in and the checksum
// made right.
func block(fields map[int]string) []byte {
	b := make([]byte, 512)
	copy(b[257:], "ustar\x0000")
	for at, value := range fields {
		copy(b[at:], value)
	}
	repair(b)
	return b
}

// repair makes the checksum of every block that looks like a header right.
func repair(archive []byte) {
	for ; len(archive) >= 512; archive = archive[512:] {
		b := archive[:512]
		if string(b[257:262]) != "ustar" && allZero(b[257:262]) == allZero(b) {
			continue
		}
		copy(b[148:], "        ")
		sum := 0
		for _, c := range b {
			sum += int(c)
		}
		copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	}
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// pad returns s with zeros up to a block.
func pad(s string) []byte {
	return append([]byte(s), make([]byte, (512-len(s)%512)%512)...)
}

const (
	atName  = 0
	atMode  = 100
	atUID   = 108
	atSize  = 124
	atMtime = 136
	atType  = 156
	atMagic = 257
	atMajor = 329
)

func TestNextErrors(t *testing.T) {
	file := map[int]string{atName: "f", atSize: "00000000003", atType: "0"}
	records := func(s string) []byte {
		h := block(map[int]string{atName: "x", atSize: fmt.Sprintf("%011o", len(s)), atType: "x"})
		return append(append(h, pad(s)...), append(block(file), pad("abc")...)...)
	}
	badSum := block(file)
	badSum[0] ^= 1
	gnuSparse := func(entries, real string) []byte {
		return append(block(map[int]string{atName: "s", atSize: "00000000010", atType: "S", atMagic: "ustar  \x00",
			386: entries, 483: real}), pad("12345678")...)
	}
	for name, c := range map[string]struct {
		archive []byte
		want    error
		text    string
	}{
		"checksum":                    {badSum, fault.ErrCorrupt, "checksum does not match"},
		"not a tar":                   {bytes.Repeat([]byte("z"), 1024), fault.ErrCorrupt, "no octal"},
		"half a header":               {block(file)[:300], fault.ErrCorrupt, "cut short"},
		"data cut short":              {append(block(file), "ab"...), fault.ErrCorrupt, "cut short"},
		"size is no number":           {block(map[int]string{atName: "f", atSize: "9", atType: "0"}), fault.ErrCorrupt, "size: "},
		"size of 2^63":                {block(map[int]string{atName: "f", atSize: "\x80\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00", atType: "0"}), fault.ErrCorrupt, "64 bits"},
		"size beyond 64 bits":         {block(map[int]string{atName: "f", atSize: "\x80\x01\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00", atType: "0"}), fault.ErrCorrupt, "64 bits"},
		"negative size":               {block(map[int]string{atName: "f", atSize: strings.Repeat("\xff", 12), atType: "0"}), fault.ErrCorrupt, "outside"},
		"negative uid":                {block(map[int]string{atName: "f", atUID: strings.Repeat("\xff", 8), atType: "0"}), fault.ErrCorrupt, "-1 is no owner"},
		"multi-volume":                {block(map[int]string{atName: "f", atType: "M"}), fault.ErrUnsupported, "type 'M'"},
		"unknown type":                {block(map[int]string{atName: "f", atType: "Q"}), fault.ErrUnsupported, "type 'Q'"},
		"records without an entry":    {records("5 a=\n")[:1024], fault.ErrCorrupt, "cut short"},
		"record length":               {records("99 a=b\n"), fault.ErrCorrupt, "length does not fit"},
		"record length of 0":          {records("0 a=b\n"), fault.ErrCorrupt, "length does not fit"},
		"record without a key":        {records("6 =ab\n"), fault.ErrCorrupt, "no key"},
		"record without an equals":    {records("6 abc\n"), fault.ErrCorrupt, "no key"},
		"record without a line end":   {records("6 a=bc"), fault.ErrCorrupt, "length does not fit"},
		"NUL in a path":               {records("12 path=a\x00b\n"), fault.ErrCorrupt, "NUL"},
		"record size":                 {records("14 size=99999\n"), fault.ErrCorrupt, "cut short"},
		"record uid":                  {records("18 uid=4294967296\n"), fault.ErrCorrupt, "4294967296 is no owner"},
		"record mtime":                {records("15 mtime=1.5e3\n"), fault.ErrCorrupt, "no time"},
		"records too large":           {block(map[int]string{atName: "x", atSize: "00100000001", atType: "x"}), fault.ErrCorrupt, "cut short"},
		"foreign sparse":              {block(map[int]string{atName: "f", atType: "S"}), fault.ErrUnsupported, "foreign"},
		"sparse version":              {records("22 GNU.sparse.major=2\n"), fault.ErrUnsupported, "2."},
		"sparse map outside":          {records("22 GNU.sparse.size=10\n22 GNU.sparse.map=9,3\n"), fault.ErrCorrupt, "outside"},
		"sparse map short of data":    {records("22 GNU.sparse.size=10\n22 GNU.sparse.map=0,2\n"), fault.ErrCorrupt, "belong nowhere"},
		"sparse map beyond data":      {records("22 GNU.sparse.size=10\n22 GNU.sparse.map=0,4\n"), fault.ErrCorrupt, "more than the archive holds"},
		"sparse map out of order":     {records("22 GNU.sparse.size=10\n26 GNU.sparse.map=4,1,0,2\n"), fault.ErrCorrupt, "come after"},
		"sparse map negative":         {records("22 GNU.sparse.size=10\n23 GNU.sparse.map=-1,3\n"), fault.ErrCorrupt, "outside"},
		"sparse map odd":              {records("22 GNU.sparse.size=10\n20 GNU.sparse.map=0\n"), fault.ErrCorrupt, "no decimal"},
		"sparse 0.0 out of order":     {records("25 GNU.sparse.numbytes=3\n23 GNU.sparse.offset=0\n"), fault.ErrCorrupt, "out of order"},
		"sparse 1.0 without a map":    {records("22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"), fault.ErrCorrupt, "no number"},
		"old sparse outside":          {gnuSparse("00000000000\x0000000000010\x00", "00000000004\x00"), fault.ErrCorrupt, "outside"},
		"old sparse without its rest": {gnuSparse("00000000000\x0000000000004\x00", "00000000020\x00"), fault.ErrCorrupt, "belong nowhere"},
	} {
		_, err := read(c.archive)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: Next = %v, want %v, %q", name, err, c.want, c.text)
		}
	}
}

func TestNextReadsWhatIsUnusual(t *testing.T) {
	file := block(map[int]string{atName: "f", atMode: "100644 ", atSize: "3", atMtime: "7 ", atType: "\x00"})
	for name, c := range map[string]struct {
		archive []byte
		want    []string
	}{
		"nothing":            {nil, nil},
		"one block of zeros": {make([]byte, 512), nil},
		"no end, no padding": {append(bytes.Clone(file), "abc"...), []string{`"f" file 0644 0:0 1970-01-01T00:00:07Z 0:0 3 1a47e90b`}},
		"something behind the end": {append(append(append(bytes.Clone(file), pad("abc")...), make([]byte, 512)...), "junk"...),
			[]string{`"f" file 0644 0:0 1970-01-01T00:00:07Z 0:0 3 1a47e90b`}},
		"version 7 directory":     {block(map[int]string{atName: "d/", atMagic: strings.Repeat("\x00", 8)}), []string{`"d/" dir 0000 0:0 1970-01-01T00:00:00Z 0:0 0 811c9dc5`}},
		"junk for device numbers": {block(map[int]string{atName: "f", atType: "6", atMajor: "junk"}), []string{`"f" fifo 0000 0:0 1970-01-01T00:00:00Z 0:0 0 811c9dc5`}},
		"star's prefix":           {block(map[int]string{atName: "f", atType: "6", 345: "p", 345 + 131: "atime", 508: "tar\x00"}), []string{`"p/f" fifo 0000 0:0 1970-01-01T00:00:00Z 0:0 0 811c9dc5`}},
		"dump directory":          {append(block(map[int]string{atName: "d", atType: "D", atSize: "00000000004", atMagic: "ustar  \x00"}), pad("Yf\x00\x00")...), []string{`"d" dir 0000 0:0 1970-01-01T00:00:00Z 0:0 0 811c9dc5`}},
	} {
		got, err := read(c.archive)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// described returns a header of the given type with records, and their blocks.
func described(typ string, records ...string) []byte {
	var text string
	for _, r := range records {
		n := len(r) + 3
		for len(fmt.Sprintf("%d %s\n", n, r)) != n {
			n++
		}
		text += fmt.Sprintf("%d %s\n", n, r)
	}
	return append(block(map[int]string{atName: "x", atSize: fmt.Sprintf("%011o", len(text)), atType: typ}), pad(text)...)
}

func TestRecords(t *testing.T) {
	file := func(name string) []byte {
		return block(map[int]string{atName: name, atUID: "7", atMtime: "7", atType: "6"})
	}
	archive := bytes.Join([][]byte{
		described("g", "mtime=1.5", "uid=9", "comment=a"),
		file("one"),
		described("x", "mtime=-1.5", "uid=", "path="+strings.Repeat("p/", 100)+"x", "LATER=1"),
		file("two"),
		described("g", "mtime="),
		described("X", "gid=4294967295"),
		file("three"),
		described("x", "mtime=5.1234567899", "path=no"),
		described("x", "mtime=6."),
		file("four"),
	}, nil)
	want := []string{
		`"one" fifo 0000 9:0 1970-01-01T00:00:01.5Z 0:0 0 811c9dc5`,
		`"` + strings.Repeat("p/", 100) + `x" fifo 0000 7:0 1969-12-31T23:59:58.5Z 0:0 0 811c9dc5`,
		`"three" fifo 0000 9:4294967295 1970-01-01T00:00:07Z 0:0 0 811c9dc5`,
		`"four" fifo 0000 9:0 1970-01-01T00:00:06Z 0:0 0 811c9dc5`,
	}
	got, err := read(archive)
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r := tar.NewReader(bytes.NewReader(archive), int64(len(archive)))
	r.Next()
	second, err := r.Next()
	if err != nil || second.Records["comment"] != "a" || second.Records["LATER"] != "1" {
		t.Errorf("Next = %v, %v, want the global and the local records", second, err)
	}
}

func TestRecordsAreBounded(t *testing.T) {
	var global []byte
	for i := range 20 {
		global = append(global, described("g", fmt.Sprintf("k%d=%s", i, strings.Repeat("v", 4000)))...)
	}
	large := append(block(map[int]string{atName: "x", atSize: "00100000001", atType: "x"}), make([]byte, 16<<20+512)...)
	for name, archive := range map[string][]byte{"global": global, "local": large} {
		if _, err := read(archive); !errors.Is(err, fault.ErrUnsupported) {
			t.Errorf("%s: Next = %v, want %v", name, err, fault.ErrUnsupported)
		}
	}
}

// FuzzReader compares with the standard library where both accept, and holds
// every entry to what Entry promises.
func FuzzReader(f *testing.F) {
	if _, err := exec.LookPath("tar"); err == nil {
		dir := f.TempDir()
		sparse(f, filepath.Join(dir, "s"), 6, 8192)
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte("hello"), 0o644); err != nil {
			f.Fatal(err)
		}
		for _, args := range formats {
			f.Add(run(f, "tar", append(args, "-b1", "-C", dir, "-cf", "-", ".")...))
		}
	}
	f.Add(append(block(map[int]string{atName: "f", atSize: "3", atType: "0"}), pad("abc")...))
	f.Fuzz(func(t *testing.T, archive []byte) {
		archive = bytes.Clone(archive)
		repair(archive)
		checkEntries(t, archive)
		got, err := read(archive)
		want, stdErr := readStd(archive)
		if err != nil || stdErr != nil || bytes.Contains(archive, []byte("g")) {
			return // a 'g' may be a global header, which only we apply
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-archive/tar +ours):\n%s", diff)
		}
	})
}

func checkEntries(t *testing.T, archive []byte) {
	size := int64(len(archive))
	r := tar.NewReader(bytes.NewReader(archive), size)
	for {
		e, err := r.Next()
		if err != nil {
			if e != nil {
				t.Error("Next returned an entry and an error")
			}
			if err != io.EOF && !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) {
				t.Errorf("Next = %v, want a fault", err)
			}
			return
		}
		end := int64(0)
		for _, p := range e.Data {
			if p.Within(e.Size) != nil || p.Offset < end || p.Length <= 0 || p.At < 0 || p.At > size-p.Length {
				t.Fatalf("%q: piece %+v of %d bytes", e.Name, p, e.Size)
			}
			end = p.End()
		}
		if e.Mode&^0o7777 != 0 || e.Type != tar.TypeRegular && (e.Size != 0 || e.Data != nil) {
			t.Fatalf("entry %+v", e)
		}
	}
}
