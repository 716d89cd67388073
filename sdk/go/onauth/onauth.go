// Package onauth is the hook on_auth: the client proved who it is, and does not
// know that we believe it. A plugin that imports it is asked then.
package onauth

import (
	"github.com/wasmta/wasmta/sdk/abi"
	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// Do registers what runs then.
func Do(f func(*mta.Session) mta.Verdict) {
	guest.Register(abi.HookAuth, func() int32 { return int32(f(&mta.Session{})) })
}
