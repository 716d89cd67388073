package cases

import (
	"encoding/binary"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/abidoc"
)

// moduleOf is a module that does what an example does. Where something comes
// out otherwise it logs that line of the example and fails.
func moduleOf(e abidoc.Example) []byte {
	m := &module{calls: map[string]uint64{}}
	m.function("log")
	for _, s := range e.Steps {
		if s.Call != nil {
			m.function(s.Call.Function.Name)
		}
	}
	var code []byte
	for _, s := range e.Steps {
		code = append(code, m.step(s)...)
	}
	return m.bytes(e.Hook, append(code, opI32Const, 0, opEnd))
}

// A module is one that is being made.
type module struct {
	imports []abi.Function
	calls   map[string]uint64 // the number of each function in imports
	texts   []byte            // what is logged, from textsAt on
}

// textsAt is above what examples use of the memory.
const textsAt = 1 << 16

// Opcodes of WebAssembly that this takes.
const (
	opIf, opEnd, opReturn, opCall      = 0x04, 0x0b, 0x0f, 0x10
	opI32Const, opI64Const, opF64      = 0x41, 0x42, 0x44
	opI32Load8U, opI32Store8           = 0x2d, 0x3a
	opI32Ne, opI64Ne                   = 0x47, 0x52
	typeI32, typeI64, typeF64          = 0x7f, 0x7e, 0x7c
	typeFunction, typeNothing     byte = 0x60, 0x40
)

func (m *module) function(name string) {
	if _, ok := m.calls[name]; ok {
		return
	}
	f, _ := abi.Lookup(name)
	m.calls[name] = uint64(len(m.imports))
	m.imports = append(m.imports, f)
}

// step is the code of one line.
func (m *module) step(s abidoc.Step) (code []byte) {
	switch {
	case s.Put != nil:
		for i, b := range s.Put.Bytes {
			code = append(constant(constant(code, opI32Const, s.Put.At+int64(i)), opI32Const, int64(b)), opI32Store8, 0, 0)
		}
	case s.Look != nil:
		for i, b := range s.Look.Bytes {
			code = append(constant(code, opI32Const, s.Look.At+int64(i)), opI32Load8U, 0, 0)
			code = m.unless(append(constant(code, opI32Const, int64(b)), opI32Ne), s.Line)
		}
	case s.Call != nil:
		return m.call(s)
	case s.Return != nil:
		code = append(constant(nil, opI32Const, int64(*s.Return)), opReturn)
	}
	return code
}

// call is the code of a call, and of a look at its result.
func (m *module) call(s abidoc.Step) (code []byte) {
	f := s.Call.Function
	params, _ := f.Core()
	for i, k := range params {
		switch n := s.Call.Args[i]; k {
		case abi.I64:
			code = constant(code, opI64Const, n)
		case abi.F64:
			code = binary.LittleEndian.AppendUint64(append(code, opF64), uint64(n))
		default:
			code = constant(code, opI32Const, int64(int32(n)))
		}
	}
	code = binary.AppendUvarint(append(code, opCall), m.calls[f.Name])
	switch f.Result {
	case abi.I32:
		return m.unless(append(constant(code, opI32Const, s.Call.Result), opI32Ne), s.Line)
	case abi.I64:
		return m.unless(append(constant(code, opI64Const, s.Call.Result), opI64Ne), s.Line)
	}
	return code
}

// unless ends the hook if the code before left something that is not zero.
func (m *module) unless(code []byte, line string) []byte {
	at := textsAt + int64(len(m.texts))
	m.texts = append(m.texts, line...)
	code = constant(append(code, opIf, typeNothing), opI32Const, int64(abi.LevelError))
	code = constant(constant(code, opI32Const, at), opI32Const, int64(len(line)))
	code = binary.AppendUvarint(append(code, opCall), m.calls["log"])
	return append(constant(code, opI32Const, -1), opReturn, opEnd)
}

// bytes is the whole module, with code as the body of its hook.
func (m *module) bytes(hook string, code []byte) []byte {
	b := []byte("\x00asm\x01\x00\x00\x00")
	types, imports := vector(len(m.imports)+1), vector(len(m.imports))
	for i, f := range m.imports {
		params, results := f.Core()
		types = valueTypes(valueTypes(append(types, typeFunction), params), results)
		imports = append(name(name(imports, abi.Module), f.Name), 0, byte(i))
	}
	types = append(types, typeFunction, 0, 1, typeI32)
	b = section(b, 1, types)
	b = section(b, 2, imports)
	b = section(b, 3, append(vector(1), byte(len(m.imports))))
	b = section(b, 5, append(vector(1), 0, 2)) // a memory of two pages
	b = section(b, 7, append(name(vector(1), hook), 0, byte(len(m.imports))))
	body := append([]byte{0}, code...) // no locals
	b = section(b, 10, append(binary.AppendUvarint(vector(1), uint64(len(body))), body...))
	data := append(constant(append(vector(1), 0), opI32Const, textsAt), opEnd)
	return section(b, 11, append(binary.AppendUvarint(data, uint64(len(m.texts))), m.texts...))
}

var encoded = map[abi.Kind]byte{abi.I32: typeI32, abi.I64: typeI64, abi.F64: typeF64}

func valueTypes(b []byte, kinds []abi.Kind) []byte {
	b = append(b, byte(len(kinds)))
	for _, k := range kinds {
		b = append(b, encoded[k])
	}
	return b
}

func vector(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func name(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func section(b []byte, number byte, content []byte) []byte {
	return append(binary.AppendUvarint(append(b, number), uint64(len(content))), content...)
}

// constant appends an instruction with a signed number (LEB128).
func constant(b []byte, op byte, n int64) []byte {
	b = append(b, op)
	for {
		low := byte(n & 0x7f)
		n >>= 7
		if n == 0 && low&0x40 == 0 || n == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}
