// Package onmail is the hook on_mail: MAIL named the reverse-path; there are no
// recipients yet. A plugin that imports it is asked then.
package onmail

import (
	"github.com/wasmta/wasmta/sdk/abi"
	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// Do registers what runs then.
func Do(f func(*mta.Transaction) mta.Verdict) {
	guest.Register(abi.HookMail, func() int32 { return int32(f(&mta.Transaction{})) })
}
