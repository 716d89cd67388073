package linker

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Code writes a function, one instruction a method. Locals go by their number,
// all else by name; a name that is not there is an error of [Linker.Module].
type Code struct {
	b []byte
	n *numbers
}

// assemble is a function's body.
func (n *numbers) assemble(f Func) []byte {
	c := &Code{n: n}
	c.b = binary.AppendUvarint(nil, uint64(len(f.Locals)))
	for _, t := range f.Locals {
		c.b = append(c.b, 1, byte(t))
	}
	f.Body(c)
	return append(c.b, opEnd)
}

func (c *Code) op(op byte, numbers ...uint32) *Code {
	c.b = append(c.b, op)
	for _, n := range numbers {
		c.b = binary.AppendUvarint(c.b, uint64(n))
	}
	return c
}

// Get puts a local on the stack.
func (c *Code) Get(local int) *Code { return c.op(0x20, uint32(local)) }

// Set takes a local from the stack.
func (c *Code) Set(local int) *Code { return c.op(0x21, uint32(local)) }

// Const puts a number on the stack.
func (c *Code) Const(n int) *Code {
	c.b = append(c.b, opI32Const)
	for {
		octet := byte(n & 0x7f)
		n >>= 7
		if n == 0 && octet&0x40 == 0 || n == -1 && octet&0x40 != 0 {
			c.b = append(c.b, octet)
			return c
		}
		c.b = append(c.b, octet|0x80)
	}
}

// Call calls a function.
func (c *Code) Call(name string) *Code { return c.op(opCall, c.n.of(name)) }

// Load reads the value of a type at the address on the stack and offset.
func (c *Code) Load(t Type, offset int) *Code {
	op := map[Type]byte{I32: 0x28, I64: 0x29, F32: 0x2a, F64: 0x2b}[t]
	return c.op(op, 0, uint32(offset))
}

// Store writes the value on the stack at the address below it and offset.
func (c *Code) Store(t Type, offset int) *Code {
	op := map[Type]byte{I32: 0x36, I64: 0x37, F32: 0x38, F64: 0x39}[t]
	return c.op(op, 0, uint32(offset))
}

// GlobalGet puts a number that was added on the stack.
func (c *Code) GlobalGet(name string) *Code { return c.op(opGlobalGet, c.global(name)) }

// GlobalSet takes it from the stack.
func (c *Code) GlobalSet(name string) *Code { return c.op(0x24, c.global(name)) }

func (c *Code) global(name string) uint32 {
	i := slices.Index(c.n.l.globals, name)
	if i < 0 {
		c.n.errs = append(c.n.errs, fmt.Errorf("no global %s", name))
	}
	return c.n.l.mod.importedGlobals() + c.n.l.mod.globals + uint32(max(i, 0))
}

// Init copies the octets that were added under a name to the address on the
// stack.
func (c *Code) Init(name string) *Code {
	i := slices.IndexFunc(c.n.l.data, func(s segment) bool { return s.name == name })
	if i < 0 {
		c.n.errs = append(c.n.errs, fmt.Errorf("no data %s", name))
		return c
	}
	c.Const(0).Const(len(c.n.l.data[i].octets))
	c.b = append(c.b, 0xfc)
	c.op(8, c.n.l.mod.datas+uint32(i))
	c.b = append(c.b, 0)
	return c
}

// Copy copies octets within memory: to, from and how many are on the stack.
func (c *Code) Copy() *Code {
	c.b = append(c.b, 0xfc)
	return c.op(10, 0, 0)
}

// If begins what is done if the number on the stack is not zero; End ends it.
func (c *Code) If() *Code { return c.op(0x04, 0x40) }

// Loop begins a block that [Code.BrIf] repeats.
func (c *Code) Loop() *Code { return c.op(0x03, 0x40) }

// Block begins a block that [Code.BrIf] leaves.
func (c *Code) Block() *Code { return c.op(0x02, 0x40) }

// BrIf goes to the depth-th block around this place, 0 being the innermost, if
// the number on the stack is not zero.
func (c *Code) BrIf(depth int) *Code { return c.op(0x0d, uint32(depth)) }

// BrTable goes to the block whose depth is the number on the stack, and to
// the one at depth n if it is n or more.
func (c *Code) BrTable(n int) *Code {
	c.op(0x0e, uint32(n))
	for i := range n {
		c.b = binary.AppendUvarint(c.b, uint64(i))
	}
	c.b = binary.AppendUvarint(c.b, uint64(n))
	return c
}

// End ends a block.
func (c *Code) End() *Code { return c.op(opEnd) }

// Return returns what is on the stack.
func (c *Code) Return() *Code { return c.op(0x0f) }

// Drop takes a value from the stack.
func (c *Code) Drop() *Code { return c.op(0x1a) }

// Unreachable traps.
func (c *Code) Unreachable() *Code { return c.op(0x00) }

// Add, Sub, Eq, Ne and GtS compute with i32.
func (c *Code) Add() *Code { return c.op(0x6a) }
func (c *Code) Sub() *Code { return c.op(0x6b) }
func (c *Code) Eq() *Code  { return c.op(0x46) }
func (c *Code) Ne() *Code  { return c.op(0x47) }
func (c *Code) GtS() *Code { return c.op(0x4a) }

// Extend makes an i64 of an i32, with its sign.
func (c *Code) Extend() *Code { return c.op(0xac) }

// ToI32 makes an i32 of an f64, with its sign; out of range it is the nearest.
func (c *Code) ToI32() *Code {
	c.b = append(c.b, 0xfc)
	return c.op(2)
}

// ToF64 makes an f64 of an i32, with its sign.
func (c *Code) ToF64() *Code { return c.op(0xb7) }
