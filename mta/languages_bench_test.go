package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/cases"
	"github.com/wasmta/wasmta/mta/internal/daemon"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/testpeer"
	"github.com/wasmta/wasmta/mta/internal/wasm"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/mtatest"
)

// BenchmarkLanguages is one message through one stage, in every language: the
// conformance filter inserts a field. Nothing of a message reaches the next,
// but for Python, which reads one after the other.
func BenchmarkLanguages(b *testing.B) {
	folders, err := os.ReadDir(filters)
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	rt := newCachedRuntime(b)
	for _, folder := range folders {
		lang := folder.Name()
		b.Run(lang, func(b *testing.B) {
			testpeer.NeedCompiler(b, lang)
			module, err := daemon.BuildPlugin(ctx, filepath.Join(filters, lang), nil)
			if err != nil {
				b.Fatal(err)
			}
			p, err := rt.Load(ctx, wasm.LoadOptions{
				Name: lang, Wasm: module, Instances: 1, Budget: wasm.Budget{Memory: 512 << 20},
				Config: json.RawMessage(`{"stamp": {"name": "X-Conformance", "value": "from plugin"}}`),
			})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close(ctx)
			benchmarkStage(b, p)
		})
	}
}

func benchmarkStage(b *testing.B, p *wasm.Plugin) {
	ctx := context.Background()
	letter := mtatest.Defaults
	letter.Context.Client.Port = 1
	tx, err := cases.Transaction(&letter)
	if err != nil {
		b.Fatal(err)
	}
	envelope := tx.Envelope
	b.ReportAllocs()
	for b.Loop() {
		tx.Envelope, tx.Content = envelope, mail.Bytes(letter.Message)
		if _, err := p.Handle(ctx, abi.HookMessage, tx); err != nil {
			b.Fatal(err)
		}
	}
}

// newCachedRuntime is a runtime on testCache.
func newCachedRuntime(t testing.TB) *wasm.Runtime {
	t.Helper()
	rt, err := wasm.NewRuntime(t.Context(), wasm.Options{
		CacheDir: testCache(t), Hostname: mtatest.Defaults.Context.Server.Name,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close(context.Background()) })
	return rt
}
