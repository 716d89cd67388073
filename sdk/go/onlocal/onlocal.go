// Package onlocal is the hook on_local: a queued message is about to be put in
// mailboxes here. The recipients are those that have one; Deliver says which
// folder. A plugin that imports it is asked then.
package onlocal

import (
	"github.com/wasmta/wasmta/sdk/abi"
	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// Do registers what runs then.
func Do(f func(*mta.Message) mta.Verdict) {
	guest.Register(abi.HookLocal, func() int32 { return int32(f(&mta.Message{})) })
}
