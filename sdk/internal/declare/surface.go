package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"slices"
	"strings"
	"unicode"

	"github.com/wasmta/wasmta/sdk/abi"
)

// A surface is what a plugin sees of the host.
type surface struct {
	groups    []group
	functions []abi.Function
}

// A group is a declaration of constants that belong together.
type group struct {
	doc    string // the comment's first sentence
	kind   string // Errno, Verdict, Level; empty for plain numbers
	values []value
}

type value struct {
	words []string // of the name, in lower case
	n     int64
	doc   string
}

// readSurface reads the constants from the source of package abi, as only that
// has their names and comments.
func readSurface(dir string) (*surface, error) {
	fset := token.NewFileSet()
	pkgs, err := parser.ParseDir(fset, dir, func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	pkg, ok := pkgs["abi"]
	if !ok {
		return nil, fmt.Errorf("%s has no package abi", dir)
	}
	var files []*ast.File
	for _, name := range slices.Sorted(mapKeys(pkg.Files)) {
		files = append(files, pkg.Files[name])
	}
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}}
	conf := types.Config{Error: func(error) {}, Importer: noImports{}} // no constant needs an import
	_, _ = conf.Check("abi", fset, files, info)
	s := &surface{functions: abi.Functions[:]}
	for _, f := range files {
		for _, d := range f.Decls {
			if d, ok := d.(*ast.GenDecl); ok && d.Tok == token.CONST {
				if g := newGroup(d, info); len(g.values) > 0 {
					s.groups = append(s.groups, g)
				}
			}
		}
	}
	return s, nil
}

type noImports struct{}

func (noImports) Import(path string) (*types.Package, error) {
	return nil, fmt.Errorf("%s is not read", path)
}

func mapKeys(m map[string]*ast.File) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// kinds are the types of numbers that a plugin sees.
var kinds = []string{"", "Errno", "Verdict", "Level"}

// newGroup takes the exported numbers of a declaration that a plugin sees.
func newGroup(d *ast.GenDecl, info *types.Info) group {
	g := group{doc: sentence(d.Doc)}
	for _, spec := range d.Specs {
		spec := spec.(*ast.ValueSpec)
		for _, ident := range spec.Names {
			c, ok := info.Defs[ident].(*types.Const)
			if !ok || !ident.IsExported() || ident.Name == "LastVerdict" || c.Val().Kind() != constant.Int {
				continue
			}
			if named, ok := c.Type().(*types.Named); ok {
				g.kind = named.Obj().Name()
			}
			if !slices.Contains(kinds, g.kind) {
				return group{}
			}
			n, _ := constant.Int64Val(c.Val())
			doc := sentence(spec.Doc)
			if doc == "" {
				doc = strings.TrimSpace(spec.Comment.Text())
			}
			g.values = append(g.values, value{words: words(ident.Name), n: n, doc: doc})
		}
	}
	return g
}

// sentence is a comment on one line, in the words of other languages.
func sentence(c *ast.CommentGroup) string {
	s := strings.Join(strings.Fields(c.Text()), " ")
	return strings.NewReplacer("[", "", "]", "").Replace(s)
}

// words splits the name of a constant: RouteNoMX is route, no, mx.
func words(s string) []string {
	var out []string
	from := 0
	r := []rune(s)
	for i := 1; i < len(r); i++ {
		starts := unicode.IsUpper(r[i]) && unicode.IsLower(r[i-1])
		if starts || unicode.IsUpper(r[i]) && i+1 < len(r) && unicode.IsLower(r[i+1]) && unicode.IsUpper(r[i-1]) {
			out = append(out, strings.ToLower(string(r[from:i])))
			from = i
		}
	}
	return append(out, strings.ToLower(string(r[from:])))
}

// upper is NO_MX.
func (v value) upper() string { return strings.ToUpper(strings.Join(v.words, "_")) }

// lower is no_mx.
func (v value) lower() string { return strings.Join(v.words, "_") }

// camel is NoMx.
func (v value) camel() string {
	var b strings.Builder
	for _, w := range v.words {
		b.WriteString(strings.ToUpper(w[:1]) + w[1:])
	}
	return b.String()
}
