package meter

import "cmp"

// readElems reads the element segments (§5.5.12).
func (m *module) readElems(r *reader) {
	m.elems = make([]elem, r.count(2))
	for i := range m.elems {
		m.elems[i] = m.readElem(r)
		if r.err != nil {
			return
		}
	}
}

func (m *module) readElem(r *reader) elem {
	e := elem{flags: r.u32(), typ: funcref}
	if e.flags > 7 {
		r.failf("unknown kind of element segment %d", e.flags)
		return e
	}
	active, explicit, exprs := e.flags&1 == 0, e.flags&2 != 0, e.flags&4 != 0
	if active {
		if explicit {
			e.table = r.u32()
		}
		e.offset = m.readExpr(r)
	}
	if !active || explicit {
		e.typ = r.byte()
		if !exprs && e.typ != 0 || exprs && e.typ != funcref && e.typ != externref {
			r.failf("unknown kind of element %#x", e.typ)
		}
	}
	if exprs {
		e.exprs = make([][]byte, r.count(1))
		for i := range e.exprs {
			e.exprs[i] = m.readExpr(r)
		}
		return e
	}
	e.funcs = make([]uint32, r.count(1))
	for i := range e.funcs {
		e.funcs[i] = r.index("function", m.funcCount())
	}
	return e
}

// readExpr reads a constant expression with its end (§5.4.9), and sees to it
// that it refers to nothing that the rewriter is going to add.
func (m *module) readExpr(r *reader) []byte {
	at := r.pos
	var in instr
	for r.err == nil {
		r.next(&in)
		switch in.op {
		case opEnd:
			return r.b[at:r.pos]
		case opGlobalGet:
			m.check(r, "global", in.x, m.globalCount())
		case opRefFunc:
			m.check(r, "function", in.x, m.funcCount())
		case opI32Const, opI64Const, 0x43, 0x44, opRefNull, opV128Const:
		case opI32Add, opI32Sub, 0x6c, opI64Add, opI64Sub, opI64Mul: // extended-const
		default:
			if r.err == nil {
				r.failf("instruction %#x in a constant expression", uint16(in.op))
			}
		}
	}
	return nil
}

// check sees to it that index i is below n.
func (m *module) check(r *reader, what string, i uint32, n int) {
	if uint64(i) >= uint64(n) && r.err == nil {
		r.failf("%s %d, but there are only %d", what, i, n)
	}
}

// readData looks at the data segments (§5.5.14), which stay as they are.
func (m *module) readData(r *reader) {
	for range r.count(2) {
		switch flags := r.u32(); flags {
		case 2:
			r.index("memory", 1)
			m.readExpr(r)
		case 0:
			m.readExpr(r)
		case 1:
		default:
			r.failf("unknown kind of data segment %d", flags)
		}
		r.bytes(r.u32())
		if r.err != nil {
			return
		}
	}
	m.data = r.b
}

// readCode cuts the code section into bodies (§5.5.13).
func (m *module) readCode(r *reader) {
	n := r.count(3)
	if n != len(m.funcs) && r.err == nil {
		r.failf("%d functions declared, but %d bodies", len(m.funcs), n)
	}
	m.code = make([]body, 0, n)
	for range n {
		s := r.sub(r.u32())
		b := s.body()
		if r.err = cmp.Or(r.err, s.err); r.err != nil {
			return
		}
		m.code = append(m.code, b)
	}
}

func (r *reader) body() body {
	total := uint64(0)
	for range r.count(2) {
		total += uint64(r.u32())
		r.valueType()
		if r.err != nil {
			return body{}
		}
	}
	if total > maxLocals {
		r.failf("function has %d locals, the limit is %d", total, maxLocals)
	}
	return body{locals: r.b[:r.pos], count: int(total), code: r.b[r.pos:], offset: r.base + r.pos}
}
