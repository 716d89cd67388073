package mta

import (
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// An exported hook is a subscription, and an export cannot be made at run
// time: whatever a linked package exports is there. So this package exports
// the two hooks that nearly every plugin has, and each other hook has a package
// of its own: whoever imports it subscribes.

//go:wasmexport on_load
func onLoad() int32 { return guest.Run(abi.HookLoad) }

//go:wasmexport on_message
func onMessage() int32 { return guest.Run(abi.HookMessage) }
