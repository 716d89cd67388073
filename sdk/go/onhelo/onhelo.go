// Package onhelo is the hook on_helo: the client said who it is, in HELO, EHLO
// or LHLO. A plugin that imports it is asked then.
package onhelo

import (
	"github.com/wasmta/wasmta/sdk/abi"
	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// Do registers what runs then.
func Do(f func(*mta.Session) mta.Verdict) {
	guest.Register(abi.HookHelo, func() int32 { return int32(f(&mta.Session{})) })
}
