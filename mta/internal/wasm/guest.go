package wasm

import (
	"context"
	"math"

	"github.com/tetratelabs/wazero/api"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

// callContext is the context of one call into a guest: it carries what is in
// hand to the host functions that the guest calls.
type callContext struct {
	context.Context
	guest guest
}

type callKey struct{}

// Value finds the call for whom the context was wrapped once more.
func (c *callContext) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// callOf is the call that a host function works for.
func callOf(ctx context.Context) *callContext {
	c, ok := ctx.(*callContext)
	if !ok {
		c, ok = ctx.Value(callKey{}).(*callContext)
	}
	if !ok {
		panic(errNoCall)
	}
	return c
}

// guestOf is the guest that a host function works for.
func guestOf(ctx context.Context, stack []uint64) *guest {
	g := &callOf(ctx).guest
	if g.Call == nil {
		panic(errNoCall)
	}
	g.stack = stack
	return g
}

// guest is one guest's memory and parameters, as a host function sees them. A
// pointer out of range is a trap, and what is copied costs fuel.
type guest struct {
	*host.Call
	memory octetsAt // nil: the guest has none
	gauge  *gauge
	files  *files
	stack  []uint64
}

// octetsAt is a memory, as far as pointers are concerned.
type octetsAt interface {
	// Read gives n octets at p themselves, no copy; false if they are not there.
	Read(p, n uint32) ([]byte, bool)
}

func (g *guest) i32(i int) int32 { return int32(uint32(g.stack[i])) }
func (g *guest) i64(i int) int64 { return int64(g.stack[i]) }

// at is the guest's own octets at (pointer, n). They must not be kept.
func (g *guest) at(p, n uint32) []byte {
	if n == 0 {
		return nil
	}
	if g.memory == nil {
		panic(errPointer)
	}
	b, ok := g.memory.Read(p, n)
	if !ok {
		panic(errPointer)
	}
	return b
}

// room is the guest's own octets at (pointer, capacity) in places i and i+1.
func (g *guest) room(i int) []byte { return g.at(uint32(g.stack[i]), uint32(g.stack[i+1])) }

// octets8 is the eight octets at the pointer in place i.
func (g *guest) octets8(i int) []byte { return g.at(uint32(g.stack[i]), 8) }

// view is the octets at (pointer, length) in places i and i+1. They must not
// be kept.
func (g *guest) view(i int) []byte {
	b := g.room(i)
	g.gauge.copied(len(b))
	return b
}

// maxText is how much of a string is copied: more than any function takes, so
// that what is longer is refused as the whole would be, and in no more time.
const maxText = 1 << 20

// str copies the octets at (pointer, length).
func (g *guest) str(i int) string {
	b := g.view(i)
	return string(b[:min(len(b), maxText)])
}

// read fills the room in place i and i+1 with what a function gives.
func (g *guest) read(i int, into func([]byte) int32) {
	n := into(g.room(i))
	g.gauge.copied(int(max(n, 0)))
	g.number(n)
}

// errno is a result.
func (g *guest) errno(e abi.Errno) { g.number(int32(e)) }

func (g *guest) number(n int32) { g.stack[0] = api.EncodeI32(n) }

// out answers with octets: the full length, and the octets themselves if they
// fit the buffer at (pointer, capacity).
func (g *guest) out(i int, b []byte, e abi.Errno) {
	buf := g.room(i)
	if g.fits(len(b), len(buf), e) {
		copy(buf, b)
	}
}

// text is out for a string.
func (g *guest) text(i int, s string, e abi.Errno) {
	buf := g.room(i)
	if g.fits(len(s), len(buf), e) {
		copy(buf, s)
	}
}

func (g *guest) fits(n, room int, e abi.Errno) bool {
	switch {
	case e != abi.OK:
		g.errno(e)
		return false
	case n > math.MaxInt32:
		g.errno(abi.Limit)
		return false
	}
	g.number(int32(n))
	if n > room {
		return false
	}
	g.gauge.copied(n)
	return true
}
