package main

import mta "github.com/wasmta/wasmta/sdk/go"

func init() {
	mta.OnMessage(func(m *mta.Message) mta.Verdict {
		m.Header().Add("X-Hello", "from Wasm")
		return mta.Continue
	})
}

func main() {}
