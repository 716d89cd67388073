// PLUGIN adds a header field to each message.
package main

import mta "github.com/wasmta/wasmta/sdk/go"

// config is the `config:` of the stage in pipeline.yaml. What it leaves out has
// these values.
var config = struct {
	Greeting string `json:"greeting"`
}{
	Greeting: "hello from PLUGIN",
}

func init() {
	mta.OnLoad(func() error { return mta.Config(&config) })
	mta.OnMessage(func(m *mta.Message) mta.Verdict {
		m.Header().AddTop("X-Greeting", config.Greeting)
		return mta.Continue
	})
}

func main() {}
