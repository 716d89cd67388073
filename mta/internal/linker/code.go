package linker

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// code is the code section: the module's functions with the new numbers in
// them, and those that are added.
func (l *Linker) code(n *numbers) ([]byte, error) {
	r := &reader{b: l.mod.sections[secCode]}
	count := 0
	if r.b != nil {
		count = r.count()
	}
	if count != len(l.mod.funcs) {
		return nil, errors.New("not as much code as functions")
	}
	out := make([]byte, 0, len(r.b)+len(r.b)/8)
	out = binary.AppendUvarint(out, uint64(count+len(l.funcs)))
	var body []byte
	for i := range count {
		var err error
		if body, err = n.renumber(body[:0], r.octets()); err == nil {
			err = r.err
		}
		if err != nil {
			return nil, fmt.Errorf("function %d: %w", i, err)
		}
		out = appendOctets(out, body)
	}
	for _, f := range l.funcs {
		out = appendOctets(out, n.assemble(f))
	}
	return out, nil
}

// The instructions that are spoken of by name.
const (
	opCall       = 0x10
	opReturnCall = 0x12
	opGlobalGet  = 0x23
	opI32Const   = 0x41
	opRefFunc    = 0xd2
	opEnd        = 0x0b
)

// renumber copies a function's body to out, with the new numbers of the
// functions that it names.
func (n *numbers) renumber(out, body []byte) ([]byte, error) {
	r := &reader{b: body}
	for range r.count() { // locals
		r.number()
		r.octet()
	}
	for copied := body; ; {
		if len(r.b) == 0 {
			return append(out, copied...), r.err
		}
		switch op := r.octet(); op {
		case opCall, opReturnCall, opRefFunc:
			out = append(out, copied[:len(copied)-len(r.b)]...)
			i, err := n.moved(r.number())
			if err != nil {
				return nil, err
			}
			out = binary.AppendUvarint(out, uint64(i))
			copied = r.b
		default:
			r.immediates(op)
		}
	}
}

// immediates skips what follows the instruction op.
func (r *reader) immediates(op byte) {
	switch {
	case op >= 0x02 && op <= 0x04: // block, loop, if
		r.signed()
	case op == 0x0c || op == 0x0d: // br, br_if
		r.number()
	case op == 0x0e: // br_table
		for range r.count() {
			r.number()
		}
		r.number()
	case op == 0x11 || op == 0x13: // call_indirect
		r.number()
		r.number()
	case op == 0x1c: // select with types
		r.octets()
	case op >= 0x20 && op <= 0x26: // locals, globals, tables
		r.number()
	case op >= 0x28 && op <= 0x3e: // loads and stores
		r.number()
		r.number()
	case op == 0x3f || op == 0x40 || op == 0xd0: // memory.size, memory.grow, ref.null
		r.octet()
	case op == opI32Const, op == 0x42: // i64.const
		r.signed()
	case op == 0x43:
		r.skip(4)
	case op == 0x44:
		r.skip(8)
	case op == 0xfc:
		r.bulk()
	case op >= 0x45 && op <= 0xc4, op <= 0x01, op == 0x05, op == opEnd, op == 0x0f, op == 0x1a, op == 0x1b, op == 0xd1:
	default:
		r.fail(fmt.Errorf("instruction %#x is not known here", op))
	}
}

// signed skips a signed number.
func (r *reader) signed() {
	for r.octet()&0x80 != 0 {
	}
}

func (r *reader) skip(n int) {
	for range n {
		r.octet()
	}
}

// bulk skips what follows 0xfc: conversions, and instructions on many octets.
func (r *reader) bulk() {
	switch sub := r.number(); {
	case sub < 8:
	case sub == 8, sub == 10, sub == 12, sub == 14: // init and copy: two indexes
		r.number()
		r.number()
	case sub <= 17:
		r.number()
	default:
		r.fail(fmt.Errorf("instruction 0xfc %d is not known here", sub))
	}
}
