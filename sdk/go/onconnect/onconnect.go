// Package onconnect is the hook on_connect: a client connected, and has heard
// nothing yet. Reject refuses the client: it hears 554 and may only say QUIT.
// Disconnect, and a reply of 421 or 521, closes the session. A plugin that
// imports it is asked then.
package onconnect

import (
	"github.com/wasmta/wasmta/sdk/abi"
	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// Do registers what runs then.
func Do(f func(*mta.Session) mta.Verdict) {
	guest.Register(abi.HookConnect, func() int32 { return int32(f(&mta.Session{})) })
}
