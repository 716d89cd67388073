package meter

// An asm is code being written.
type asm []byte

func (a *asm) op(ops ...opcode) {
	for _, op := range ops {
		if op <= 0xff {
			*a = append(*a, byte(op))
		} else {
			*a = appendU32(append(*a, byte(op>>8)), uint32(op&0xff))
		}
	}
}

// with writes an instruction and its indices.
func (a *asm) with(op opcode, indices ...uint32) {
	a.op(op)
	for _, i := range indices {
		*a = appendU32(*a, i)
	}
}

// get pushes locals.
func (a *asm) get(locals ...uint32) {
	for _, l := range locals {
		a.with(opLocalGet, l)
	}
}

func (a *asm) i32(v int32) {
	a.op(opI32Const)
	*a = appendSigned(*a, int64(v))
}

func (a *asm) i64(v int64) {
	a.op(opI64Const)
	*a = appendSigned(*a, v)
}

// block opens a block, loop or if of the type bt, as in instr.
func (a *asm) block(op opcode, bt int64) {
	a.op(op)
	*a = appendSigned(*a, bt)
}

// noResult is the type of a block that takes nothing and leaves nothing.
const noResult = -64

// bulk writes a bulk instruction with its immediates.
func (a *asm) bulk(op opcode, x, y uint32) {
	switch op {
	case opMemoryFill, opMemoryGrow:
		a.with(op, 0)
	case opMemoryCopy:
		a.with(op, 0, 0)
	case opMemoryInit:
		a.with(op, x, 0)
	case opTableInit, opTableCopy:
		a.with(op, x, y)
	default:
		a.with(op, x)
	}
}
