package mta

import "github.com/wasmta/wasmta/sdk/go/internal/guest"

// An exported hook is a subscription, and an export cannot be made at run
// time: whatever a linked package exports is there. So this package exports
// the two hooks that nearly every plugin has. A plugin that registers only one
// of them pays a call that returns at once for the other.

//go:wasmexport on_load
func onLoad() int32 { return guest.Load() }

//go:wasmexport on_message
func onMessage() int32 { return guest.Message() }
