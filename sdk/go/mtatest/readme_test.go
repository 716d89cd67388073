package mtatest_test

import (
	"os"
	"slices"
	"testing"
	"time"

	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/mtatest"
	"github.com/wasmta/wasmta/sdk/go/onrcpt"
)

// The plugins of sdk/README.md, as one.
func init() {
	mta.OnMessage(func(m *mta.Message) mta.Verdict {
		m.Header().Add("X-Hello", "from Wasm")
		return mta.Continue
	})
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

func TestReadme(t *testing.T) { mtatest.RunMarkdown(t, "../../README.md") }

// TestReadmeGreylist holds the document's second plugin against the one that a
// test of package mta builds.
func TestReadmeGreylist(t *testing.T) {
	source, err := os.ReadFile("../testdata/greylist/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(mtatest.Blocks(t, "../../README.md", "go"), string(source)) {
		t.Errorf("the document does not have testdata/greylist/main.go, which is\n%s", source)
	}
}
