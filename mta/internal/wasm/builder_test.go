package wasm

import (
	"encoding/binary"
	"math"

	"github.com/wasmta/wasmta/sdk/abi"
)

// A module is a WebAssembly module in the making: functions of type () -> i32
// or () -> (), and one memory. Tests write guests with it that no compiler
// would.
type module struct {
	imports []importOf
	min     uint32 // pages of memory; zero: no memory
	data    string // at address 0
	funcs   []function
	exports []string // name and place of function, parallel to exported
	indices []uint32
}

type importOf struct {
	module, name    string
	params, results []abi.Kind
}

type function struct {
	results []abi.Kind
	body    []byte
}

// use imports a function of the ABI, and gives its index. Imports come first.
func (m *module) use(name string) uint32 {
	f, ok := abi.Lookup(name)
	if !ok {
		panic("no function " + name)
	}
	params, results := f.Core()
	return m.useAs(abi.Module, name, params, results)
}

func (m *module) useAs(mod, name string, params, results []abi.Kind) uint32 {
	if len(m.funcs) > 0 {
		panic("imports come before functions")
	}
	m.imports = append(m.imports, importOf{mod, name, params, results})
	return uint32(len(m.imports) - 1)
}

// fn adds a function that gives an i32, exports it if it has a name, and gives
// its index.
func (m *module) fn(name string, code ...[]byte) uint32 {
	return m.fnAs(name, []abi.Kind{abi.I32}, code...)
}

func (m *module) fnAs(name string, results []abi.Kind, code ...[]byte) uint32 {
	index := uint32(len(m.imports) + len(m.funcs))
	m.funcs = append(m.funcs, function{results, join(code...)})
	if name != "" {
		m.exports = append(m.exports, name)
		m.indices = append(m.indices, index)
	}
	return index
}

func (m *module) bytes() []byte {
	var types, imports, funcs, exports, codes [][]byte
	typeOf := func(params, results []abi.Kind) []byte {
		types = append(types, join([]byte{0x60}, kinds(params), kinds(results)))
		return leb(uint64(len(types) - 1))
	}
	for _, i := range m.imports {
		imports = append(imports, join(name(i.module), name(i.name), []byte{0}, typeOf(i.params, i.results)))
	}
	for _, f := range m.funcs {
		funcs = append(funcs, typeOf(nil, f.results))
		body := join([]byte{0}, f.body, []byte{0x0b})
		codes = append(codes, join(leb(uint64(len(body))), body))
	}
	for i, n := range m.exports {
		exports = append(exports, join(name(n), []byte{0}, leb(uint64(m.indices[i]))))
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	out = append(out, section(1, types)...)
	out = append(out, section(2, imports)...)
	out = append(out, section(3, funcs)...)
	if m.min > 0 {
		out = append(out, section(5, [][]byte{join([]byte{0}, leb(uint64(m.min)))})...)
		exports = append(exports, join(name("memory"), []byte{2, 0}))
	}
	out = append(out, section(7, exports)...)
	out = append(out, section(10, codes)...)
	if m.data != "" {
		out = append(out, section(11, [][]byte{join([]byte{0}, i32(0), []byte{0x0b}, name(m.data))})...)
	}
	return out
}

func section(id byte, items [][]byte) []byte {
	if len(items) == 0 {
		return nil
	}
	body := join(append([][]byte{leb(uint64(len(items)))}, items...)...)
	return join([]byte{id}, leb(uint64(len(body))), body)
}

func kinds(ks []abi.Kind) []byte {
	out := leb(uint64(len(ks)))
	for _, k := range ks {
		out = append(out, map[abi.Kind]byte{abi.I32: 0x7f, abi.I64: 0x7e, abi.F64: 0x7c}[k])
	}
	return out
}

func name(s string) []byte { return join(leb(uint64(len(s))), []byte(s)) }

func join(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func leb(n uint64) []byte { return binary.AppendUvarint(nil, n) }

func sleb(n int64) []byte {
	var out []byte
	for {
		b := byte(n & 0x7f)
		n >>= 7
		if n == 0 && b&0x40 == 0 || n == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

// The instructions that tests need.
func i32(n int32) []byte { return join([]byte{0x41}, sleb(int64(n))) }
func i64(n int64) []byte { return join([]byte{0x42}, sleb(n)) }
func f64(f float64) []byte {
	return binary.LittleEndian.AppendUint64([]byte{0x44}, math.Float64bits(f))
}
func call(f uint32) []byte { return join([]byte{0x10}, leb(uint64(f))) }

var (
	drop        = []byte{0x1a}
	unreachable = []byte{0x00}
	forever     = []byte{0x03, 0x40, 0x0c, 0x00, 0x0b} // loop, br 0, end
	growMemory  = []byte{0x40, 0x00}
)

// store writes an i32 to memory.
func store(address, value int32) []byte {
	return join(i32(address), i32(value), []byte{0x36, 0x02, 0x00})
}

// constant pushes a parameter's value of that kind.
func constant(k abi.Kind, n int64) []byte {
	switch k {
	case abi.I64:
		return i64(n)
	case abi.F64:
		return f64(float64(n))
	}
	return i32(int32(n))
}
