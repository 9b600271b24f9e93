package ini_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/ini"
	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

// readAll has mkosi's parser read a JSON list of texts. It answers each with
// what the parser yields (sections ended by an empty key are left out), or null.
const readAll = `
import json, pathlib, sys
sys.path.insert(0, "/usr/lib/python3/dist-packages")
sys.stderr = open("/dev/null", "w")
from mkosi.config import parse_ini
out = []
for text in json.load(open(sys.argv[1])):
    p = pathlib.Path("/tmp/x.conf")
    p.write_bytes(text.encode())
    try:
        out.append([list(k) for k in parse_ini(p) if k[1]])
    except SystemExit:
        out.append(None)
json.dump(out, sys.stdout)
`

// TestParseLikeMkosi compares the parser with mkosi's on random files.
func TestParseLikeMkosi(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Require(t, "unshare")
	sid := rootfs.Require(t, rootfs.Sid())
	var texts []string
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		texts = append(texts, randomFile(random))
	}
	dir := t.TempDir()
	list, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"texts": string(list), "read.py": readAll} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := sid.Command(t.Context(), []rootfs.Bind{{Host: dir, Guest: "/in"}}, "python3", "/in/read.py", "/in/texts").Output()
	if err != nil {
		t.Fatal(err)
	}
	var theirs [][][]string
	if err := json.Unmarshal(out, &theirs); err != nil || len(theirs) != len(texts) {
		t.Fatalf("mkosi answers %d of %d: %v", len(theirs), len(texts), err)
	}
	taken := 0
	for i, text := range texts {
		sections, err := ini.Parse(ini.Mkosi, "f", []byte(text))
		if err != nil {
			if theirs[i] != nil {
				t.Errorf("Parse(%q) = %v, mkosi reads %q", text, err, theirs[i])
			}
			continue
		}
		taken++
		if diff := cmp.Diff(theirs[i], triples(sections)); diff != "" {
			t.Errorf("Parse(%q) (-mkosi +Parse):\n%s", text, diff)
		}
	}
	if taken < len(texts)/10 {
		t.Errorf("only %d of %d files can be read: they show too little", taken, len(texts))
	}
}

func randomFile(random *rand.Rand) string {
	pieces := []string{"[A]\n", "[B]\n", "[ A ] # c\n", "k=v\n", "k = v w\n", "k=\n", "  more\n", "\tmore # c\n", "# c\n", "\n", "  \n",
		"x=1=2\r\n", "[A", "k", "=", "\n", " ", "#", "é", ";c\n", "\t", "last=1"}
	var b strings.Builder
	if random.IntN(4) > 0 {
		b.WriteString("[A]\n")
	}
	for range random.IntN(9) {
		b.WriteString(pieces[random.IntN(len(pieces))])
	}
	return b.String()
}

func triples(sections []ini.Section) [][]string {
	list := [][]string{}
	for _, s := range sections {
		for _, k := range s.Keys {
			list = append(list, []string{s.Name, k.Name, k.Value})
		}
	}
	return list
}
