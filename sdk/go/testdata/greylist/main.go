// Greylist is a plugin with a hook beside those that every plugin has.
package main

import (
	"time"

	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/onrcpt"
)

func init() {
	onrcpt.Do(func(t *mta.Transaction, r mta.Recipient) mta.Verdict {
		n, err := mta.KV.Add(t.ClientAddr().String()+" "+t.Sender()+" "+r.Address(), 1, 24*time.Hour)
		switch {
		case err != nil:
			return mta.Fail(err)
		case n == 1:
			return mta.Defer(450, "4.7.1", "Greylisted, try again later")
		}
		return mta.Continue
	})
}

func main() {}
