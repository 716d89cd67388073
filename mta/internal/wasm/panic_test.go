package wasm

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/wasmta/wasmta/sdk/abi"
)

// faulty is a log that panics when it is told to.
type faulty struct {
	slog.Handler
	on *atomic.Bool
}

func (f faulty) Enabled(context.Context, slog.Level) bool {
	if f.on.Load() {
		panic("a bug of ours")
	}
	return false
}

func (f faulty) WithAttrs([]slog.Attr) slog.Handler { return f }

// TestPanicFreesTheWorker holds that a bug of ours in one call does not keep
// the only place of the pool: the next message is asked about.
func TestPanicFreesTheWorker(t *testing.T) {
	var on atomic.Bool
	rt := newRuntime(t, Options{Log: slog.New(faulty{slog.DiscardHandler, &on})})
	p := loadWith(t, rt, LoadOptions{Instances: 1, Wasm: wat(t, `(module (func (export "on_message") (result i32) (i32.const 1)))`)})
	on.Store(true)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("there was no panic")
			}
		}()
		_, _ = p.Handle(t.Context(), abi.HookMessage, transaction())
	}()
	on.Store(false)
	if n := len(p.slots); n != 0 {
		t.Fatalf("%d places of the pool are still taken", n)
	}
	if answer, err := p.Handle(t.Context(), abi.HookMessage, transaction()); err != nil || int(answer.Verdict) != int(abi.Accept) {
		t.Errorf("got %v, %v", answer.Verdict, err)
	}
}
