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

// guestOf is the guest that a host function works for. A module's start
// function runs without: then the function traps.
func guestOf(ctx context.Context, stack []uint64) *guest {
	c, ok := ctx.(*callContext)
	if !ok {
		c, ok = ctx.Value(callKey{}).(*callContext)
	}
	if !ok {
		panic(errNoCall)
	}
	c.guest.stack = stack
	return &c.guest
}

// guest is one guest's memory and parameters, as a host function sees them. A
// pointer out of range is a trap.
type guest struct {
	*host.Call
	mod   api.Module
	stack []uint64
}

func (g *guest) i32(i int) int32 { return int32(uint32(g.stack[i])) }
func (g *guest) i64(i int) int64 { return int64(g.stack[i]) }

// view is the guest's own octets at (pointer, length) in places i and i+1. It
// must not be kept.
func (g *guest) view(i int) []byte {
	p, n := uint32(g.stack[i]), uint32(g.stack[i+1])
	if n == 0 {
		return nil
	}
	mem := g.mod.Memory()
	if mem == nil {
		panic(errPointer)
	}
	b, ok := mem.Read(p, n)
	if !ok {
		panic(errPointer)
	}
	return b
}

// str copies the octets at (pointer, length).
func (g *guest) str(i int) string { return string(g.view(i)) }

// errno is a result.
func (g *guest) errno(e abi.Errno) { g.number(int32(e)) }

func (g *guest) number(n int32) { g.stack[0] = api.EncodeI32(n) }

// out answers with octets: the full length, and the octets themselves if they
// fit the buffer at (pointer, capacity).
func (g *guest) out(i int, b []byte, e abi.Errno) {
	buf := g.view(i)
	if g.fits(len(b), len(buf), e) {
		copy(buf, b)
	}
}

// text is out for a string.
func (g *guest) text(i int, s string, e abi.Errno) {
	buf := g.view(i)
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
	return n <= room
}
