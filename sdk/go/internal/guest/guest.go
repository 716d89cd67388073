// Package guest is the floor of the Go SDK: the functions of the plugin ABI as
// Go calls, and the hooks that a plugin registered. In WebAssembly the calls
// go to the host; natively they go to a [Host] that a test puts there.
//
// A result of octets is written to the buffer that the caller gives, if it
// fits; the number that is returned is the full length, or a negative
// [abi.Errno].
package guest

import "github.com/wasmta/wasmta/sdk/abi"

// Hooks are what the plugin registered. A plugin is one instance of a module
// and has one thread, so that there is one of them.
var Hooks struct {
	Load    func() int32
	Message func() int32
}

// Load runs on_load.
func Load() int32 {
	if Hooks.Load == nil {
		return 0
	}
	return Hooks.Load()
}

// Message runs on_message. A plugin without that hook is not asked again.
func Message() int32 {
	if Hooks.Message == nil {
		return int32(abi.NotAgain)
	}
	return Hooks.Message()
}
