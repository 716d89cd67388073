package toolchain

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/testpeer"
	"github.com/wasmta/wasmta/mta/internal/wasm"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/templates"
)

// BenchmarkHeaderEdit asks the plugin of each template, which adds one header
// field, about a small message: in a guest that is reset after each, and in one
// that is not.
func BenchmarkHeaderEdit(b *testing.B) {
	cache, err := os.UserCacheDir()
	if err != nil {
		b.Fatal(err)
	}
	cache = filepath.Join(cache, "wasmta", "compiled") // interpreters take long to compile
	for _, l := range templates.Languages {
		testpeer.NeedCompiler(b, l.Name)
		module, err := (&Builder{CacheDir: b.TempDir()}).Build(b.Context(), newPlugin(b, l))
		if err != nil {
			b.Fatal(err)
		}
		for _, isolation := range []wasm.Isolation{wasm.IsolateMessage, wasm.IsolateNone} {
			b.Run(l.Name+"/"+string(isolation), func(b *testing.B) {
				rt, err := wasm.NewRuntime(b.Context(), wasm.Options{CacheDir: cache})
				if err != nil {
					b.Fatal(err)
				}
				defer rt.Close(b.Context())
				p, err := rt.Load(b.Context(), wasm.LoadOptions{Name: l.Name, Wasm: module, Isolation: isolation, Instances: 1})
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					tx := &mail.Transaction{
						ID:      "0123456789ABCDEF",
						Client:  mail.Client{Addr: netip.MustParseAddrPort("192.0.2.1:1234"), Helo: "crepes.fr", Listener: mail.ListenerSMTP},
						Content: mail.Bytes(tourMessage),
					}
					if _, err := p.Handle(b.Context(), abi.HookMessage, tx); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(module)), "octets")
			})
		}
	}
}
