package abidoc

import (
	"strings"
	"testing"

	"github.com/wasmta/wasmta/sdk/abi"
)

const world = "```txtar\n-- want --\nverdict: continue\n```\n\n### `hdr_find`\n\n```abi\nx\n```\n"

func TestParse(t *testing.T) {
	d, err := Parse(world + "```example\nhook on_dsn\ngrant headers kv\nin 0x10 \"a\\n\"\n\nhdr_find(0, 0x10, 2, -1) = -1  # none\n" +
		"observe(16, 2, 0.5)\nout 16 \"\"\nreturn 4\n> verdict: discard\n```\n")
	if err != nil {
		t.Fatal(err)
	}
	e := d.Functions[0].Examples[0]
	if e.Hook != abi.HookDSN || e.Grants != abi.GrantHeaders|abi.GrantKV || len(e.Steps) != 5 || d.Functions[0].Declared != "x\n" {
		t.Fatalf("got %+v", e)
	}
	if put := e.Steps[0].Put; put.At != 16 || string(put.Bytes) != "a\n" {
		t.Errorf("put %+v", put)
	}
	if c := e.Steps[1].Call; c.Function.Name != "hdr_find" || c.Args[3] != -1 || c.Result != -1 {
		t.Errorf("call %+v", c)
	}
	if c := e.Steps[2].Call; c.Args[2] != 0x3fe0000000000000 {
		t.Errorf("call %+v", c)
	}
	if *e.Steps[4].Return != 4 || strings.Join(e.Result, "|") != "verdict: discard" {
		t.Errorf("got %+v", e)
	}
}

func TestParseRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"hdr_find(0, 1, 2) = 1":        "has 3 values, want 4",
		"hdr_find(0, 1, 2, 3)":         "has a result where there is none",
		"no_such(1) = 1":               "there is no function no_such",
		"what is this":                 "is no line of an example",
		"in here \"x\"":                "invalid syntax",
		"out 0x100 x":                  "invalid syntax",
		"grant everything":             "unknown grant",
		"hdr_find(0, one, 2, 3) = 1":   "invalid syntax",
		"return never":                 "invalid syntax",
		"hdr_find(0, 1, 2, 3) = maybe": "is no line of an example",
	} {
		if _, err := Parse(world + "```example\n" + line + "\n```\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", line, err, want)
		}
	}
	if _, err := Parse("no world"); err == nil {
		t.Error("a document without a case is taken")
	}
}
