package meter

import (
	"fmt"
	"strconv"
	"strings"
)

// Rewrite returns wasm with what the package comment promises built in. It
// keeps nothing of wasm, and is safe for concurrent use.
func Rewrite(wasm []byte, o Options) (*Module, error) { return rewrite(wasm, o, usual) }

func rewrite(wasm []byte, o Options, t tariff) (*Module, error) {
	m, err := decode(wasm)
	if err != nil {
		return nil, err
	}
	if err := m.capTables(o.TableMax); err != nil {
		return nil, err
	}
	fns, err := analyze(m, t)
	if err != nil {
		return nil, fmt.Errorf("code: %w", err)
	}
	w := &rewriter{m: m, o: o, fns: fns, typeOf: map[string]uint32{}, helpers: map[helper]uint32{}, wraps: map[uint32]uint32{}}
	for _, i := range m.funcImps {
		imp := &m.imports[i]
		w.dirty = append(w.dirty, o.Dirty != nil && o.Dirty(imp.module, imp.name))
	}
	return w.module(len(wasm)), nil
}

// capTables lets the module's tables together have at most limit elements.
// What the tables do not have from the start is shared out evenly.
func (m *module) capTables(limit uint32) error {
	if limit == 0 {
		limit = DefaultTableMax
	}
	total := uint64(0)
	for _, t := range m.tables {
		total += uint64(t.min)
	}
	if total > uint64(limit) {
		return fmt.Errorf("tables have %d elements, the limit is %d", total, limit)
	}
	for i := range m.tables {
		t := &m.tables[i]
		most := t.min + (limit-uint32(total))/uint32(len(m.tables))
		if !t.bounded || t.max > most {
			if t.bounded && t.max < t.min {
				continue // for the runtime to refuse
			}
			t.max, t.bounded = most, true
		}
	}
	return nil
}

// module is pass two over the whole module. The code comes first: it decides
// which types and functions are added.
func (w *rewriter) module(size int) *Module {
	m, out := w.m, &Module{}
	yieldType := w.typ("", "")
	code := make([]byte, 0, size+size/4)
	e := &emitter{rewriter: w}
	for i := range m.code {
		e.body(i)
		code = appendBytes(code, e.out)
	}
	elems, globals := w.elemSection(), w.globalSection()
	exports := w.exportSection(out)
	for _, f := range w.added {
		code = appendBytes(code, f.code)
	}

	b := append(make([]byte, 0, len(code)+len(m.data)+len(elems)+1<<12), header...)
	b = section(b, 1, w.typeSection())
	b = section(b, 2, w.importSection(yieldType))
	b = section(b, 3, w.funcSection())
	b = section(b, 4, m.tableSection())
	b = section(b, 5, m.memories)
	b = section(b, 6, globals)
	b = section(b, 7, exports)
	b = section(b, 9, elems)
	b = section(b, 12, m.dataCount)
	b = section(b, 10, vector(len(m.code)+len(w.added), code))
	b = section(b, 11, m.data)
	out.Wasm = w.customSections(b)
	out.Start = m.start >= 0
	out.Shared = m.shared()
	return out
}

// shared is whether a part of the module's state is not its own.
func (m *module) shared() bool {
	for _, imp := range m.imports {
		if imp.kind == kindTable || imp.kind == kindMemory || imp.mutable {
			return true
		}
	}
	return false
}

// section appends a section, unless it is nil.
func section(b []byte, id byte, content []byte) []byte {
	if content == nil {
		return b
	}
	return appendBytes(append(b, id), content)
}

// vector is n elements, that follow each other in content; nil if there are
// none.
func vector(n int, content []byte) []byte {
	if n == 0 {
		return nil
	}
	return append(appendU32(nil, uint32(n)), content...)
}

func (w *rewriter) typeSection() []byte {
	var b []byte
	for _, ts := range [][]funcType{w.m.types, w.types} {
		for _, t := range ts {
			b = appendBytes(appendBytes(append(b, 0x60), t.params), t.results)
		}
	}
	return vector(len(w.m.types)+len(w.types), b)
}

func (w *rewriter) importSection(yieldType uint32) []byte {
	var b []byte
	for _, imp := range w.m.imports {
		b = append(appendName(appendName(b, imp.module), imp.name), imp.kind)
		b = append(b, imp.desc...)
	}
	b = append(appendName(appendName(b, ImportModule), Yield), kindFunc)
	return vector(len(w.m.imports)+1, appendU32(b, yieldType))
}

func (w *rewriter) funcSection() []byte {
	var b []byte
	for _, t := range w.m.funcs {
		b = appendU32(b, t)
	}
	for _, f := range w.added {
		b = appendU32(b, f.typ)
	}
	return vector(len(w.m.funcs)+len(w.added), b)
}

func (m *module) tableSection() []byte {
	var b []byte
	for _, t := range m.tables {
		b = append(b, t.elem)
		if t.bounded {
			b = appendU32(appendU32(append(b, 1), t.min), t.max)
		} else {
			b = appendU32(append(b, 0), t.min)
		}
	}
	return vector(len(m.tables), b)
}

func (w *rewriter) globalSection() []byte {
	var b asm
	for _, g := range w.m.globals {
		mutable := byte(0)
		if g.mutable {
			mutable = 1
		}
		b = append(b, g.typ, mutable)
		b = w.expr(b, g.init)
	}
	for range 2 { // fuel and stack
		b = append(b, i64, 1)
		b.i64(0)
		b.op(opEnd)
	}
	b = append(b, i32, 1) // the flag
	b.i32(0)
	b.op(opEnd)
	return vector(len(w.m.globals)+3, b)
}

// expr appends a constant expression, with the functions' new indices.
func (w *rewriter) expr(b asm, x []byte) asm {
	r := &reader{b: x}
	var in instr
	for r.more() {
		if r.next(&in); in.op == opRefFunc {
			b.with(opRefFunc, w.ref(in.x))
		} else {
			b = append(b, x[in.from:in.to]...)
		}
	}
	return b
}

// exportSection also notes in out the globals to save.
func (w *rewriter) exportSection(out *Module) []byte {
	exports := make([]export, 0, len(w.m.exports)+8)
	for _, e := range w.m.exports {
		if e.kind == kindFunc {
			e.index = w.ref(e.index)
		}
		exports = append(exports, e)
	}
	for i, g := range w.m.globals {
		if g.mutable && g.saved() {
			name := Prefix + "global." + strconv.Itoa(i)
			out.Globals = append(out.Globals, name)
			exports = append(exports, export{name, kindGlobal, uint32(w.m.imported.globals + i)})
		}
	}
	exports = append(exports, export{Fuel, kindGlobal, w.fuel()}, export{Stack, kindGlobal, w.stack()}, export{Dirty, kindGlobal, w.flag()})
	if w.m.start >= 0 {
		exports = append(exports, export{Start, kindFunc, w.ref(uint32(w.m.start))})
	}
	var b []byte
	for _, e := range exports {
		b = appendU32(append(appendName(b, e.name), e.kind), e.index)
	}
	return vector(len(exports), b)
}

func (w *rewriter) elemSection() []byte {
	var b []byte
	for _, e := range w.m.elems {
		b = w.elem(appendU32(b, e.flags), e)
	}
	return vector(len(w.m.elems), b)
}

func (w *rewriter) elem(b []byte, e elem) []byte {
	active, explicit, exprs := e.flags&1 == 0, e.flags&2 != 0, e.flags&4 != 0
	if active {
		if explicit {
			b = appendU32(b, e.table)
		}
		b = w.expr(b, e.offset)
	}
	if !active || explicit {
		b = append(b, e.typ)
	}
	if exprs {
		b = appendU32(b, uint32(len(e.exprs)))
		for _, x := range e.exprs {
			b = w.expr(b, x)
		}
		return b
	}
	b = appendU32(b, uint32(len(e.funcs)))
	for _, f := range e.funcs {
		b = appendU32(b, w.ref(f))
	}
	return b
}

// customSections appends the custom sections. Those that hold offsets in the
// code are left out: they would point elsewhere now.
func (w *rewriter) customSections(b []byte) []byte {
	for _, c := range w.m.customs {
		if strings.HasPrefix(c.name, ".debug_") || strings.HasPrefix(c.name, "reloc.") || strings.HasPrefix(c.name, "metadata.code.") {
			continue
		}
		if c.name == "name" {
			c.data = w.names(c.data)
		}
		b = section(b, 0, append(appendName(nil, c.name), c.data...))
	}
	return b
}
