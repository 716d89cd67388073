// Package ondata is the hook on_data: the client is about to hand in the
// message; the envelope is complete. A plugin that imports it is asked then.
package ondata

import (
	"github.com/wasmta/wasmta/sdk/abi"
	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// Do registers what runs then.
func Do(f func(*mta.Transaction) mta.Verdict) {
	guest.Register(abi.HookData, func() int32 { return int32(f(&mta.Transaction{})) })
}
