package wasm

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/toolchain"
	"github.com/wasmta/wasmta/sdk/abi"
)

// goGuest builds testdata/trivial, once for all tests.
func goGuest(t testing.TB) []byte {
	t.Helper()
	module, err := trivial()
	if err != nil {
		t.Fatal(err)
	}
	return module
}

var cacheDir string // set by TestMain

var trivial = sync.OnceValues(func() ([]byte, error) {
	return (&toolchain.Builder{CacheDir: cacheDir}).Build(background, "testdata/trivial")
})

func loadGo(t testing.TB, rt *Runtime) *Plugin {
	t.Helper()
	p, err := rt.Load(background, LoadOptions{Name: "trivial", Wasm: goGuest(t), Budget: Budget{Memory: 32 << 20, Fuel: 10 * DefaultFuel}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGoGuest(t *testing.T) {
	p := loadGo(t, newRuntime(t, Options{CacheDir: cacheDir}))
	tx := transaction()
	if _, err := p.Handle(t.Context(), abi.HookMessage, tx); err != nil {
		t.Fatal(err)
	}
	b, err := mail.ReadAll(tx.Content)
	if err != nil || string(b) != "X-Trivial: yes\r\n"+letter {
		t.Errorf("got %q, %v", b, err)
	}
	_, err = p.Handle(t.Context(), abi.HookData, transaction())
	if e, ok := err.(*Error); !ok || e.Kind != KindTrap || e.Detail != "unreachable: panic: at the disco" {
		t.Errorf("a panic: got %v", err)
	}
	_, err = p.Handle(t.Context(), abi.HookRcpt, transaction())
	if e, ok := err.(*Error); !ok || e.Kind != KindMemory || e.Detail != "ran out of memory, the limit is 32MiB" {
		t.Errorf("memory: got %v", err)
	}
	if _, err := p.Handle(t.Context(), abi.HookHelo, transaction()); err != nil {
		t.Errorf("after the errors: %v", err)
	}
}

// TestGoGuestHasRoom holds that a usual message does not grow the memory of a
// guest that uses the Go SDK: growing takes longer than all that it does.
func TestGoGuestHasRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and compiles two plugins")
	}
	rt := newRuntime(t, Options{CacheDir: cacheDir})
	for folder, config := range map[string]string{
		"../../../plugins/rewrite": `{"footer": {"text": "Sent through hamburger.edu"}}`,
		"../../../plugins/route":   `{"rules": [{"if": {"recipient": "/^(sales|info)@/"}, "deliver": "Sales"}]}`,
	} {
		module, err := (&toolchain.Builder{CacheDir: cacheDir}).Build(background, folder)
		if err != nil {
			t.Fatal(err)
		}
		p := loadWith(t, rt, LoadOptions{Name: folder, Wasm: module, Config: json.RawMessage(config), Budget: Budget{Fuel: 10 * DefaultFuel}})
		tx := transaction()
		tx.Content = mail.Bytes(letter + strings.Repeat("All work and no play makes Jack a dull boy.\r\n", 2200))
		a, err := p.Handle(t.Context(), abi.HookMessage, tx)
		if err != nil {
			t.Fatal(err)
		}
		if loaded := int64(p.state.size); a.Used.Memory != loaded {
			t.Errorf("%s: %d octets of memory when it was loaded, and %d after a message", folder, loaded, a.Used.Memory)
		}
	}
}

// BenchmarkHandle asks a Go guest that does nothing, one that asks for the
// size, and one that inserts a header field; with and without the counting of
// fuel and the isolation of messages.
func BenchmarkHandle(b *testing.B) {
	for name, opts := range map[string]struct {
		unmetered bool
		isolation Isolation
	}{
		"plain": {true, IsolateNone}, "metered": {false, IsolateNone}, "isolated": {false, IsolateMessage},
	} {
		for what, hook := range map[string]string{"nothing": abi.HookHelo, "size": abi.HookMail, "header": abi.HookMessage} {
			b.Run(what+"/"+name, func(b *testing.B) {
				rt := newRuntime(b, Options{CacheDir: cacheDir})
				rt.unmetered = opts.unmetered
				p := loadWith(b, rt, LoadOptions{Wasm: goGuest(b), Isolation: opts.isolation, Budget: Budget{Memory: 32 << 20}})
				b.ReportAllocs()
				for b.Loop() {
					if _, err := p.Handle(b.Context(), hook, transaction()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkInstance makes instances of a Go guest: anew, and from the state of
// one.
func BenchmarkInstance(b *testing.B) {
	p := loadGo(b, newRuntime(b, Options{CacheDir: cacheDir}))
	for name, state := range map[string]*state{"anew": nil, "clone": p.state} {
		b.Run(name, func(b *testing.B) {
			p := loadGo(b, newRuntime(b, Options{CacheDir: cacheDir}))
			if state == nil {
				p.state.release()
				p.state = nil
			}
			for b.Loop() {
				w, err := p.fresh(background)
				if err != nil {
					b.Fatal(err)
				}
				w.discard()
			}
		})
	}
}
