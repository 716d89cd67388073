package mtatest_test

import (
	"testing"

	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/mtatest"
)

// The plugin of sdk/README.md.
func init() {
	mta.OnMessage(func(m *mta.Message) mta.Verdict {
		m.Header().Add("X-Hello", "from Wasm")
		return mta.Continue
	})
}

func TestReadme(t *testing.T) { mtatest.RunMarkdown(t, "../../README.md") }
