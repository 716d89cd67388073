package wasm

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/testpeer"
	"github.com/wasmta/wasmta/mta/internal/toolchain"
	"github.com/wasmta/wasmta/sdk/abi"
)

// BenchmarkStage inserts one header field with the filter of each language (see
// sdk/conformance), with each message isolated from the next and without.
func BenchmarkStage(b *testing.B) {
	const filters = "../../../sdk/conformance/filters"
	cache, err := os.UserCacheDir()
	if err != nil {
		b.Fatal(err)
	}
	cache = filepath.Join(cache, "wasmta")
	for _, lang := range []string{"c", "cpp", "rust", "zig", "assemblyscript", "go", "javascript", "ruby", "python"} {
		b.Run(lang, func(b *testing.B) {
			testpeer.NeedCompiler(b, lang)
			builder := &toolchain.Builder{CacheDir: filepath.Join(cache, "test-plugins")}
			code, err := builder.Build(b.Context(), filepath.Join(filters, lang))
			if err != nil {
				b.Fatal(err)
			}
			for _, isolation := range []Isolation{IsolateMessage, IsolateNone} {
				b.Run(string(isolation), func(b *testing.B) {
					p := loadWith(b, newRuntime(b, Options{CacheDir: filepath.Join(cache, "compiled")}), LoadOptions{
						Wasm: code, Isolation: isolation, Budget: Budget{Memory: 256 << 20},
						Config: []byte(`{"stamp":{"name":"X-Conformance","value":"benchmark"}}`),
					})
					used := uint64(0)
					for b.Loop() {
						a, err := p.Handle(b.Context(), abi.HookMessage, transaction())
						if err != nil {
							b.Fatal(err)
						}
						used = a.Used.Fuel
					}
					b.ReportMetric(float64(used), "fuel/op")
				})
			}
		})
	}
}
