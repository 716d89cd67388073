// Package guest is the floor of the Go SDK: the functions of the plugin ABI as
// Go calls, and the hooks that a plugin registered. In WebAssembly the calls
// go to the host; natively they go to a [Host] that a test puts there.
//
// A result of octets is written to the buffer that the caller gives, if it
// fits; the number that is returned is the full length, or a negative
// [abi.Errno].
package guest

import "github.com/wasmta/wasmta/sdk/abi"

// hooks are what the plugin registered. A plugin is one instance of a module
// and has one thread, so that there is one of them.
var hooks []hook

type hook struct {
	name string
	run  func() int32
}

// Register makes f what a hook runs; what was registered before for it is not
// run any more.
func Register(name string, f func() int32) {
	for i := range hooks {
		if hooks[i].name == name {
			hooks[i].run = f
			return
		}
	}
	hooks = append(hooks, hook{name, f})
}

// Registered are the names of the hooks that the plugin has.
func Registered() []string {
	names := make([]string, len(hooks))
	for i := range hooks {
		names[i] = hooks[i].name
	}
	return names
}

// Run runs a hook. One that the plugin does not have loads well, and is not
// asked again.
func Run(name string) int32 {
	for i := range hooks {
		if hooks[i].name == name {
			return hooks[i].run()
		}
	}
	if name == abi.HookLoad {
		return 0
	}
	return int32(abi.NotAgain)
}
