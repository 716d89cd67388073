// Package ondelivery is the hook on_delivery: an attempt ended. Status and
// LastReply of each recipient tell how, RetryAt says when the next is to be. A
// plugin that imports it is asked then.
package ondelivery

import (
	"github.com/wasmta/wasmta/sdk/abi"
	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// Do registers what runs then.
func Do(f func(*mta.Message) mta.Verdict) {
	guest.Register(abi.HookDelivery, func() int32 { return int32(f(&mta.Message{})) })
}
