package meter_test

import (
	"bytes"
	"encoding/binary"
)

// A gen makes a valid module out of any octets: each one is a choice. The
// module ends on every input: functions and loops count down a budget and
// trap when it is used up.
type gen struct {
	choices []byte
	code    []byte
	sig     signature // of the function in hand
	labels  []byte    // what a branch to each open block takes: 0 or a value type
	deep    int
}

type signature struct{ params, results []byte }

const (
	i32 = 0x7f
	i64 = 0x7e
)

// The types of the module, and which one each function has; function 0 is
// imported.
var (
	signatures = []signature{
		{nil, []byte{i32}}, {[]byte{i32, i32}, []byte{i32}}, {[]byte{i64}, []byte{i64}}, {nil, nil}, {[]byte{i32}, []byte{i32, i64}},
	}
	functions = []int{0, 0, 1, 2, 3, 4, 1}
)

// Each function has these locals behind its parameters.
var locals = []byte{i32, i32, i64, i64}

const (
	budget     = 600
	maxDepth   = 6
	pieceSized = 0x3ffff // lengths of bulk instructions: up to four pieces
)

func (g *gen) choose(n int) int {
	if len(g.choices) == 0 {
		return 0
	}
	c := int(g.choices[0])
	g.choices = g.choices[1:]
	return c % n
}

func (g *gen) emit(b ...byte) { g.code = append(g.code, b...) }

func (g *gen) index(op byte, i int) { g.code = binary.AppendUvarint(append(g.code, op), uint64(i)) }

func signed(b []byte, v int64) []byte {
	for v < -64 || v > 63 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v)&0x7f)
}

func (g *gen) constant(typ byte) {
	values := []int64{0, 1, 2, 7, 255, 4096, 65535, 65536, 70000, 200_000, -1, -2, 1 << 31 >> 1, -1 << 31}
	v := values[g.choose(len(values))]
	g.code = signed(append(g.code, map[byte]byte{i32: 0x41, i64: 0x42}[typ]), v)
}

// local picks a local of a type: there is always one.
func (g *gen) local(typ byte) int {
	all := append(bytes.Clone(g.sig.params), locals...)
	for i, at := g.choose(len(all)), 0; ; at++ {
		if j := (i + at) % len(all); all[j] == typ {
			return j
		}
	}
}

// expr leaves a value of the type on the stack.
func (g *gen) expr(typ byte) {
	g.deep++
	defer func() { g.deep-- }()
	c := g.choose(12)
	if g.deep > maxDepth {
		c %= 2
	}
	switch c {
	case 0:
		g.constant(typ)
	case 1:
		g.index(0x20, g.local(typ))
	case 2, 3:
		g.expr(typ)
		g.expr(typ)
		ops := map[byte][]byte{i32: {0x6a, 0x6b, 0x6c, 0x71, 0x73, 0x74, 0x6d, 0x70, 0x48, 0x4f}, i64: {0x7c, 0x7d, 0x7e, 0x83, 0x85, 0x86, 0x7f, 0x82}}[typ]
		g.emit(ops[g.choose(len(ops))])
	case 4: // from the other type
		if typ == i32 {
			g.expr(i64)
			g.emit(0xa7)
		} else {
			g.expr(i32)
			g.emit(0xac)
		}
	case 5:
		g.address()
		g.emit(map[byte]byte{i32: 0x28, i64: 0x29}[typ], 0, 3)
	case 6:
		g.expr(i32)
		g.emit(0x04, typ) // if
		g.open(typ, func() { g.statements(); g.expr(typ); g.emit(0x05); g.statements(); g.expr(typ) })
	case 7:
		g.emit(0x02, typ) // block, left early or not
		g.open(typ, func() { g.expr(typ); g.expr(i32); g.emit(0x0d, 0, 0x1a); g.statements(); g.expr(typ) })
	case 8:
		g.index(0x23, map[byte]int{i32: 0, i64: 1}[typ])
	case 9:
		g.call(typ)
	case 10:
		g.grow(typ)
	case 11: // a loop with a result, and a select
		g.emit(0x03, typ)
		g.open(0, func() { g.guard(); g.statements(); g.expr(typ) })
		g.expr(typ)
		g.expr(i32)
		g.emit(0x1b)
	}
}

// open is a block whose branches take typ.
func (g *gen) open(typ byte, body func()) {
	g.labels = append(g.labels, typ)
	body()
	g.labels = g.labels[:len(g.labels)-1]
	g.emit(0x0b)
}

// guard counts the budget down, and traps below zero.
func (g *gen) guard() {
	g.emit(0x23, 0, 0x41, 1, 0x6b, 0x24, 0, 0x23, 0, 0x41, 0, 0x48, 0x04, 0x40, 0x00, 0x0b)
}

// address is mostly within the memory.
func (g *gen) address() {
	g.expr(i32)
	if g.choose(8) > 0 {
		g.code = append(signed(append(g.code, 0x41), 0xffff), 0x71)
	}
}

// call leaves a value of the type.
func (g *gen) call(typ byte) {
	f := map[byte][]int{i32: {0, 1, 2, 6}, i64: {3}}[typ]
	callee := f[g.choose(len(f))]
	sig := functions[callee]
	for _, p := range signatures[sig].params {
		g.expr(p)
	}
	if g.choose(2) == 0 {
		g.index(0x10, callee)
		return
	}
	g.expr(i32)
	g.emit(0x41, 7, 0x71) // an element of the table; not always of the type
	g.index(0x11, sig)
	g.emit(byte(g.choose(2)))
}

func (g *gen) grow(typ byte) {
	switch g.choose(4) {
	case 0:
		g.emit(0x3f, 0)
	case 1:
		g.emit(0x41, byte(g.choose(3)), 0x40, 0)
	case 2:
		g.emit(0xfc, 16, byte(g.choose(2)))
	case 3:
		g.emit(0xd0, 0x70, 0x41, byte(g.choose(3)), 0xfc, 15, byte(g.choose(2)))
	}
	if typ == i64 {
		g.emit(0xad)
	}
}

func (g *gen) statements() {
	g.deep++
	for range g.choose(4) {
		if g.deep <= maxDepth {
			g.statement()
		}
	}
	g.deep--
}

func (g *gen) statement() {
	switch g.choose(14) {
	case 0:
		typ := []byte{i32, i64}[g.choose(2)]
		g.expr(typ)
		g.index(0x21, g.local(typ))
	case 1:
		g.address()
		g.expr(i32)
		g.emit([]byte{0x36, 0x3a}[g.choose(2)], 0, 1)
	case 2:
		g.expr(i64)
		g.emit(0x24, 1)
	case 3:
		g.emit(0x02, 0x40)
		g.open(0, g.statements)
	case 4:
		g.emit(0x03, 0x40)
		g.open(0, func() { g.guard(); g.statements(); g.expr(i32); g.emit(0x0d, 0) })
	case 5:
		g.expr(i32)
		g.emit(0x04, 0x40)
		g.open(0, func() {
			g.statements()
			if g.choose(2) == 0 {
				g.emit(0x05)
				g.statements()
			}
		})
	case 6, 7:
		g.branch()
	case 8:
		g.bulkMemory()
	case 9:
		g.bulkTable()
	case 10:
		for range g.choose(60) { // a long piece of straight code
			g.emit(0x20, byte(g.local(i32)), 0x21, byte(g.local(i32)))
		}
	case 11: // two results
		g.expr(i32)
		g.emit(0x10, 5, 0x24, 1, 0x1a)
	case 12:
		g.emit(0x10, 4)
	case 13:
		if g.choose(8) == 0 {
			g.emit(0x00)
		} else {
			g.emit(0x01)
		}
	}
}

// branch goes to an open block, or returns.
func (g *gen) branch() {
	depth := g.choose(len(g.labels) + 1)
	if depth == len(g.labels) {
		for _, r := range g.sig.results {
			g.expr(r)
		}
		g.emit(0x0f)
		return
	}
	typ := g.labels[len(g.labels)-1-depth]
	if typ != 0 {
		g.expr(typ)
	}
	switch g.choose(3) {
	case 0:
		g.index(0x0c, depth)
	case 1:
		g.expr(i32)
		g.index(0x0d, depth)
		if typ != 0 {
			g.emit(0x1a)
		}
	case 2:
		g.expr(i32)
		g.emit(0x0e, 1, byte(depth), byte(depth))
	}
}

func (g *gen) length() {
	if g.choose(3) == 0 {
		g.constant(i32)
		return
	}
	g.expr(i32)
	g.code = append(signed(append(g.code, 0x41), pieceSized), 0x71)
}

func (g *gen) bulkMemory() {
	g.address()
	g.address()
	switch g.choose(4) {
	case 0:
		g.length()
		g.emit(0xfc, 11, 0)
	case 1:
		g.length()
		g.emit(0xfc, 10, 0, 0)
	case 2:
		g.emit(0x41, byte(g.choose(40)), 0xfc, 8, 0, 0)
	case 3:
		g.emit(0x1a, 0x1a, 0xfc, 9, 0)
	}
}

func (g *gen) bulkTable() {
	at := func() { g.expr(i32); g.emit(0x41, byte(g.choose(12)), 0x71) }
	table := byte(g.choose(2))
	switch g.choose(5) {
	case 0:
		at()
		g.emit(0xd2, byte(g.choose(len(functions))))
		at()
		g.emit(0xfc, 17, table)
	case 1:
		at()
		at()
		at()
		g.emit(0xfc, 14, table, byte(g.choose(2)))
	case 2:
		at()
		at()
		at()
		g.emit(0xfc, 12, 0, table)
	case 3:
		at()
		g.emit(0xd2, byte(g.choose(len(functions))), 0x26, table)
	case 4:
		g.emit(0xfc, 13, 0)
	}
}

// module is the whole of it: four pages of memory that may grow to eight, two
// tables, the budget and a number as globals, a segment of each kind.
func (g *gen) module() []byte {
	vec := func(items ...[]byte) []byte {
		return append(binary.AppendUvarint(nil, uint64(len(items))), bytes.Join(items, nil)...)
	}
	var types, decls, exports, bodies [][]byte
	for _, s := range signatures {
		types = append(types, append(append(append([]byte{0x60, byte(len(s.params))}, s.params...), byte(len(s.results))), s.results...))
	}
	for i, sig := range functions {
		if i > 0 {
			decls = append(decls, []byte{byte(sig)})
			bodies = append(bodies, g.function(signatures[sig]))
		}
		exports = append(exports, []byte{2, 'f', byte('0' + i), 0, byte(i)})
	}
	exports = append(exports, []byte("\x01m\x02\x00"), []byte("\x01b\x03\x00"), []byte("\x01n\x03\x01"))
	all := []byte("\x01\x02\x03\x04\x05\x06\x00")
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range []struct {
		id      byte
		content []byte
	}{
		{1, vec(types...)}, {2, []byte("\x01\x03env\x04host\x00\x00")}, {3, vec(decls...)},
		{4, []byte{2, 0x70, 0, 8, 0x70, 1, 6, 9}}, {5, []byte{1, 1, 4, 8}},
		{6, append(signed([]byte{2, i32, 1, 0x41}, budget), 0x0b, i64, 1, 0x42, 0, 0x0b)}, {7, vec(exports...)},
		{9, append(append([]byte("\x02\x01\x00\x07"), all...), append([]byte("\x00\x41\x00\x0b\x07"), all...)...)},
		{12, []byte{1}}, {10, vec(bodies...)}, {11, []byte("\x01\x01\x20abcdefghijklmnopqrstuvwxyz012345")},
	} {
		out = append(binary.AppendUvarint(append(out, s.id), uint64(len(s.content))), s.content...)
	}
	return out
}

func (g *gen) function(s signature) []byte {
	g.code, g.sig, g.labels = []byte{2, 2, i32, 2, i64}, s, nil
	g.guard()
	g.statements()
	for _, r := range s.results {
		g.expr(r)
	}
	g.emit(0x0b)
	return append(binary.AppendUvarint(nil, uint64(len(g.code))), g.code...)
}
