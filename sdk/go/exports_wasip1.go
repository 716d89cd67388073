package mta

import (
	"runtime"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// An exported hook is a subscription, and an export cannot be made at run
// time: whatever a linked package exports is there. So this package exports
// the two hooks that nearly every plugin has, and each other hook has a package
// of its own: whoever imports it subscribes.

//go:wasmexport on_load
func onLoad() int32 {
	verdict := guest.Run(abi.HookLoad)
	makeRoom()
	return verdict
}

//go:wasmexport on_message
func onMessage() int32 { return guest.Run(abi.HookMessage) }

// room is how much heap is free behind on_load: for a message of 100 KB with
// all that is made of it.
const room = 512 << 10

// kept and pointers keep the compiler from leaving allocations out.
var (
	kept     []byte
	pointers []*byte
)

// makeRoom has free memory in the image that each message begins with. Else the
// heap of nearly every message grows, which takes longer than most messages do:
// memory is grown, filled with zeros, and taken back after the message. The
// collector takes from the allocator the blocks that it had at hand for small
// objects; it gets one of each size again.
func makeRoom() {
	kept = make([]byte, room)
	kept = nil
	runtime.GC()
	for n := 8; n <= 2048; n += max(8, n/8) {
		kept = make([]byte, n)
		pointers = make([]*byte, n/8)
	}
	kept, pointers = nil, nil
}
