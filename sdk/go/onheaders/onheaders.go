// Package onheaders is the hook on_headers: the message is there, and its
// header section can be read and edited; parts and content cannot. All stages
// are asked this before any is asked with on_message. A plugin that imports it
// is asked then.
package onheaders

import (
	"github.com/wasmta/wasmta/sdk/abi"
	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// Do registers what runs then.
func Do(f func(*mta.Message) mta.Verdict) {
	guest.Register(abi.HookHeaders, func() int32 { return int32(f(&mta.Message{})) })
}
