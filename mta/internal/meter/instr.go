package meter

// An opcode is the instruction's first octet, or its prefix (0xfc, 0xfd) and
// the number behind it.
type opcode uint16

const (
	opUnreachable  opcode = 0x00
	opNop          opcode = 0x01
	opBlock        opcode = 0x02
	opLoop         opcode = 0x03
	opIf           opcode = 0x04
	opElse         opcode = 0x05
	opEnd          opcode = 0x0b
	opBr           opcode = 0x0c
	opBrIf         opcode = 0x0d
	opBrTable      opcode = 0x0e
	opReturn       opcode = 0x0f
	opCall         opcode = 0x10
	opCallIndirect opcode = 0x11
	opDrop         opcode = 0x1a
	opSelect       opcode = 0x1b
	opLocalGet     opcode = 0x20
	opLocalSet     opcode = 0x21
	opLocalTee     opcode = 0x22
	opGlobalGet    opcode = 0x23
	opGlobalSet    opcode = 0x24
	opTableSet     opcode = 0x26
	opMemorySize   opcode = 0x3f
	opMemoryGrow   opcode = 0x40
	opI32Const     opcode = 0x41
	opI64Const     opcode = 0x42
	opI32Eq        opcode = 0x46
	opI32LtU       opcode = 0x49
	opI32GtU       opcode = 0x4b
	opI32LeU       opcode = 0x4d
	opI64LtS       opcode = 0x53
	opI64GtU       opcode = 0x56
	opI32Add       opcode = 0x6a
	opI32Sub       opcode = 0x6b
	opI32ShrU      opcode = 0x76
	opI64Add       opcode = 0x7c
	opI64Sub       opcode = 0x7d
	opI64Mul       opcode = 0x7e
	opI64Or        opcode = 0x84
	opI64Shl       opcode = 0x86
	opI64ExtendU   opcode = 0xad
	opRefNull      opcode = 0xd0
	opRefFunc      opcode = 0xd2

	opMemoryInit opcode = 0xfc08
	opDataDrop   opcode = 0xfc09
	opMemoryCopy opcode = 0xfc0a
	opMemoryFill opcode = 0xfc0b
	opTableInit  opcode = 0xfc0c
	opElemDrop   opcode = 0xfc0d
	opTableCopy  opcode = 0xfc0e
	opTableGrow  opcode = 0xfc0f
	opTableSize  opcode = 0xfc10
	opTableFill  opcode = 0xfc11

	opV128Const opcode = 0xfd0c
)

// A shape is which immediates follow an opcode (§5.4).
type shape byte

const (
	unknown     shape = iota // no such instruction
	plain                    // nothing
	blockType                // a block's type
	label                    // one label
	labels                   // br_table
	index                    // one index: a function, local, global, table or segment
	index2                   // two indices
	memory                   // a reserved octet for the memory
	memory2                  // two of them
	indexMemory              // a segment and a memory
	memarg                   // alignment and offset
	memargLane               // those and a lane
	lane                     // a lane
	octet                    // a reference type
	selectType               // a vector of one type
	imm32                    // a signed LEB128 of 32 bits
	imm64
	bits32 // four octets
	bits64
	bits128
)

var shapes, shapesFC, shapesFD = func() (s, fc, fd [256]shape) {
	set := func(t *[256]shape, from, to int, sh shape) {
		for i := from; i <= to; i++ {
			t[i] = sh
		}
	}
	set(&s, 0x00, 0x01, plain)     // unreachable, nop
	set(&s, 0x02, 0x04, blockType) // block, loop, if
	s[0x05] = plain                // else
	s[0x0b] = plain                // end
	set(&s, 0x0c, 0x0d, label)     // br, br_if
	s[0x0e] = labels               // br_table
	s[0x0f] = plain                // return
	s[0x10] = index                // call
	s[0x11] = index2               // call_indirect: type, table
	set(&s, 0x1a, 0x1b, plain)     // drop, select
	s[0x1c] = selectType
	set(&s, 0x20, 0x26, index)  // local., global., table. get and set
	set(&s, 0x28, 0x3e, memarg) // loads and stores
	set(&s, 0x3f, 0x40, memory) // memory.size, memory.grow
	s[0x41], s[0x42], s[0x43], s[0x44] = imm32, imm64, bits32, bits64
	set(&s, 0x45, 0xc4, plain) // comparisons, arithmetic, conversions, sign extension
	s[0xd0], s[0xd1], s[0xd2] = octet, plain, index

	set(&fc, 0, 7, plain) // saturating conversions
	fc[8], fc[9] = indexMemory, index
	fc[10], fc[11] = memory2, memory
	fc[12], fc[13], fc[14] = index2, index, index2
	set(&fc, 15, 17, index)

	set(&fd, 0x00, 0x0b, memarg)
	set(&fd, 0x0c, 0x0d, bits128) // v128.const, i8x16.shuffle
	set(&fd, 0x0e, 0x14, plain)
	set(&fd, 0x15, 0x22, lane)
	set(&fd, 0x23, 0x53, plain)
	set(&fd, 0x54, 0x5b, memargLane)
	set(&fd, 0x5c, 0x5d, memarg)
	set(&fd, 0x5e, 0xff, plain) // with holes, which the runtime knows
	return s, fc, fd
}()

// An instr is one instruction of a body.
type instr struct {
	op       opcode
	from, to int      // its place in the body
	x, y     uint32   // its indices, or its label in x
	bt       int64    // a block's type: an index, or below zero one of the short forms
	imm      int64    // of i32.const and i64.const
	targets  []uint32 // of br_table, the default last; valid until the next instruction is read
}

// next reads one instruction into in, whose targets it uses again.
func (r *reader) next(in *instr) {
	*in = instr{from: r.pos, targets: in.targets[:0]}
	c := r.byte()
	in.op = opcode(c)
	sh := shapes[c]
	switch c {
	case 0xfc:
		n := r.u32()
		in.op = 0xfc00 | opcode(n&0xff)
		if sh = unknown; n < 0x100 {
			sh = shapesFC[n]
		}
	case 0xfd:
		in.op, sh = r.vector()
	}
	r.immediates(in, sh)
	in.to = r.pos
}

// vector reads the number of a vector instruction. Those from 128 on have two
// octets, of which wazero reads the first and takes the second, 1, for a nop:
// any other form would be read differently there, so it is refused here.
func (r *reader) vector() (opcode, shape) {
	n := r.byte()
	if n >= 0x80 && r.byte() != 1 {
		return 0, unknown
	}
	return 0xfd00 | opcode(n), shapesFD[n]
}

func (r *reader) immediates(in *instr, sh shape) {
	switch sh {
	case unknown:
		if r.err == nil {
			r.failf("unknown instruction %#x", uint16(in.op))
		}
	case blockType:
		in.bt = r.signed(33)
	case label, index:
		in.x = r.u32()
	case index2:
		in.x, in.y = r.u32(), r.u32()
	case labels:
		for range r.count(1) {
			in.targets = append(in.targets, r.u32())
		}
		in.targets = append(in.targets, r.u32())
	case memory:
		r.zero()
	case memory2:
		r.zero()
		r.zero()
	case indexMemory:
		in.x = r.u32()
		r.zero()
	case memarg, memargLane:
		r.u32()
		r.u32()
		if sh == memargLane {
			r.byte()
		}
	case lane, octet:
		r.byte()
	case selectType:
		if n := r.byte(); n != 1 && r.err == nil {
			r.failf("select of %d types", n)
		}
		r.byte()
	case imm32:
		in.imm = r.signed(32)
	case imm64:
		in.imm = r.signed(64)
	case bits32:
		r.bytes(4)
	case bits64:
		r.bytes(8)
	case bits128:
		r.bytes(16)
	}
}
