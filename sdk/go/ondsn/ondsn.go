// Package ondsn is the hook on_dsn: a notification of ours (RFC 3464) is about
// to be queued. It is the message, with the null reverse-path; Discard keeps it
// from being sent. A plugin that imports it is asked then.
package ondsn

import (
	"github.com/wasmta/wasmta/sdk/abi"
	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// Do registers what runs then.
func Do(f func(*mta.Message) mta.Verdict) {
	guest.Register(abi.HookDSN, func() int32 { return int32(f(&mta.Message{})) })
}
