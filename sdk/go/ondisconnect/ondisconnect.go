// Package ondisconnect is the hook on_disconnect: a session ended, however. A
// plugin that imports it is told then; there is nothing left to decide.
package ondisconnect

import (
	"github.com/wasmta/wasmta/sdk/abi"
	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// Do registers what runs then.
func Do(f func(*mta.Session)) {
	guest.Register(abi.HookDisconnect, func() int32 {
		f(&mta.Session{})
		return int32(mta.Continue)
	})
}
