package wasm

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/abi"
)

// TestGarbage loads modules that are cut off, or have a bit turned, or are
// nothing at all: each is refused, or is a plugin that costs what any costs.
func TestGarbage(t *testing.T) {
	rt := newRuntime(t, Options{})
	codes := map[string][]byte{"honest": villain(t, "honest"), "parts": villain(t, "parts"), "bomb": villain(t, "bomb")}
	loaded, refused := 0, 0
	try := func(name string, at int, code []byte) {
		p, err := rt.Load(t.Context(), LoadOptions{Name: "test", Wasm: code, Grants: everything,
			Budget: Budget{Memory: 1 << 20, Fuel: 100_000, HostCalls: 100, Timeout: time.Second},
			Load:   Budget{Fuel: 100_000, HostCalls: 100, Timeout: time.Second}})
		if err != nil {
			refused++
			if e, ok := errors.AsType[*Error](err); !ok || e.Kind != KindLoad || strings.Contains(e.Error(), "\n") {
				t.Errorf("%s, octet %d: %v", name, at, err)
			}
			return
		}
		loaded++
		p.Handle(t.Context(), abi.HookMessage, transaction())
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for name, code := range codes {
		step := max(len(code)/50, 1)
		for at := 0; at < len(code); at += step {
			try(name, at, code[:at])
			for _, bit := range []int{0, 3, 6} {
				turned := slices.Clone(code)
				turned[at] ^= 1 << bit
				try(name, at, turned)
			}
		}
	}
	t.Logf("%d modules were plugins, %d were refused", loaded, refused)
	if loaded == 0 || refused == 0 {
		t.Error("all modules had the same fate")
	}
}

// TestLineBreaks gives CR, LF and NUL in each string of each function, one at a
// time: none gets into the header section, the envelope or a reply, and no
// function is too good to say so.
func TestLineBreaks(t *testing.T) {
	rt := newRuntime(t, Options{})
	for _, f := range abi.Functions {
		for place, param := range f.Params {
			if param.Kind != abi.In {
				continue
			}
			for _, bad := range []string{"a@b.c\r\nInjected: y", "a@b.c\nInjected: y", "a@b.c\rInjected: y", "text/x\x00Injected: y"} {
				m := module{min: 1, data: "a@b.cX-A " + bad}
				index := m.use(f.Name)
				var code [][]byte
				for i, p := range f.Params {
					switch {
					case i == place:
						code = append(code, i32(9), i32(int32(len(bad))))
					case p.Kind == abi.In && p.Name == "enhanced":
						code = append(code, i32(0), i32(0))
					case p.Kind == abi.In && p.Name == "name":
						code = append(code, i32(5), i32(3))
					case p.Kind == abi.In:
						code = append(code, i32(0), i32(5))
					case p.Kind == abi.Out:
						code = append(code, i32(1000), i32(1000))
					case p.Kind == abi.OutI64:
						code = append(code, i32(1000))
					case p.Name == "code":
						code = append(code, i32(550))
					default:
						code = append(code, constant(p.Kind, 0))
					}
				}
				code = append(code, call(index))
				if f.Result != abi.None {
					code = append(code, drop)
				}
				m.fn(abi.HookMessage, append(code, i32(int32(abi.Reject)))...)
				p := load(t, rt, m.bytes())
				tx := transaction()
				a, err := p.Handle(t.Context(), abi.HookMessage, tx)
				head := ""
				if b, err := mail.ReadAll(tx.Content); err == nil {
					head, _, _ = strings.Cut(string(b), "\r\n\r\n")
				}
				envelope, _ := json.Marshal(tx.Envelope)
				said := fmt.Sprintf("%s %s %s %s %s", head, a.Enh, a.Text, a.Reason, envelope)
				if strings.Contains(said, "Injected") {
					t.Errorf("%s takes %q as %s: %v, %q", f.Name, bad, param.Name, err, said)
				}
				if err := p.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// TestHooksWithoutMessage asks the hooks of a session, which have no content and
// no recipients yet.
func TestHooksWithoutMessage(t *testing.T) {
	for _, hook := range abi.Hooks[1:] {
		var m module
		var calls [][]byte
		for _, f := range abi.Functions {
			calls = append(calls, callWith(f, m.use(f.Name), 0, 8, 0)...)
		}
		m.min = 1
		m.fn(hook, append(calls, i32(0))...)
		p := load(t, newRuntime(t, Options{}), m.bytes())
		if a, err := p.Handle(t.Context(), hook, &mail.Transaction{}); err != nil || a.Verdict != mail.Continue {
			t.Errorf("%s: %v, %v", hook, a.Verdict, err)
		}
	}
}
