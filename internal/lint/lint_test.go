package lint_test

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	maxFunction = 100 // lines in a function's body
	maxFile     = 500 // lines in a file that is not a test
)

// source is one parsed Go file of the project.
type source struct {
	path string // slash-separated, relative to the module's root
	text []byte
	file *ast.File
	fset *token.FileSet
}

func (s source) dir() string  { return filepath.ToSlash(filepath.Dir(s.path)) }
func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) lines(n ast.Node) int {
	return s.fset.Position(n.End()).Line - s.fset.Position(n.Pos()).Line - 1
}

// sources parses every Go file below the module's root.
func sources(t *testing.T) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	var list []source
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if filepath.Ext(path) != ".go" || strings.Contains(path, "testdata") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		list = append(list, source{filepath.ToSlash(rel), text, file, fset})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 10 {
		t.Fatalf("found %d Go files below %s, want the whole project", len(list), root)
	}
	return list
}

func TestFormatted(t *testing.T) {
	for _, s := range sources(t) {
		want, err := format.Source(s.text)
		if err != nil {
			t.Errorf("%s: %v", s.path, err)
		} else if !bytes.Equal(s.text, want) {
			t.Errorf("%s is not formatted by gofmt", s.path)
		}
	}
}

// TestPackageComments wants exactly one package comment for each set of files
// that can be built together, and no comment that merely repeats the name.
func TestPackageComments(t *testing.T) {
	found := make(map[string]int)
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		dir := s.dir()
		n := found[dir]
		if doc := s.file.Doc; doc != nil && !strings.HasPrefix(doc.Text(), "Command ") {
			n++
			if !strings.HasPrefix(doc.Text(), "Package "+s.file.Name.Name+" ") {
				t.Errorf("%s: package comment does not start with \"Package %s\"", s.path, s.file.Name.Name)
			}
			if constrained(s) && found[dir] > 0 {
				n-- // the twin for another system
			}
		} else if doc != nil {
			n++
		}
		found[dir] = n
	}
	for dir, n := range found {
		if n != 1 {
			t.Errorf("%s has %d package comments, want 1", dir, n)
		}
	}
}

// constrained reports whether the file is built on some systems only.
func constrained(s source) bool {
	return bytes.HasPrefix(s.text, []byte("//go:build"))
}

func TestExportedNamesHaveComments(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() || s.file.Name.Name == "main" {
			continue
		}
		for _, d := range s.file.Decls {
			for _, name := range undocumented(d) {
				t.Errorf("%s: exported %s has no comment", s.path, name)
			}
		}
	}
}

func undocumented(d ast.Decl) []string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
			return []string{d.Name.Name}
		}
	case *ast.GenDecl:
		var names []string
		for _, spec := range d.Specs {
			names = append(names, undocumentedSpec(d, spec)...)
		}
		return names
	}
	return nil
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	exported := true
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			exported = exported && id.IsExported()
			return false
		}
		return true
	})
	return exported
}

func undocumentedSpec(d *ast.GenDecl, spec ast.Spec) []string {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
			return []string{spec.Name.Name}
		}
	case *ast.ValueSpec:
		for _, id := range spec.Names {
			if id.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
				return []string{id.Name}
			}
		}
	}
	return nil
}

func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		if n := bytes.Count(s.text, []byte("\n")); n > maxFile && !s.isTest() {
			t.Errorf("%s has %d lines, at most %d", s.path, n, maxFile)
		}
		for _, d := range s.file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			if n := s.lines(fn.Body); n > maxFunction {
				t.Errorf("%s: %s has %d lines, at most %d", s.path, fn.Name.Name, n, maxFunction)
			}
			if fn.Name.Name == "init" && fn.Recv == nil {
				t.Errorf("%s: init runs where nobody called it", s.path)
			}
		}
	}
}

func TestNothingLeftOpen(t *testing.T) {
	for _, s := range sources(t) {
		if s.dir() == "internal/lint" {
			continue
		}
		for _, word := range []string{"TODO", "FIXME", "XXX"} {
			if bytes.Contains(s.text, []byte(word)) {
				t.Errorf("%s: %s: what is open belongs in an issue", s.path, word)
			}
		}
	}
}
