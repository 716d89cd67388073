package main

import (
	"bytes"
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
			letter := mtatest.Defaults
			letter.Context.Client.Port = 1
			for _, isolation := range []wasm.Isolation{wasm.IsolateMessage, wasm.IsolateNone} {
				b.Run("isolation "+string(isolation), func(b *testing.B) {
					p, err := rt.Load(ctx, wasm.LoadOptions{
						Name: lang, Wasm: module, Instances: 1, Isolation: isolation, Budget: wasm.Budget{Memory: 512 << 20},
						Config: json.RawMessage(`{"stamp": {"name": "X-Conformance", "value": "from plugin"}}`),
					})
					if err != nil {
						b.Fatal(err)
					}
					defer p.Close(ctx)
					benchmarkMessage(b, p, letter)
				})
			}
		})
	}
}

// benchmarkMessage asks a plugin about one message, again and again.
func benchmarkMessage(b *testing.B, p *wasm.Plugin, c mtatest.Case) {
	tx, err := cases.Transaction(&c)
	if err != nil {
		b.Fatal(err)
	}
	envelope := tx.Envelope
	b.ReportAllocs()
	for b.Loop() {
		tx.Envelope, tx.Content = envelope, mail.Bytes(c.Message)
		if _, err := p.Handle(b.Context(), abi.HookMessage, tx); err != nil {
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

// BenchmarkReadMessage is a guest that reads a message of 1 MiB, beside two
// copies of as many octets.
func BenchmarkReadMessage(b *testing.B) {
	const size = 1 << 20
	testpeer.NeedCompiler(b, "c")
	module, err := daemon.BuildPlugin(b.Context(), filepath.Join("testdata", "read"), nil)
	if err != nil {
		b.Fatal(err)
	}
	letter := mtatest.Defaults
	letter.Context.Client.Port = 1
	letter.Message = append(bytes.Clone(letter.Message), bytes.Repeat([]byte("All work and no play makes Jack a dull boy.\r\n"), size/45)...)
	b.Run("two copies", func(b *testing.B) {
		first, second := make([]byte, len(letter.Message)), make([]byte, len(letter.Message))
		b.SetBytes(int64(len(letter.Message)))
		for b.Loop() {
			copy(first, letter.Message)
			copy(second, first)
		}
	})
	for _, isolation := range []wasm.Isolation{wasm.IsolateNone, wasm.IsolateMessage} {
		b.Run("isolation "+string(isolation), func(b *testing.B) {
			p, err := newCachedRuntime(b).Load(b.Context(), wasm.LoadOptions{Name: "read", Wasm: module, Instances: 1, Isolation: isolation})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close(context.Background())
			b.SetBytes(int64(len(letter.Message)))
			benchmarkMessage(b, p, letter)
		})
	}
}

// BenchmarkLoadGo is how long a plugin in Go takes to load once its code is in
// the compilation cache: what a start and a reload wait for.
func BenchmarkLoadGo(b *testing.B) {
	module := buildOnce(b, "stamp")
	rt := newCachedRuntime(b)
	load := func() {
		p, err := rt.Load(b.Context(), wasm.LoadOptions{Name: "stamp", Wasm: module, Config: json.RawMessage(`{"add": {"X-A": "b"}}`)})
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	load() // now it is in the cache
	for b.Loop() {
		load()
	}
}
