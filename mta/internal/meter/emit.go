package meter

// A rewriter is pass two. Its own functions come behind those of the module
// and its own globals behind the module's; the import Yield comes behind the
// imported functions, so that every function defined here moves up by one.
type rewriter struct {
	m     *module
	o     Options
	fns   []function
	dirty []bool // by imported function: Options.Dirty

	types   []funcType // added
	typeOf  map[string]uint32
	added   []added // functions
	helpers map[helper]uint32
	wraps   map[uint32]uint32 // by imported function: its wrapper
}

type added struct {
	typ  uint32
	name string
	code []byte // with the locals
}

func (w *rewriter) fuel() uint32  { return uint32(w.m.globalCount()) }
func (w *rewriter) stack() uint32 { return w.fuel() + 1 }
func (w *rewriter) flag() uint32  { return w.fuel() + 2 }
func (w *rewriter) yield() uint32 { return uint32(w.m.imported.funcs) }

// call is the new index of a function that is called directly.
func (w *rewriter) call(i uint32) uint32 {
	if i < w.yield() {
		return i
	}
	return i + 1
}

// ref is the new index of a function that is referred to. For an import that
// is its wrapper, as an indirect call cannot be priced where it is made.
func (w *rewriter) ref(i uint32) uint32 {
	if i < w.yield() {
		return w.wrap(i)
	}
	return i + 1
}

// add adds a function, and returns its index.
func (w *rewriter) add(name string, typ uint32, code []byte) uint32 {
	w.added = append(w.added, added{typ: typ, name: Prefix + name, code: code})
	return uint32(w.m.funcCount() + len(w.added))
}

// typ is the index of a type among those that the rewriter adds.
func (w *rewriter) typ(params, results string) uint32 {
	t := funcType{params: []byte(params), results: []byte(results)}
	i, ok := w.typeOf[t.key()]
	if !ok {
		i = uint32(len(w.m.types) + len(w.types))
		w.typeOf[t.key()] = i
		w.types = append(w.types, t)
	}
	return i
}

// take takes a constant amount from the global g.
func (w *rewriter) take(a *asm, g uint32, amount int64) {
	a.with(opGlobalGet, g)
	a.i64(amount)
	a.op(opI64Sub)
	a.with(opGlobalSet, g)
}

// look calls Yield if the fuel is below zero.
func (w *rewriter) look(a *asm) {
	a.with(opGlobalGet, w.fuel())
	w.yieldBelowZero(a)
}

func (w *rewriter) yieldBelowZero(a *asm) {
	a.i64(0)
	a.op(opI64LtS)
	a.block(opIf, noResult)
	a.with(opCall, w.yield())
	a.op(opEnd)
}

// mark sets the flag Dirty.
func (w *rewriter) mark(a *asm) {
	a.i32(1)
	a.with(opGlobalSet, w.flag())
}

// An emitter writes one body anew. Octets that stay as they are go over in
// runs.
type emitter struct {
	*rewriter
	fn   *function
	r    reader
	in   instr
	prev instr
	out  asm
	from int // what is before this octet of r.b is written, or replaced
	open int // blocks, without the function itself
}

// body writes function i, with its locals.
func (e *emitter) body(i int) {
	b := &e.m.code[i]
	*e = emitter{rewriter: e.rewriter, fn: &e.fns[i], r: reader{b: b.code}, in: e.in, out: e.out[:0]}
	e.locals(b)
	typ := e.m.types[e.m.funcs[i]]
	e.prologue(typ)
	charges := e.fn.charges
	for e.r.more() {
		e.r.next(&e.in)
		if len(charges) > 0 && charges[0].pos == e.in.from {
			e.flush(e.in.from)
			e.take(&e.out, e.fuel(), charges[0].fuel)
			if charges[0].looks {
				e.look(&e.out)
			}
			charges = charges[1:]
		}
		e.instr()
		e.prev = instr{op: e.in.op, imm: e.in.imm}
	}
	e.flush(len(e.r.b))
	e.epilogue()
}

// locals writes the declarations of locals.
func (e *emitter) locals(b *body) {
	if !e.fn.scratch {
		e.out = append(e.out, b.locals...)
		return
	}
	r := reader{b: b.locals}
	groups := r.u32()
	e.out = appendU32(e.out, groups+1)
	e.out = append(e.out, b.locals[r.pos:]...)
	e.out = append(e.out, 1, i32)
}

// prologue charges the entry. A function that can be on the stack more than
// once gets a block around its code: what leaves the function leaves the
// block, and comes to the epilogue.
func (e *emitter) prologue(typ funcType) {
	e.take(&e.out, e.fuel(), e.fn.entry)
	if !e.fn.cyclic {
		e.look(&e.out)
		return
	}
	e.take(&e.out, e.stack(), e.fn.frame)
	e.out.with(opGlobalGet, e.fuel())
	e.out.with(opGlobalGet, e.stack())
	e.out.op(opI64Or) // below zero if one of them is
	e.yieldBelowZero(&e.out)
	e.out.block(opBlock, e.blockType(typ.results))
}

// epilogue gives the frame back.
func (e *emitter) epilogue() {
	if e.fn.cyclic {
		e.take(&e.out, e.stack(), -e.fn.frame)
		e.out.op(opEnd)
	}
}

func (w *rewriter) blockType(results []byte) int64 {
	switch len(results) {
	case 0:
		return noResult
	case 1:
		return int64(results[0]) - 0x80 // the short forms are small negative numbers
	}
	return int64(w.typ("", string(results)))
}

func (e *emitter) flush(to int) {
	e.out = append(e.out, e.r.b[e.from:to]...)
	e.from = to
}

// replace begins the replacement of the instruction in hand.
func (e *emitter) replace() *asm {
	e.flush(e.in.from)
	e.from = e.in.to
	return &e.out
}

// before begins what goes in front of the instruction in hand.
func (e *emitter) before() *asm {
	e.flush(e.in.from)
	return &e.out
}

func (e *emitter) instr() {
	in := &e.in
	switch in.op {
	case opBlock, opLoop, opIf:
		e.open++
	case opEnd:
		e.open--
	case opReturn:
		if e.fn.cyclic {
			e.replace().with(opBr, uint32(e.open))
		}
	case opCall:
		if in.x < e.yield() && e.dirty[in.x] {
			e.mark(e.before())
		}
		e.replace().with(opCall, e.call(in.x))
	case opRefFunc:
		e.replace().with(opRefFunc, e.ref(in.x))
	case opGlobalSet:
		if e.unsaved(in.x) {
			e.mark(e.before())
		}
	case opTableSet, opElemDrop, opDataDrop:
		e.mark(e.before())
	case opMemoryInit, opMemoryCopy, opMemoryFill:
		if _, ok := inline(&e.prev); !ok {
			e.short(e.replace(), helper{in.op, in.x, in.y}, e.fn.locals)
		}
	case opMemoryGrow, opTableInit, opTableCopy, opTableFill, opTableGrow:
		e.replace().with(opCall, e.helper(in.op, in.x, in.y))
	}
}

// unsaved is whether global i is one of the module's own that a host cannot
// save: wazero's interface reads numbers, neither vectors nor references.
func (w *rewriter) unsaved(i uint32) bool {
	n := uint32(w.m.imported.globals)
	return i >= n && !w.m.globals[i-n].saved()
}

func (g global) saved() bool { return g.typ >= f64 && g.typ <= i32 }
