package cases

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/abidoc"
	"github.com/wasmta/wasmta/sdk/testcase"
)

// TestExamplesOfTheABI makes a module of each example in the specification of
// the ABI, and runs it in the sandbox: pointers, lengths and results are what
// the document says.
func TestExamplesOfTheABI(t *testing.T) {
	text, err := os.ReadFile("../../../sdk/ABI.md")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := abidoc.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, f := range doc.Functions {
		for _, e := range f.Examples {
			if e.Grants != abi.AllGrants || f.Name == "deadline_ms" {
				continue // a case has all grants, and the real deadline
			}
			ran++
			t.Run(f.Name, func(t *testing.T) { runExample(t, doc, e) })
		}
	}
	if want := len(abi.Functions) - 2; ran < want {
		t.Errorf("%d examples ran, want %d", ran, want)
	}
}

func runExample(t *testing.T, doc *abidoc.Document, e abidoc.Example) {
	t.Helper()
	p := Open(moduleOf(e), "")
	defer p.Close(context.WithoutCancel(t.Context()))
	c := doc.World
	c.Hook, c.Want = e.Hook, nil
	r, err := p.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(r.Text(), "\n")
	if r.Verdict == testcase.Failed || r.LoadError != "" {
		t.Fatalf("%s\nin\n%s", r.Text(), e.Text)
	}
	for _, want := range e.Result {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %q in\n%s", want, r.Text())
		}
	}
}
