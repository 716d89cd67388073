package meter

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Value types (§5.3.1). Reference types are value types.
const (
	i32       byte = 0x7f
	i64       byte = 0x7e
	f32       byte = 0x7d
	f64       byte = 0x7c
	v128      byte = 0x7b
	funcref   byte = 0x70
	externref byte = 0x6f
)

// What can be imported and exported.
const (
	kindFunc byte = iota
	kindTable
	kindMemory
	kindGlobal
)

// maxLocals is what engines agreed on (WebAssembly JavaScript interface,
// "implementation-defined limits"). wazero makes a list of all the locals of a
// function when it reads it, up to 2^32.
const maxLocals = 50_000

// A module is the binary format taken apart as far as a rewriter needs it:
// the fields alias the octets that were read, and constant expressions stay
// octets.
type module struct {
	types     []funcType
	imports   []importEntry
	funcs     []uint32 // the types of the functions defined here
	tables    []table
	memories  []byte // the section's content, nil without one
	globals   []global
	exports   []export
	start     int // -1 without one
	elems     []elem
	dataCount []byte // the section's content, nil without one
	code      []body
	data      []byte // the section's content, nil without one
	customs   []custom

	imported struct{ funcs, tables, memories, globals int }
	funcImps []int // indices in imports of the imported functions
}

type funcType struct{ params, results []byte }

// key is the same for types that are equal, and for no others.
func (t funcType) key() string { return string(t.params) + ">" + string(t.results) }

type importEntry struct {
	module, name string
	kind         byte
	typ          uint32 // of a function
	mutable      bool   // of a global
	desc         []byte // what follows the kind
}

type table struct {
	elem     byte
	min, max uint32
	bounded  bool
}

type global struct {
	typ     byte
	mutable bool
	init    []byte
}

type export struct {
	name  string
	kind  byte
	index uint32
}

// An elem is an element segment; which fields are used depends on flags
// (§5.5.12): bit 0 passive or declarative, bit 1 explicit table or
// declarative, bit 2 expressions in place of functions.
type elem struct {
	flags  uint32
	table  uint32
	offset []byte
	typ    byte // a reference type with expressions, else the kind 0
	funcs  []uint32
	exprs  [][]byte
}

type body struct {
	locals []byte // the declarations, as they were
	count  int    // of locals, without the parameters
	code   []byte // up to and with the last end
	offset int    // of code in the module, for errors
}

type custom struct {
	name string
	data []byte
}

func (m *module) funcCount() int   { return m.imported.funcs + len(m.funcs) }
func (m *module) tableCount() int  { return m.imported.tables + len(m.tables) }
func (m *module) globalCount() int { return m.imported.globals + len(m.globals) }

// funcType is the type of function i, imported or not.
func (m *module) funcType(i uint32) uint32 {
	if n := uint32(m.imported.funcs); i >= n {
		return m.funcs[i-n]
	}
	return m.imports[m.funcImps[i]].typ
}

// The sections, in the order they must have; their numbers (§5.5.2) are not
// in this order.
var sections = []struct {
	id   byte
	name string
	read func(*module, *reader)
}{
	{1, "type", (*module).readTypes},
	{2, "import", (*module).readImports},
	{3, "function", (*module).readFuncs},
	{4, "table", (*module).readTables},
	{5, "memory", func(m *module, r *reader) { m.memories = r.bytes(uint32(len(r.b))) }},
	{6, "global", (*module).readGlobals},
	{7, "export", (*module).readExports},
	{8, "start", (*module).readStart},
	{9, "element", (*module).readElems},
	{12, "data count", func(m *module, r *reader) { m.dataCount = r.bytes(uint32(len(r.b))) }},
	{10, "code", (*module).readCode},
	{11, "data", (*module).readData},
}

var header = []byte("\x00asm\x01\x00\x00\x00")

// decode takes a module apart. Nothing in the result is bigger than the
// module by more than a constant factor.
func decode(wasm []byte) (*module, error) {
	if !bytes.HasPrefix(wasm, header) {
		return nil, errors.New("not a WebAssembly module of version 1")
	}
	m := &module{start: -1}
	r := &reader{b: wasm, pos: len(header)}
	last := -1 // index in sections
	for r.more() {
		id := r.byte()
		size := r.u32()
		s := r.sub(size)
		if r.err != nil {
			break
		}
		if id == 0 {
			m.readCustom(s)
			if s.err != nil {
				return nil, fmt.Errorf("custom section: %w", s.err)
			}
			continue
		}
		i := rank(id)
		if i <= last {
			return nil, fmt.Errorf("offset %#x: section %d is unknown, twice there or out of order", s.base, id)
		}
		last = i
		sections[i].read(m, s)
		if err := s.done(); err != nil {
			return nil, fmt.Errorf("%s section: %w", sections[i].name, err)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	if len(m.code) != len(m.funcs) {
		return nil, fmt.Errorf("%d functions declared, but %d bodies", len(m.funcs), len(m.code))
	}
	return m, nil
}

func rank(id byte) int {
	for i, s := range sections {
		if s.id == id {
			return i
		}
	}
	return -1
}

func (m *module) readCustom(r *reader) {
	c := custom{name: r.name()}
	c.data = r.b[r.pos:]
	m.customs = append(m.customs, c)
}

func (m *module) readTypes(r *reader) {
	m.types = make([]funcType, r.count(3))
	for i := range m.types {
		if c := r.byte(); c != 0x60 && r.err == nil {
			r.failf("type %#x is not that of a function", c)
		}
		m.types[i] = funcType{params: r.valueTypes(), results: r.valueTypes()}
	}
}

func (r *reader) valueTypes() []byte {
	b := r.bytes(uint32(r.count(1)))
	for _, t := range b {
		r.checkValueType(t)
	}
	return b
}

func (r *reader) valueType() byte {
	t := r.byte()
	r.checkValueType(t)
	return t
}

func (r *reader) checkValueType(t byte) {
	if (t < v128 || t > i32) && t != funcref && t != externref && r.err == nil {
		r.failf("unknown value type %#x", t)
	}
}

func (m *module) readImports(r *reader) {
	n := r.count(4)
	for range n {
		imp := importEntry{module: r.name(), name: r.name(), kind: r.byte()}
		if imp.module == ImportModule && r.err == nil {
			r.failf("imports from %q, which no plugin may use", imp.module)
		}
		at := r.pos
		switch imp.kind {
		case kindFunc:
			imp.typ = r.index("type", len(m.types))
			m.funcImps = append(m.funcImps, len(m.imports))
			m.imported.funcs++
		case kindTable:
			r.table()
			m.imported.tables++
		case kindMemory:
			r.limits()
			m.imported.memories++
		case kindGlobal:
			r.valueType()
			imp.mutable = r.mutable()
			m.imported.globals++
		default:
			r.failf("unknown kind of import %#x", imp.kind)
		}
		imp.desc = r.b[at:r.pos]
		if r.err != nil {
			return
		}
		m.imports = append(m.imports, imp)
	}
}

func (m *module) readFuncs(r *reader) {
	m.funcs = make([]uint32, r.count(1))
	for i := range m.funcs {
		m.funcs[i] = r.index("type", len(m.types))
	}
}

func (m *module) readTables(r *reader) {
	m.tables = make([]table, r.count(3))
	for i := range m.tables {
		m.tables[i] = r.table()
	}
}

func (r *reader) table() table {
	t := table{elem: r.byte()}
	if t.elem != funcref && t.elem != externref && r.err == nil {
		r.failf("unknown type of table %#x", t.elem)
	}
	t.min, t.max, t.bounded = r.limits()
	return t
}

// limits reads a minimum and perhaps a maximum (§5.3.7).
func (r *reader) limits() (min, max uint32, bounded bool) {
	switch c := r.byte(); c {
	case 0:
		return r.u32(), 0, false
	case 1:
		return r.u32(), r.u32(), true
	default:
		if r.err == nil {
			r.failf("unknown kind of limits %#x", c)
		}
		return 0, 0, false
	}
}

func (r *reader) mutable() bool {
	c := r.byte()
	if c > 1 {
		r.failf("unknown mutability %#x", c)
	}
	return c == 1
}

func (m *module) readGlobals(r *reader) {
	m.globals = make([]global, r.count(3))
	for i := range m.globals {
		g := global{typ: r.valueType(), mutable: r.mutable()}
		g.init = m.readExpr(r)
		m.globals[i] = g
	}
}

func (m *module) readExports(r *reader) {
	m.exports = make([]export, r.count(3))
	for i := range m.exports {
		e := export{name: r.name(), kind: r.byte(), index: r.u32()}
		if strings.HasPrefix(e.name, Prefix) {
			r.failf("exports %q, but no plugin may use names that begin with %q", e.name, Prefix)
		}
		r.checkExport(m, e)
		m.exports[i] = e
	}
}

func (r *reader) checkExport(m *module, e export) {
	switch {
	case e.kind == kindFunc:
		m.check(r, "function", e.index, m.funcCount())
	case e.kind == kindGlobal:
		m.check(r, "global", e.index, m.globalCount())
	case e.kind > kindGlobal && r.err == nil:
		r.failf("unknown kind of export %#x", e.kind)
	}
}

func (m *module) readStart(r *reader) {
	m.start = int(r.index("function", m.funcCount()))
	if r.err != nil {
		return
	}
	if t := m.types[m.funcType(uint32(m.start))]; len(t.params)+len(t.results) > 0 {
		r.failf("start function %d takes or returns values", m.start)
	}
}
