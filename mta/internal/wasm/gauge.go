package wasm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// What the work of the host costs a guest, in units of fuel. One unit is one
// instruction of the guest, about half a nanosecond; the numbers are measured on
// one machine, and the same on all. Package meter has those of the guest.
const (
	costCall    = 100     // a function of the host, beside the way into it, which package meter counts
	costWalk    = 300     // more for a function that looks through the message
	costStep    = 8       // a step of that: a field or a part that is looked at, some octets that are decoded
	octetsAUnit = 32      // copied between guest and host: 15 µs for 1 MiB
	slice       = 200_000 // units between two looks at the clock: 0.1 ms, ten times that where no cache helps
	maxStack    = 4 << 20 // octets of call stack: CPython's own limit of recursion comes first
)

// turn is how long a guest computes until it lets others of the server go on. Go
// would have it do so every 20 ms, which is long where all processors have
// guests on them, or there is one.
const turn = time.Millisecond

// A gauge measures what one call of a guest uses, and ends the call when that
// is too much. The count itself is a global of the guest, which the code that
// package meter adds counts down; the gauge fills it up slice by slice, so that
// the guest stops now and then and the clock is looked at. One goroutine has it
// at a time.
type gauge struct {
	fuel     api.MutableGlobal // units left of what was granted; nil before the guest is there
	stack    api.MutableGlobal // octets of call stack left; nil as fuel
	budget   Budget
	granted  uint64 // units that fuel was filled up with
	calls    int
	logged   int
	began    time.Time
	turned   time.Time // when its turn began
	deadline time.Time // zero: none
	done     <-chan struct{}
}

// An overrun is what a host function panics with to end a guest that used too
// much. The runtime makes an error of it.
type overrun struct {
	kind   Kind
	detail string
}

// Error implements error.
func (o *overrun) Error() string { return o.detail }

// begin starts to measure a call.
func (g *gauge) begin(ctx context.Context, budget Budget) {
	*g = gauge{fuel: g.fuel, stack: g.stack, budget: budget, done: ctx.Done(), began: time.Now()}
	g.turned = g.began
	g.deadline, _ = ctx.Deadline()
	g.refill()
}

// attach makes a guest's globals those that the gauge counts with.
func (g *gauge) attach(fuel, stack api.MutableGlobal) {
	g.fuel, g.stack = fuel, stack
	g.granted = 0
	g.refill()
}

// refill gives the guest the next slice, or what is left of its budget.
func (g *gauge) refill() {
	if g.fuel == nil {
		return
	}
	if g.granted == 0 {
		g.fuel.Set(0)
		g.stack.Set(maxStack)
	}
	left := int64(g.fuel.Get())
	want := int64(min(slice, g.budget.Fuel-min(g.used(), g.budget.Fuel)))
	g.granted += uint64(want - left)
	g.fuel.Set(uint64(want))
}

// used is the fuel that the call has used so far.
func (g *gauge) used() uint64 {
	if g.fuel == nil {
		return 0
	}
	return uint64(int64(g.granted) - int64(g.fuel.Get()))
}

// yield is what a guest calls when its slice is used up, or its stack.
func (g *gauge) yield() {
	if g.stack != nil && int64(g.stack.Get()) < 0 {
		g.end(KindDepth, "called functions within functions, "+octets(maxStack)+" of stack deep")
	}
	g.look()
	if g.used() >= g.budget.Fuel {
		g.end(KindFuel, "used its "+count(g.budget.Fuel)+" units of fuel")
	}
	g.refill()
}

// look ends the call if its time is over, and its turn if that is.
func (g *gauge) look() {
	now := time.Now()
	if now.Sub(g.turned) >= turn {
		runtime.Gosched()
		now = time.Now()
		g.turned = now
	}
	select {
	case <-g.done:
	default:
		if g.deadline.IsZero() || now.Before(g.deadline) {
			return
		}
	}
	g.end(KindTimeout, "timed out")
}

// end ends the call.
func (g *gauge) end(kind Kind, detail string) {
	panic(&overrun{kind, detail})
}

// enter is the beginning of each function of the host.
func (g *gauge) enter(cost int64) {
	g.calls++
	if g.calls > g.budget.HostCalls {
		g.end(KindCalls, "used its "+count(uint64(g.budget.HostCalls))+" calls of the host")
	}
	g.charge(cost)
}

// charge takes fuel for work of the host.
func (g *gauge) charge(units int64) {
	if g.fuel == nil {
		return
	}
	left := int64(g.fuel.Get()) - units
	g.fuel.Set(uint64(left))
	if left < 0 {
		g.yield()
	}
}

// copied takes the fuel for octets that are copied.
func (g *gauge) copied(octets int) { g.charge(int64(octets) / octetsAUnit) }

// usage is what the call used.
func (g *gauge) usage(memory int64) mail.Usage {
	return mail.Usage{
		Fuel: min(g.used(), g.budget.Fuel), HostCalls: min(g.calls, g.budget.HostCalls), Memory: memory, Log: g.logged,
		Time: time.Since(g.began),
	}
}

// asOverrun is the reason that a call was ended for, nil if err is of another
// kind.
func asOverrun(err error) *overrun {
	o, _ := errors.AsType[*overrun](err)
	return o
}

// count writes a number as the pipeline file does.
func count(n uint64) string {
	for _, unit := range []struct {
		size   uint64
		suffix string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if n >= unit.size && n%unit.size == 0 {
			return fmt.Sprintf("%d%s", n/unit.size, unit.suffix)
		}
	}
	return fmt.Sprint(n)
}
