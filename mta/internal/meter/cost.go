package meter

import "slices"

// The prices, in units of fuel. One unit is one instruction, which takes a
// quarter of a nanosecond to a nanosecond where memory answers from a cache.
const (
	priceCall    = 100     // a call of an import: what wazero takes to leave the guest and come back
	octetsShift  = 3       // bulk instructions on memories: 8 octets a unit
	pricePage    = 1 << 13 // memory.grow, a page: it is zeroed, or mapped and zeroed when it is used
	priceBulk    = 8       // a bulk instruction, or a piece of one, beside its length
	inlineOctets = 1 << 12 // the longest piece that is not looked at by itself
	movesShift   = 3       // values that change their places where paths meet: 8 a unit
	unseen       = 1 << 14 // most that runs between two looks at the fuel, where no call or loop comes before
)

// A tariff says where fuel is taken. A payment is three instructions of the
// machine, so it should not be made for each few instructions; and one that is
// made for a lot of code at once charges for what is then not run.
type tariff struct {
	own  int64 // straight code of this price pays for itself
	path int64 // what runs behind a path of this price pays anew
}

var usual = tariff{own: 24, path: 96}

// A charge takes fuel in front of the octet at pos of a body.
type charge struct {
	pos   int
	fuel  int64
	looks bool // at a loop header, or far from one: look whether there is any left
}

// A path is a way that the code can have been run to some point: the charge
// that was the last one on it, and what has been run since for that charge to
// pay for. A charge's fuel is the price of the dearest path from it. So what
// is charged is never less than what runs, and not much more: an interpreter's
// loop does not pay for each of its instructions' code on every round.
type path struct {
	charge int // index in charges, or one of those below
	price  int64
	unseen int64 // what has been run since the last look, at most
}

const (
	dead  = -1 // nothing runs here
	mixed = -2 // paths with different last charges meet: what follows needs one of its own
)

// join is a path to where a and b meet.
func join(a, b path) path {
	switch {
	case a.charge == dead:
		return b
	case b.charge == dead:
		return a
	case a.charge != b.charge:
		return path{charge: mixed, unseen: max(a.unseen, b.unseen)}
	}
	return path{a.charge, max(a.price, b.price), max(a.unseen, b.unseen)}
}

// A frame is a block, loop or if that is open, or the function.
type frame struct {
	op     opcode
	loops  int   // how many loops are open around it
	start  path  // to its first instruction
	out    path  // of the branches to its end
	header int   // of a loop: the index of its charge; zero: it is never run
	values int64 // that branches to its label carry
	sets   int64 // instructions before it that set a local
}

// A pricer works out the charges of one function. It is told each
// instruction in order.
type pricer struct {
	tariff
	charges []charge // the first one is the function's entry
	frames  []frame
	loops   []path // of each open loop, the path to it
	locals  int64
	sets    int64 // instructions so far that set a local

	here  path
	begin path // to where the piece of straight code in hand begins
	pos   int  // where that is
	first bool // it begins with a charge
}

func (p *pricer) reset(locals int) {
	p.charges, p.loops = p.charges[:0], p.loops[:0]
	p.locals, p.sets = int64(locals), 0
	p.frames = append(p.frames[:0], frame{op: opBlock, out: path{charge: dead}})
	p.here = path{}
	p.charge(charge{fuel: 1, looks: true})
}

// result is the price of the entry, and the charges inside.
func (p *pricer) result() (entry int64, inside []charge) {
	inside = slices.DeleteFunc(p.charges[1:], func(c charge) bool { return c.fuel == 0 })
	return p.charges[0].fuel, slices.Clone(inside)
}

func (p *pricer) add(price int64) {
	p.here.price += price
	p.here.unseen += price
}

// cut looks at the fuel in the middle of straight code that is long.
func (p *pricer) cut(pos int) {
	if p.here.charge != dead && p.here.unseen >= unseen {
		p.settle()
		p.resume(pos, p.here)
	}
}

// charge begins a piece of straight code with a charge.
func (p *pricer) charge(c charge) {
	p.here.charge, p.here.price = len(p.charges), c.fuel
	if c.looks {
		p.here.unseen = 0
	}
	p.charges = append(p.charges, c)
	p.begin, p.pos, p.first = p.here, c.pos, true
}

// settle ends the piece of straight code in hand.
func (p *pricer) settle() {
	if p.here.charge == dead {
		return
	}
	if price := p.here.price - p.begin.price; price >= p.own && !p.first {
		p.charges = append(p.charges, charge{pos: p.pos, fuel: price})
		p.here.charge, p.here.price = p.begin.charge, p.begin.price
	}
	c := &p.charges[p.here.charge]
	c.fuel = max(c.fuel, p.here.price)
}

// resume begins the next piece, at the octet at pos, which the path to leads to.
func (p *pricer) resume(pos int, to path) {
	switch far := to.unseen >= unseen; {
	case to.charge == dead:
	case far:
		p.here = to
		p.charge(charge{pos: pos, fuel: 1, looks: true})
		return
	case to.charge == mixed || to.price >= p.path:
		p.here = to
		p.charge(charge{pos: pos})
		return
	}
	p.here, p.begin, p.pos, p.first = to, to, pos, false
}

// branch ends a piece with branches. What follows can be reached from here if
// falls.
func (p *pricer) branch(pos int, labels []uint32, falls bool) {
	p.settle()
	if p.here.charge != dead {
		for _, l := range labels {
			f := &p.frames[len(p.frames)-1-int(l)]
			switch {
			case f.op == opLoop: // its header pays for the next round
			case f.loops < len(p.loops): // out of a loop, which has paid for itself
				f.out = join(f.out, p.outOf(f.loops))
			default:
				f.out = join(f.out, p.here)
			}
		}
	}
	if !falls {
		p.here.charge = dead
	}
	p.resume(pos, p.here)
}

// outOf is the path to where the loop of that index is left from here.
func (p *pricer) outOf(loop int) path {
	before := p.loops[loop]
	before.unseen = max(before.unseen, p.here.unseen)
	return before
}

// push is told of a block, loop or if whose label takes that many values.
func (p *pricer) push(in *instr, values int) {
	f := frame{op: in.op, loops: len(p.loops), out: path{charge: dead}, values: int64(values), sets: p.sets}
	switch in.op {
	case opIf:
		p.settle()
		f.start = p.here
		p.resume(in.to, p.here)
	case opLoop:
		p.settle()
		p.loops = append(p.loops, p.here)
		if p.here.charge != dead {
			f.header = len(p.charges)
			p.charge(charge{pos: in.to, fuel: 1, looks: true})
		}
	}
	p.frames = append(p.frames, f)
}

// otherwise is told of the else of an if.
func (p *pricer) otherwise(pos int) {
	p.settle()
	f := &p.frames[len(p.frames)-1]
	f.op, f.out = opElse, join(f.out, p.here)
	p.resume(pos, f.start)
}

// pop is told of an end.
func (p *pricer) pop(pos int) {
	p.settle()
	f := p.frames[len(p.frames)-1]
	p.frames = p.frames[:len(p.frames)-1]
	switch f.op {
	case opIf: // without an else
		f.out = join(f.out, f.start)
	case opLoop:
		if f.header > 0 {
			p.charges[f.header].fuel += p.moves(&f)
		}
		if p.here.charge != dead {
			p.here = p.outOf(f.loops)
		}
		p.loops = p.loops[:f.loops]
	}
	p.resume(pos, join(f.out, p.here))
	if f.op != opLoop && p.here.charge != dead {
		p.add(p.moves(&f))
	}
}

// moves is what it costs to come to a frame's label from several places: each
// local that was set in between, and each value, may have to change its place.
func (p *pricer) moves(f *frame) int64 {
	return (f.values + min(p.sets-f.sets, p.locals)) >> movesShift
}

// price is what an instruction costs that costs the same each time. The free
// ones make no code of their own.
func price(op opcode) int64 {
	switch op {
	case opNop, opBlock, opLoop, opElse, opEnd, opDrop, opUnreachable, opReturn:
		return 0
	}
	return 1
}
