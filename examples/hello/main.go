// Plugin hello adds a header field. It is the first plugin to write.
package main

import mta "github.com/wasmta/wasmta/sdk/go"

func init() {
	mta.OnMessage(func(m *mta.Message) mta.Verdict {
		m.Header().Add("X-Hello", "from Wasm")
		return mta.Continue
	})
}

func main() {}
