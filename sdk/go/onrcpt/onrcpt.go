// Package onrcpt is the hook on_rcpt: RCPT named a recipient. Discard takes the
// recipient and drops it: the client hears 250, and no mail goes there. A
// plugin that imports it is asked then.
package onrcpt

import (
	"github.com/wasmta/wasmta/sdk/abi"
	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// Do registers what runs then.
func Do(f func(*mta.Transaction, mta.Recipient) mta.Verdict) {
	guest.Register(abi.HookRcpt, func() int32 {
		t := &mta.Transaction{}
		rcpt, ok := t.LastRecipient()
		if !ok {
			return int32(mta.Fail(mta.ErrNotFound))
		}
		return int32(f(t, rcpt))
	})
}
