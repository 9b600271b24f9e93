package lint_test

import (
	"fmt"
	"go/ast"
	"go/types"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestOffsetsInMargin holds the byte offsets beside the fields of the formats'
// structures against the sizes of the fields before.
func TestOffsetsInMargin(t *testing.T) {
	d := declared{make(map[string][]source), make(map[ast.Expr]types.TypeAndValue)}
	for _, s := range sources(t) {
		if !s.isTest() {
			d.files[s.dir()] = append(d.files[s.dir()], s)
		}
	}
	checked := 0
	for dir, files := range d.files {
		if !strings.HasPrefix(dir, "internal/format/") {
			continue
		}
		_, _ = d.Import("sextant/" + dir)
		for _, s := range files {
			ast.Inspect(s.file, func(n ast.Node) bool {
				if structure, ok := n.(*ast.StructType); ok {
					checked += d.checkMargin(t, s, structure)
				}
				_, inside := n.(*ast.BlockStmt)
				return !inside
			})
		}
	}
	if checked < 500 {
		t.Errorf("only %d fields have an offset beside them", checked)
	}
}

// declared are the types that the packages of the project declare.
type declared struct {
	files map[string][]source // by directory
	types map[ast.Expr]types.TypeAndValue
}

// Import lets a package that is looked at see others of the project. All else
// stays unknown: no structure on disk needs it.
func (d declared) Import(path string) (*types.Package, error) {
	files := d.files[strings.TrimPrefix(path, "sextant/")]
	if len(files) == 0 {
		return nil, fmt.Errorf("%s is none of ours", path)
	}
	var parsed []*ast.File
	for _, s := range files {
		parsed = append(parsed, s.file)
	}
	config := types.Config{IgnoreFuncBodies: true, Importer: d, Error: func(error) {}}
	p, _ := config.Check(path, files[0].fset, parsed, &types.Info{Types: d.types})
	return p, nil
}

// offset is what a comment in the margin begins with.
var offset = regexp.MustCompile(`^ *(0x[0-9A-Fa-f]+|[0-9]+)\b`)

// checkMargin checks a structure with two or more offsets, the first of which
// need not be 0, and returns how many there are.
func (d declared) checkMargin(t *testing.T, s source, structure *ast.StructType) (checked int) {
	var wrong []string
	at := int64(0)
	for _, field := range structure.Fields.List {
		if margin := offset.FindStringSubmatch(field.Comment.Text()); margin != nil {
			want, err := strconv.ParseInt(margin[1], 0, 64)
			if checked == 0 {
				at = want
			}
			if err != nil || want != at {
				line := s.fset.Position(field.Pos()).Line
				wrong = append(wrong, fmt.Sprintf("%s:%d: the margin says %s, the field lies at %d", s.path, line, margin[1], at))
			}
			checked++
		}
		at += max(1, int64(len(field.Names))) * sizeOnDisk(d.types[field.Type].Type)
	}
	if checked < 2 {
		return 0 // a number that is no offset
	}
	for _, w := range wrong {
		t.Error(w)
	}
	return checked
}

// sizeOnDisk returns the bytes of a type without padding, 0 for one that has no
// fixed size.
func sizeOnDisk(typ types.Type) (size int64) {
	switch typ := typ.Underlying().(type) {
	case *types.Basic:
		if typ.Info()&types.IsInteger != 0 {
			return types.SizesFor("gc", "amd64").Sizeof(typ)
		}
	case *types.Array:
		return typ.Len() * sizeOnDisk(typ.Elem())
	case *types.Struct:
		for field := range typ.Fields() {
			size += sizeOnDisk(field.Type())
		}
	}
	return size
}
