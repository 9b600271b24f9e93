package ini_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/ini"
)

// dump writes sections as "3 [Output]" and "4 Format=sysext" lines, with ⏎ for
// a newline in a value.
func dump(sections []ini.Section) string {
	var b strings.Builder
	for _, s := range sections {
		fmt.Fprintf(&b, "%d [%s]\n", s.At.Line, s.Name)
		for _, k := range s.Keys {
			fmt.Fprintf(&b, "%d %s=%s\n", k.At.Line, k.Name, strings.ReplaceAll(k.Value, "\n", "⏎"))
		}
	}
	return b.String()
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name    string
		dialect ini.Dialect
		text    string
		want    string
	}{
		{"empty", ini.Mkosi, "", ""},
		{"comments only", ini.Mkosi, "# one\n   # two\n\n", ""},
		{"comment anywhere", ini.Mkosi, "[Output] # head\nFormat = sysext#x\n#Key=1\nA=\"b # c\"\n", "1 [Output]\n2 Format=sysext\n4 A=\"b\n"},
		{"semicolon is no comment", ini.Mkosi, "[A]\nB=c;d\n;e=f\n", "1 [A]\n2 B=c;d\n3 ;e=f\n"},
		{"continuation", ini.Mkosi, "[A]\nB=one\n two\n\tthree # x\n\n  # only a comment\n  four\nC=\n  five\n", "1 [A]\n2 B=one⏎two⏎three⏎four\n8 C=⏎five\n"},
		{"a header does not continue", ini.Mkosi, "[A]\n  B=c\n[D]\nE=f\n [G]\n", "1 [A]\n2 B=c\n3 [D]\n4 E=f⏎[G]\n"},
		{"common indent", ini.Mkosi, "  [A]\n  B=c\n    d\n\n  E=f\n", "1 [A]\n2 B=c⏎d\n5 E=f\n"},
		{"mixed indent has nothing in common", ini.Mkosi, "\t[A]\n  B=c\n", "1 [A]\n2 B=c\n"},
		{"repeated", ini.Mkosi, "[A]\nB=1\nB=\nB=2\n[C]\n[A]\nB=3\n", "1 [A]\n2 B=1\n3 B=\n4 B=2\n5 [C]\n6 [A]\n7 B=3\n"},
		{"carriage returns", ini.Mkosi, "[A]\r\nB=c\r\n d\r\n", "1 [A]\n2 B=c⏎d\n"},
		{"byte order mark", ini.Mkosi, "\ufeff[A]\nB=c", "1 [A]\n2 B=c\n"},
		{"spaces in the header", ini.Mkosi, "[ A B ]\n C =\n", "1 [A B]\n2 C=\n"},
		{"equals signs", ini.Mkosi, "[A]\nB=c=d\nE==\n", "1 [A]\n2 B=c=d\n3 E==\n"},

		{"empty", ini.Systemd, "", ""},
		{"comment lines", ini.Systemd, "# a\n ; b\n[P]\nA=x # y\nB=; z\n", "3 [P]\n4 A=x # y\n5 B=; z\n"},
		{"continuation", ini.Systemd, "[P]\nA=one \\\n  two\\\n# comment\n\\\nthree\nB=4\n", "1 [P]\n2 A=one    two  three\n7 B=4\n"},
		{"backslashes", ini.Systemd, "[P]\nA=one\\\\\nB=two\\\\\\\nthree\n", "1 [P]\n2 A=one\\\\\n3 B=two\\\\ three\n"},
		{"backslash at the end", ini.Systemd, "[P]\nA=one\\", "1 [P]\n2 A=one\n"},
		{"indent means nothing", ini.Systemd, "[P]\nA=1\n  B=2\n\t[Q]\n", "1 [P]\n2 A=1\n3 B=2\n4 [Q]\n"},
		{"carriage returns", ini.Systemd, "\ufeff[P]\r\nA=b\\\r\nc\r\n", "1 [P]\n2 A=b c\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ini.Parse(c.dialect, "f", []byte(c.text))
			if err != nil {
				t.Fatalf("Parse: %v", err)
			}
			if diff := cmp.Diff(c.want, dump(got)); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"A=b\n", "f:1: A= is outside of any section"},
		{"[A]\n[B\nC=d\n", `f:2: section "[B" does not end`},
		{"[A]\n[ ]\n", "f:2: a section without a name"},
		{"[]\n", "f:1: a section without a name"},
		{"[A]\nFormat sysext\n", `f:2: "Format sysext" is neither a section nor a setting`},
		{"[A]\n=x\n", `f:2: no name before the equals sign in "=x"`},
		{"[A]\nB=\xff\n", "f:2: not valid UTF-8"},
		{"[A]\nB=c\n\x00", "f:3: a NUL byte"},
		{strings.Repeat("\n", ini.MaxSize+1), "f: larger than 1048576 bytes"},
		{"[A]\n" + strings.Repeat("é", 50) + "\n", `f:2: "` + strings.Repeat("é", 30) + `…" is neither a section nor a setting`},
	} {
		for _, d := range []ini.Dialect{ini.Mkosi, ini.Systemd} {
			sections, err := ini.Parse(d, "f", []byte(c.text))
			var fault *ini.Fault
			if !errors.As(err, &fault) || err.Error() != c.want || sections != nil {
				t.Errorf("Parse(%.20q) = %v, %v, want %s", c.text, sections, err, c.want)
			}
		}
	}
}

func TestParseRefusesSectionNames(t *testing.T) {
	for _, name := range []string{`A"`, "A'B", `\A`, "A\tB"} {
		if _, err := ini.Parse(ini.Systemd, "f", []byte("["+name+"]\n")); err == nil || !strings.Contains(err.Error(), "contains a quote, a backslash or a control character") {
			t.Errorf("Parse([%s]) = %v", name, err)
		}
		if _, err := ini.Parse(ini.Mkosi, "f", []byte("["+name+"]\n")); err != nil {
			t.Errorf("Parse([%s]) = %v, mkosi takes it", name, err)
		}
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	good, large := filepath.Join(dir, "good"), filepath.Join(dir, "large")
	if err := os.WriteFile(good, []byte("[A]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(large, make([]byte, ini.MaxSize+1), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := ini.ReadFile(good, "x"); err != nil || string(got) != "[A]\n" {
		t.Errorf("ReadFile = %q, %v", got, err)
	}
	for path, want := range map[string]string{
		large:                      "x: larger than 1048576 bytes",
		dir:                        "x: not a regular file",
		filepath.Join(dir, "none"): "x: no such file or directory",
		"/dev/zero":                "x: not a regular file",
	} {
		if _, err := ini.ReadFile(path, "x"); err == nil || err.Error() != want {
			t.Errorf("ReadFile(%s) = %v, want %s", path, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[Output]\nFormat=sysext # x\n  more\n")
	f.Add("[P]\r\nA=b\\\r\n; c\nd\\\\\n")
	f.Add("\ufeff  [A]\n\tB = c\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range []ini.Dialect{ini.Mkosi, ini.Systemd} {
			sections, err := ini.Parse(d, "f", []byte(text))
			if err != nil {
				if sections != nil {
					t.Errorf("Parse returns sections and %v", err)
				}
				continue
			}
			checkSections(t, sections, 1+strings.Count(text, "\n"))
			if _, err := ini.Parse(d, "f", []byte(again(d, sections))); err != nil {
				t.Errorf("what Parse made of %q is not read again: %v", text, err)
			}
		}
	})
}

// checkSections checks that lines rise, lie in the file, and that nothing has
// white space around it.
func checkSections(t *testing.T, sections []ini.Section, lines int) {
	t.Helper()
	last := 0
	for _, s := range sections {
		places, texts := []int{s.At.Line}, []string{s.Name}
		for _, k := range s.Keys {
			places, texts = append(places, k.At.Line), append(texts, k.Name)
		}
		for i, line := range places {
			if line <= last || line > lines {
				t.Errorf("line %d after %d of %d", line, last, lines)
			}
			if last = line; texts[i] == "" || texts[i] != strings.TrimSpace(texts[i]) {
				t.Errorf("name %q", texts[i])
			}
		}
	}
}

// again writes sections as a file.
func again(d ini.Dialect, sections []ini.Section) string {
	var b strings.Builder
	for _, s := range sections {
		fmt.Fprintf(&b, "[%s]\n", s.Name)
		for _, k := range s.Keys {
			value := strings.ReplaceAll(k.Value, "\n", "\n  ")
			fmt.Fprintf(&b, "%s=%s\n", k.Name, value)
		}
	}
	return b.String()
}

// TestParseTakesTimeInProportion keeps files of many short lines from taking
// long.
func TestParseTakesTimeInProportion(t *testing.T) {
	for _, c := range []struct {
		name    string
		dialect ini.Dialect
		line    string
	}{
		{"continued", ini.Mkosi, " a\n"}, {"keys", ini.Mkosi, "a=\n"}, {"sections", ini.Mkosi, "[a]\n"},
		{"continued", ini.Systemd, "a\\\n"}, {"keys", ini.Systemd, "a=\n"}, {"comments", ini.Systemd, ";\n"},
	} {
		text := "[A]\nB=c\\\n"
		text += strings.Repeat(c.line, (ini.MaxSize-len(text))/len(c.line))
		start := time.Now()
		_, err := ini.Parse(c.dialect, "f", []byte(text))
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s: Parse takes %v", c.name, d)
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
