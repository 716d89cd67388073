package meter

import "math"

// The prices, in units of fuel. One unit is one instruction, which takes a
// quarter of a nanosecond to a nanosecond where memory answers from a cache.
const (
	priceCall    = 100     // a call of an import: what wazero takes to leave the guest and come back
	octetsShift  = 3       // bulk instructions on memories: 8 octets a unit
	pricePage    = 1 << 13 // memory.grow, a page: it is zeroed, or mapped and zeroed when it is used
	priceBulk    = 8       // a bulk instruction, or a piece of one, beside its length
	inlineOctets = 1 << 12
)

// minSegment is from what price on a piece of straight code pays for itself.
// A payment is three instructions of the machine; below this it is cheaper
// to let all paths pay for the dearest one.
const minSegment = 24

// A charge takes fuel in front of the octet at pos of a body.
type charge struct {
	pos    int
	fuel   int64
	looped bool // at a loop header: look whether there is any left
}

// A region is code that is charged for at one point: a function or a loop,
// without the loops inside. The price of a region is that of its dearest
// path from its head to anywhere, where pieces of straight code that pay for
// themselves cost nothing. So what is charged is never less than what runs,
// and not much more: an interpreter's loop does not pay for each of its
// instructions' code on every round.
type region struct {
	charge  int   // index in charges, -1 for the function itself
	price   int64 // of the dearest path so far
	entered int64 // price of the path, in the region around, that led here
}

// A frame is a block, loop or if that is open, or the function.
type frame struct {
	op     opcode
	region int   // the region its end is in
	start  int64 // price of the path where it began
	out    int64 // price of the dearest path that branches to its end
}

// dead is the price of a path that nothing can take.
const dead int64 = math.MinInt64

// A pricer works out the charges of one function. It is told each
// instruction in order.
type pricer struct {
	charges []charge
	regions []region
	frames  []frame

	cur     int64 // price of the path here, or dead
	segment int   // where the piece of straight code began
	paid    int64 // cur at that point
	first   bool  // the piece is the first of its region, which always pays at its head
}

func (p *pricer) reset() {
	p.charges = p.charges[:0]
	p.regions = append(p.regions[:0], region{charge: -1})
	p.frames = append(p.frames[:0], frame{op: opBlock, out: dead})
	p.cur, p.segment, p.paid, p.first = 0, 0, 0, true
}

// entry is the price of the function's own region.
func (p *pricer) entry() int64 { return 1 + p.regions[0].price }

func (p *pricer) add(price int64) {
	if p.cur != dead {
		p.cur += price
	}
}

// cut ends the piece of straight code that began at p.segment; the next one
// begins at the octet at pos.
func (p *pricer) cut(pos int) {
	if p.cur != dead {
		if price := p.cur - p.paid; price >= minSegment && !p.first {
			p.charges = append(p.charges, charge{pos: p.segment, fuel: price})
			p.cur = p.paid
		}
		here := &p.regions[len(p.regions)-1]
		here.price = max(here.price, p.cur)
	}
	p.begin(pos)
}

// begin begins a piece of straight code with the path as it is.
func (p *pricer) begin(pos int) { p.segment, p.paid, p.first = pos, p.cur, false }

// branch notes that the path here also goes on at the label.
func (p *pricer) branch(label uint32) {
	f := &p.frames[len(p.frames)-1-int(label)]
	if p.cur == dead || f.op == opLoop {
		return
	}
	price := p.cur
	if f.region < len(p.regions)-1 {
		price = p.regions[f.region+1].entered
	}
	f.out = max(f.out, price)
}

func (p *pricer) push(in *instr) {
	f := frame{op: in.op, region: len(p.regions) - 1, start: p.cur, out: dead}
	switch in.op {
	case opIf:
		p.cut(in.to)
		f.start = p.cur
	case opLoop:
		p.cut(in.to)
		f.start = p.cur
		p.regions = append(p.regions, region{charge: len(p.charges), entered: p.cur})
		if p.cur != dead {
			p.charges = append(p.charges, charge{pos: in.to, looped: true})
			p.cur = 0
		}
		p.begin(in.to)
		p.first = true
	}
	p.frames = append(p.frames, f)
}

// otherwise is told of the else of an if.
func (p *pricer) otherwise(pos int) {
	p.cut(pos)
	f := &p.frames[len(p.frames)-1]
	f.op, f.out, p.cur = opElse, max(f.out, p.cur), f.start
	p.begin(pos)
}

// pop is told of an end.
func (p *pricer) pop(pos int) {
	p.cut(pos)
	f := p.frames[len(p.frames)-1]
	p.frames = p.frames[:len(p.frames)-1]
	switch f.op {
	case opIf: // without an else
		f.out = max(f.out, f.start)
	case opLoop:
		loop := p.regions[len(p.regions)-1]
		p.regions = p.regions[:len(p.regions)-1]
		if loop.entered != dead {
			p.charges[loop.charge].fuel = 1 + loop.price
		}
		if p.cur != dead {
			p.cur = loop.entered
		}
	}
	p.cur = max(p.cur, f.out)
	p.begin(pos)
}

// leave is told that what follows cannot be reached from here.
func (p *pricer) leave(pos int) {
	p.cut(pos)
	p.cur = dead
	p.begin(pos)
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
