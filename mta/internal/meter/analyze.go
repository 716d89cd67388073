package meter

import "slices"

// A function is what pass one found out about a function defined here.
type function struct {
	entry    int64    // fuel to take at the entry
	charges  []charge // fuel to take inside, in order of their places
	calls    []uint32 // functions it calls directly, each once
	indirect []uint32 // types it calls indirectly, each once
	frame    int64    // octets of stack, estimated
	cyclic   bool     // it can be on the stack more than once
	locals   uint32   // with the parameters
	scratch  bool     // it needs a local more, for the length of a bulk instruction
}

// The frame of a function is estimated: wazero gives each value that has to
// survive a call a place of its own, and how many there are is known to its
// compiler alone. The return address, saved registers and alignment are
// frameFixed; a parameter or local takes frameLocal; an instruction,
// frameInstr. A module made to deceive can have eight octets for each
// instruction, sixteen with vectors.
const (
	frameFixed = 64
	frameLocal = 8
	frameInstr = 1
)

// An analyst reads the bodies of a module, one after the other.
type analyst struct {
	m          *module
	p          pricer
	in, prev   instr
	declared   []bool // by function: something outside of the code names it
	referenced []bool // by function: it can be called indirectly
	fn         function
}

// analyze is pass one: it prices every function, and refuses what would
// change its meaning by pass two.
func analyze(m *module, t tariff) ([]function, error) {
	a := &analyst{m: m, p: pricer{tariff: t}, declared: make([]bool, m.funcCount()), referenced: make([]bool, m.funcCount())}
	a.references()
	fns := make([]function, len(m.code))
	for i, b := range m.code {
		if err := a.body(&b, m.types[m.funcs[i]]); err != nil {
			return nil, err
		}
		fns[i] = a.fn
	}
	markCyclic(m, fns, a.referenced)
	return fns, nil
}

// body reads one function into a.fn.
func (a *analyst) body(b *body, typ funcType) error {
	locals := b.count + len(typ.params)
	a.fn = function{frame: frameFixed + frameLocal*int64(locals), locals: uint32(locals)}
	a.p.reset(locals)
	a.prev.op = opNop
	r := &reader{b: b.code, base: b.offset}
	for len(a.p.frames) > 0 {
		r.next(&a.in)
		if r.err == nil {
			a.instr(r)
		}
		if r.err != nil {
			return r.err
		}
		a.fn.frame += frameInstr
		a.prev = instr{op: a.in.op, imm: a.in.imm}
	}
	a.fn.entry, a.fn.charges = a.p.result()
	a.fn.calls = once(a.fn.calls)
	a.fn.indirect = once(a.fn.indirect)
	return r.done()
}

func once(s []uint32) []uint32 {
	slices.Sort(s)
	return slices.Clip(slices.Compact(s))
}

func (a *analyst) instr(r *reader) {
	in, p := &a.in, &a.p
	p.add(price(in.op))
	switch in.op {
	case opBlock, opLoop, opIf:
		if in.bt >= 0 {
			a.m.check(r, "type", uint32(in.bt), len(a.m.types))
		}
		if r.err == nil {
			p.push(in, a.values(in))
		}
	case opElse:
		if p.frames[len(p.frames)-1].op != opIf {
			r.failf("else without an if")
			return
		}
		p.otherwise(in.to)
	case opEnd:
		p.pop(in.to)
	case opBr, opBrIf, opBrTable:
		a.branch(r)
	case opReturn, opUnreachable:
		p.branch(in.to, nil, false)
	default:
		a.refer(r)
		p.cut(in.to)
	}
}

// values is how many values a branch to the label of a block, loop or if
// carries.
func (a *analyst) values(in *instr) int {
	switch {
	case in.bt < 0: // one result, or none
		return 0
	case in.op == opLoop:
		return len(a.m.types[in.bt].params)
	}
	return len(a.m.types[in.bt].results)
}

func (a *analyst) branch(r *reader) {
	in, p := &a.in, &a.p
	if in.op != opBrTable {
		in.targets = append(in.targets, in.x)
	}
	for _, l := range in.targets {
		a.m.check(r, "label", l, len(p.frames))
	}
	if r.err == nil {
		p.branch(in.to, in.targets, in.op == opBrIf)
	}
}

// refer handles the instructions that refer to what the rewriter adds to, and
// those that it replaces.
func (a *analyst) refer(r *reader) {
	in, p, m := &a.in, &a.p, a.m
	switch in.op {
	case opCall:
		m.check(r, "function", in.x, m.funcCount())
		if in.x < uint32(m.imported.funcs) {
			p.add(priceCall)
		} else {
			a.fn.calls = append(a.fn.calls, in.x)
		}
	case opCallIndirect:
		m.check(r, "type", in.x, len(m.types))
		a.fn.indirect = append(a.fn.indirect, in.x)
	case opRefFunc:
		m.check(r, "function", in.x, m.funcCount())
		if r.err != nil {
			return
		}
		if !a.declared[in.x] { // it may be once its export as Start is added
			r.failf("ref.func of function %d, which is not declared", in.x)
		}
		a.referenced[in.x] = true
	case opLocalGet, opLocalSet, opLocalTee:
		m.check(r, "local", in.x, int(a.fn.locals))
		if in.op != opLocalGet {
			p.sets++
		}
	case opGlobalGet, opGlobalSet:
		m.check(r, "global", in.x, m.globalCount())
	case opMemoryInit, opMemoryCopy, opMemoryFill:
		if n, ok := inline(&a.prev); ok {
			p.add(priceBulk + n>>octetsShift)
		} else {
			a.fn.scratch = true
		}
	case opTableInit:
		m.check(r, "table", in.y, m.tableCount())
	case opTableCopy:
		m.check(r, "table", in.x, m.tableCount())
		m.check(r, "table", in.y, m.tableCount())
	case opTableFill, opTableGrow:
		m.check(r, "table", in.x, m.tableCount())
	}
}

// inline is whether a bulk instruction on memory after prev has a small
// constant length, and stays where it is.
func inline(prev *instr) (octets int64, ok bool) {
	return prev.imm, prev.op == opI32Const && prev.imm >= 0 && prev.imm <= inlineOctets
}

// references marks the functions that constant expressions, element segments
// and exports name. An exported function can be called indirectly if others
// can put it into a table.
func (a *analyst) references() {
	m := a.m
	exprs := [][]byte{}
	for _, g := range m.globals {
		exprs = append(exprs, g.init)
	}
	for _, e := range m.elems {
		exprs = append(exprs, e.exprs...)
		for _, i := range e.funcs {
			a.referenced[i] = true
		}
	}
	for _, x := range exprs {
		r := &reader{b: x}
		for r.more() {
			if r.next(&a.in); a.in.op == opRefFunc {
				a.referenced[a.in.x] = true
			}
		}
	}
	copy(a.declared, a.referenced)
	for _, e := range m.exports {
		if e.kind == kindFunc {
			a.declared[e.index] = true
			a.referenced[e.index] = a.referenced[e.index] || m.sharesTable()
		}
	}
}

// sharesTable is whether others can put functions into a table of the module.
func (m *module) sharesTable() bool {
	return m.imported.tables > 0 || slices.ContainsFunc(m.exports, func(e export) bool { return e.kind == kindTable })
}
