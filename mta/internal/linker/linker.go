// Package linker adds functions of ours to a module that others built, such as
// an interpreter: functions that call what the module exports, that replace
// what it imports, and that become exports of their own. The module's own code
// stays as it is, but for the numbers of functions. What the functions do is
// their author's business.
package linker

import (
	"errors"
	"fmt"
	"slices"
)

// A Type is a type of a value.
type Type byte

const (
	I32 Type = 0x7f
	I64 Type = 0x7e
	F32 Type = 0x7d
	F64 Type = 0x7c
)

// A Signature is a function's type.
type Signature struct{ Params, Results []Type }

// A Func is a function to be added. Body writes its code; the parameters are
// the first locals.
type Func struct {
	Name string
	Signature
	Locals []Type
	Body   func(*Code)
}

// A Linker is a module with what is to be added. Functions have names: those
// that are added have theirs, imports that are added are called "module.name",
// and functions of the module go by the names of their exports. Not safe for
// concurrent use.
type Linker struct {
	mod      *module
	added    []importEntry     // imports
	funcs    []Func            // in the order of their numbers
	replaced map[int]string    // by: number of the import
	globals  []string          // mutable, i32, zero at first
	data     []segment         // passive
	exports  map[string]string // by name: the function
	removed  map[string]bool   // exports of the module
	errs     []error
}

// A segment is octets that code can copy into memory.
type segment struct {
	name   string
	octets []byte
}

// New begins with a module, which must be of WebAssembly 2.0 without vectors.
// It is not changed. Custom sections are left out of what is linked.
func New(wasm []byte) (*Linker, error) {
	mod, err := decode(wasm)
	if err != nil {
		return nil, err
	}
	return &Linker{
		mod: mod, replaced: map[int]string{}, exports: map[string]string{}, removed: map[string]bool{},
	}, nil
}

// Import adds an import, to be called as "module.name".
func (l *Linker) Import(module, name string, s Signature) {
	l.added = append(l.added, importEntry{module: module, name: name, kind: kindFunc, typ: l.mod.typeOf(s)})
}

// Define adds a function.
func (l *Linker) Define(f Func) { l.funcs = append(l.funcs, f) }

// Global adds a mutable number, zero at first.
func (l *Linker) Global(name string) { l.globals = append(l.globals, name) }

// Data adds octets that [Code.Init] copies into memory.
func (l *Linker) Data(name string, octets []byte) {
	l.data = append(l.data, segment{name, octets})
}

// Export exports the function fn under a name, in place of what the module
// exported under it.
func (l *Linker) Export(name, fn string) { l.exports[name] = fn }

// Keep removes the module's exports but for those named. They can be called
// by name all the same.
func (l *Linker) Keep(names ...string) {
	for _, e := range l.mod.exports {
		if !slices.Contains(names, e.name) {
			l.removed[e.name] = true
		}
	}
}

// Replace makes the module call the function by, which is of the same type,
// where it called an import; the import goes.
func (l *Linker) Replace(module, name, by string) {
	for i, e := range l.mod.funcImports() {
		if e.module == module && e.name == name {
			l.replaced[i] = by
			return
		}
	}
	l.errs = append(l.errs, fmt.Errorf("the module does not import %s of %s", name, module))
}

// Imports lists the functions that the module imports from others than those
// named, with their types; what is replaced is not left out.
func (l *Linker) Imports(but ...string) []Import {
	var list []Import
	for _, e := range l.mod.funcImports() {
		if !slices.Contains(but, e.module) {
			list = append(list, Import{e.module, e.name, l.mod.types[e.typ]})
		}
	}
	return list
}

// An Import is a function that a module imports.
type Import struct {
	Module, Name string
	Signature
}

// Module is the whole, linked. Equal parts give equal octets.
func (l *Linker) Module() ([]byte, error) {
	n := l.number()
	if err := errors.Join(l.errs...); err != nil {
		return nil, err
	}
	out, err := l.encode(n)
	if err != nil {
		return nil, err
	}
	return out, errors.Join(n.errs...)
}

// numbers says which number every function has in the linked module.
type numbers struct {
	l       *Linker
	byName  map[string]uint32
	old     []uint32 // by number in the module
	imports []importEntry
	errs    []error
}

// number numbers all functions: the module's imports that stay, those that are
// added, the module's own functions, those that are added.
func (l *Linker) number() *numbers {
	n := &numbers{l: l, byName: map[string]uint32{}}
	next := uint32(0)
	own := l.mod.funcImports()
	n.old = make([]uint32, len(own)+len(l.mod.funcs))
	for i := range own {
		if l.replaced[i] == "" {
			n.old[i] = next
			next++
		}
	}
	for _, e := range l.added {
		n.byName[e.module+"."+e.name] = next
		next++
	}
	for i := range l.mod.funcs {
		n.old[len(own)+i] = next
		next++
	}
	for _, f := range l.funcs {
		n.byName[f.Name] = next
		next++
	}
	for i := range own {
		if by := l.replaced[i]; by != "" {
			n.old[i] = n.replacement(own[i], by)
		}
	}
	for _, e := range l.mod.exports {
		if _, ours := n.byName[e.name]; e.kind == kindFunc && !ours {
			n.byName[e.name] = n.old[e.index]
		}
	}
	n.imports = slices.Concat(l.mod.imports, l.added)
	at := 0
	n.imports = slices.DeleteFunc(n.imports, func(e importEntry) bool {
		if e.kind != kindFunc {
			return false
		}
		at++
		return l.replaced[at-1] != ""
	})
	return n
}

// replacement is the number of an added function that takes an import's place.
func (n *numbers) replacement(e importEntry, by string) uint32 {
	i := slices.IndexFunc(n.l.funcs, func(f Func) bool { return f.Name == by })
	if i < 0 {
		n.errs = append(n.errs, fmt.Errorf("no function %s to replace %s of %s", by, e.name, e.module))
		return 0
	}
	want, got := n.l.mod.types[e.typ], n.l.funcs[i].Signature
	if !slices.Equal(got.Params, want.Params) || !slices.Equal(got.Results, want.Results) {
		n.errs = append(n.errs, fmt.Errorf("function %s is no replacement of %s: it is of another type", by, e.name))
	}
	return n.byName[by]
}

// of is the number of a function by its name.
func (n *numbers) of(name string) uint32 {
	i, ok := n.byName[name]
	if !ok {
		n.errs = append(n.errs, fmt.Errorf("no function %s in the module", name))
	}
	return i
}

// moved is the number of a function of the module in the linked one.
func (n *numbers) moved(old uint32) (uint32, error) {
	if int64(old) >= int64(len(n.old)) {
		return 0, fmt.Errorf("function %d is not there", old)
	}
	return n.old[old], nil
}
