// Package onroute is the hook on_route: an attempt at a queued message is about
// to begin. The recipients are those of this attempt; Route and Deliver say
// where their mail goes, RetryAt that it is to wait. A plugin that imports it
// is asked then.
package onroute

import (
	"github.com/wasmta/wasmta/sdk/abi"
	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// Do registers what runs then.
func Do(f func(*mta.Message) mta.Verdict) {
	guest.Register(abi.HookRoute, func() int32 { return int32(f(&mta.Message{})) })
}
