package wasm

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/bundle"
)

func TestInspectSaysWhatAStageHasToGrant(t *testing.T) {
	var m, c, empty module
	for _, name := range []string{"kv_get", "hdr_insert", "log"} {
		m.use(name)
	}
	m.fn(abi.HookMessage, i32(0))
	native := m.bytes()
	c.fnAs("_start", nil)
	command := c.bytes()
	loop, err := bundle.Write(command, bundle.Bundle{Mode: bundle.Loop, Args: []string{"run"}, Files: map[string][]byte{"a": []byte("b")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		module []byte
		mode   Mode
		hooks  []string
		grants abi.Grant
	}{
		"a native plugin": {native, ModeNative, []string{abi.HookMessage}, abi.GrantKV | abi.GrantHeaders},
		"a command":       {command, ModeCommand, nil, abi.GrantHeaders | abi.GrantBody},
		"a loop":          {loop, ModeLoop, nil, 0},
	} {
		d, err := Inspect(t.Context(), tt.module)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d.Mode != tt.mode || !slices.Equal(d.Hooks, tt.hooks) || d.Grants != tt.grants {
			t.Errorf("%s: %s with %v needs %v", name, d.Mode, d.Hooks, d.Grants)
		}
		if (d.Bundle != nil) != (tt.mode == ModeLoop) || (len(d.Sections) == 2) != (tt.mode == ModeLoop) {
			t.Errorf("%s: bundle %v, sections %v", name, d.Bundle, d.Sections)
		}
	}
	if d, err := Inspect(t.Context(), native); err != nil || !slices.Equal(d.Imports[abi.Module], []string{"hdr_insert", "kv_get", "log"}) {
		t.Errorf("imports %v, %v", d, err)
	}
	for name, module := range map[string][]byte{"text": []byte("text"), "no hook": empty.bytes(), "four billion locals": manyLocalsDeclared} {
		if _, err := Inspect(t.Context(), module); err == nil {
			t.Errorf("%s is taken for a plugin", name)
		}
	}
}

// manyLocalsDeclared is a module of a few octets that says it has 2^32-16
// locals.
var manyLocalsDeclared = []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x0a\x01\x08\x01\xf0\xff\xff\xff\x0f\x7e\x0b")

// TestNamesInErrors holds that a name that the module's author chose neither
// ends the line of an error nor speaks to a terminal.
func TestNamesInErrors(t *testing.T) {
	const evil = "on_\x1b]0;x\x07\n\u009b2J"
	for what, m := range map[string]*module{"hook": new(module), "import": new(module)} {
		if what == "import" {
			m.useAs(abi.Module, evil, nil, nil)
			m.fn(abi.HookMessage, i32(0))
		} else {
			m.fn(evil, i32(0))
		}
		rt := newRuntime(t, Options{})
		_, err := rt.Load(t.Context(), LoadOptions{Name: "evil", Wasm: m.bytes()})
		_, err2 := Inspect(t.Context(), m.bytes())
		for _, err := range []error{err, err2} {
			if err != nil && (strings.ContainsFunc(err.Error(), unicode.IsControl) || !strings.Contains(err.Error(), "on_ ]0;x")) {
				t.Errorf("%s: %q", what, err)
			}
		}
		if err == nil {
			t.Errorf("%s: loaded", what)
		}
	}
}
