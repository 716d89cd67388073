package meter

// A helper is a function that stands for a bulk instruction.
type helper struct {
	op   opcode
	x, y uint32
}

// Bulk instructions are done in pieces of this many octets or elements.
const (
	pieceOctets   = 1 << 16
	pieceElements = 1 << 13
)

var helperNames = map[opcode]string{
	opMemoryGrow: "memory.grow", opMemoryInit: "memory.init", opMemoryCopy: "memory.copy", opMemoryFill: "memory.fill",
	opTableGrow: "table.grow", opTableInit: "table.init", opTableCopy: "table.copy", opTableFill: "table.fill",
}

// short stands for a bulk instruction on memory in a function with the local n
// to spare: when the length on the stack is small, which it mostly is, the
// instruction itself; else a call of the helper.
func (w *rewriter) short(a *asm, h helper, n uint32) {
	a.with(opLocalTee, n)
	a.i32(inlineOctets)
	a.op(opI32LeU)
	a.block(opIf, int64(w.typ(string([]byte{i32, i32}), "")))
	w.pay(a, h, n)
	a.get(n)
	a.bulk(h.op, h.x, h.y)
	a.op(opElse)
	a.get(n)
	a.with(opCall, w.helper(h.op, h.x, h.y))
	a.op(opEnd)
}

// helper is the index of the function that stands for the instruction.
func (w *rewriter) helper(op opcode, x, y uint32) uint32 {
	h := helper{op, x, y}
	if i, ok := w.helpers[h]; ok {
		return i
	}
	params, results := string([]byte{i32, i32, i32}), ""
	var code []byte
	switch op {
	case opMemoryGrow:
		params, results, code = string([]byte{i32}), string([]byte{i32}), w.grow(h, 0)
	case opTableGrow:
		params, results, code = string([]byte{w.m.tableType(x), i32}), string([]byte{i32}), w.grow(h, 1)
	case opTableFill:
		params = string([]byte{i32, w.m.tableType(x), i32})
		fallthrough
	default:
		code = w.inPieces(h)
	}
	w.helpers[h] = w.add(helperNames[op], w.typ(params, results), code)
	return w.helpers[h]
}

func (m *module) tableType(i uint32) byte {
	if n := uint32(m.imported.tables); i >= n {
		return m.tables[i-n].elem
	}
	for _, imp := range m.imports {
		if imp.kind == kindTable {
			if i == 0 {
				return imp.desc[0]
			}
			i--
		}
	}
	return funcref // not reached: pass one has checked i
}

func (h helper) onTable() bool { return h.op >= opTableInit }

// The locals of a helper that works in pieces: its three parameters, and the
// length of the piece. The second is a source for copy and init, a value for
// fill.
const (
	dst uint32 = iota
	src
	length
	piece
)

// inPieces is the code of a helper for fill, copy or init. One piece is left
// to the instruction itself. The specification has it trap before it writes
// anything, so with more pieces the bounds are looked at first.
func (w *rewriter) inPieces(h helper) []byte {
	a := &asm{1, 1, i32} // one declaration of locals: the length of the piece
	if h.onTable() {
		w.mark(a)
	}
	a.get(length)
	a.i32(h.most())
	a.op(opI32LeU)
	a.block(opIf, noResult)
	w.pay(a, h, length)
	w.look(a)
	a.get(dst, src, length)
	a.bulk(h.op, h.x, h.y)
	a.op(opReturn, opEnd)

	w.bounds(a, h)
	a.block(opLoop, noResult)
	a.get(length) // the shorter one
	a.i32(h.most())
	a.get(length)
	a.i32(h.most())
	a.op(opI32LtU, opSelect)
	a.with(opLocalSet, piece)
	w.pay(a, h, piece)
	w.look(a)
	w.move(a, h)
	a.get(length, piece)
	a.op(opI32Sub)
	a.with(opLocalTee, length)
	a.with(opBrIf, 0)
	a.op(opEnd, opEnd)
	return *a
}

// most is how long a piece is at most.
func (h helper) most() int32 {
	if h.onTable() {
		return pieceElements
	}
	return pieceOctets
}

// pay charges for a piece of n octets or elements.
func (w *rewriter) pay(a *asm, h helper, n uint32) {
	a.with(opGlobalGet, w.fuel())
	a.get(n)
	if !h.onTable() {
		a.i32(octetsShift)
		a.op(opI32ShrU)
	}
	a.i32(priceBulk)
	a.op(opI32Add, opI64ExtendU, opI64Sub)
	a.with(opGlobalSet, w.fuel())
}

// bounds runs the instruction as it was if any of it is out of bounds.
func (w *rewriter) bounds(a *asm, h helper) {
	beyond := func(start uint32, size func()) {
		a.get(start)
		a.op(opI64ExtendU)
		a.get(length)
		a.op(opI64ExtendU, opI64Add)
		size()
		a.op(opI64GtU)
		a.block(opIf, noResult)
		a.get(dst, src, length)
		a.bulk(h.op, h.x, h.y)
		a.op(opUnreachable, opEnd) // it has trapped
	}
	memory := func() {
		a.with(opMemorySize, 0)
		a.op(opI64ExtendU)
		a.i64(16)
		a.op(opI64Shl)
	}
	table := func(i uint32) func() {
		return func() {
			a.with(opTableSize, i)
			a.op(opI64ExtendU)
		}
	}
	switch h.op {
	case opMemoryFill:
		beyond(dst, memory)
	case opMemoryCopy:
		beyond(dst, memory)
		beyond(src, memory)
	case opTableFill:
		beyond(dst, table(h.x))
	case opTableCopy:
		beyond(dst, table(h.x))
		beyond(src, table(h.y))
	case opMemoryInit:
		beyond(dst, memory)
		w.segment(a, h, beyond)
	case opTableInit:
		beyond(dst, table(h.y))
		w.segment(a, h, beyond)
	}
}

// segment looks whether the source is within a segment. How long a segment is
// now, as it may have been dropped, is known to the instruction alone: a
// length of zero at the end of the source traps if that is out of bounds.
func (w *rewriter) segment(a *asm, h helper, beyond func(uint32, func())) {
	beyond(src, func() { a.i64(1<<32 - 1) }) // no sum below may wrap
	a.i32(0)
	a.get(src, length)
	a.op(opI32Add)
	a.i32(0)
	a.bulk(h.op, h.x, h.y)
}

// move does one piece. A copy upwards begins at its end, so that it does not
// overwrite what it has yet to read.
func (w *rewriter) move(a *asm, h helper) {
	copies := h.op == opMemoryCopy || h.op == opTableCopy
	if copies {
		a.get(dst, src)
		a.op(opI32GtU)
		a.block(opIf, noResult)
		for _, l := range []uint32{dst, src} {
			a.get(l, length)
			a.op(opI32Add)
			a.get(piece)
			a.op(opI32Sub)
		}
		a.get(piece)
		a.bulk(h.op, h.x, h.y)
		a.op(opElse)
	}
	a.get(dst, src, piece)
	a.bulk(h.op, h.x, h.y)
	advance := []uint32{dst, src}
	if h.op == opMemoryFill || h.op == opTableFill {
		advance = advance[:1]
	}
	for _, l := range advance {
		a.get(l, piece)
		a.op(opI32Add)
		a.with(opLocalSet, l)
	}
	if copies {
		a.op(opEnd)
	}
}

// grow is the code of a helper for memory.grow or table.grow, whose parameter
// by is how far. Growth is paid for when it has succeeded: how much a guest
// asks for in vain must not matter.
func (w *rewriter) grow(h helper, by uint32) []byte {
	price, result := int64(pricePage), by+1
	a := &asm{1, 1, i32} // one declaration of locals: the result
	w.take(a, w.fuel(), priceCall)
	if h.op == opTableGrow {
		price = 1
		w.mark(a)
	}
	a.block(opBlock, noResult)
	for l := range by + 1 {
		a.get(l)
	}
	a.bulk(h.op, h.x, h.y)
	a.with(opLocalTee, result)
	a.i32(-1)
	a.op(opI32Eq)
	a.with(opBrIf, 0)
	a.with(opGlobalGet, w.fuel())
	a.get(by)
	a.op(opI64ExtendU)
	a.i64(price)
	a.op(opI64Mul, opI64Sub)
	a.with(opGlobalSet, w.fuel())
	a.op(opEnd)
	w.look(a)
	a.get(result)
	a.op(opEnd)
	return *a
}

// wrap is the function that stands for imported function i where something
// refers to it: it charges for the call, and marks if the import is a dirty
// one.
func (w *rewriter) wrap(i uint32) uint32 {
	if f, ok := w.wraps[i]; ok {
		return f
	}
	typ := w.m.funcType(i)
	a := &asm{0}
	w.take(a, w.fuel(), priceCall)
	w.look(a)
	if w.dirty[i] {
		w.mark(a)
	}
	for p := range w.m.types[typ].params {
		a.get(uint32(p))
	}
	a.with(opCall, i)
	a.op(opEnd)
	w.wraps[i] = w.add("import", typ, *a)
	return w.wraps[i]
}
