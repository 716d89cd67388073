package meter_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/wasmta/wasmta/mta/internal/meter"
)

var (
	errFuel  = errors.New("out of fuel")
	errStack = errors.New("out of stack")
)

// A host gives rewritten modules what they ask for: fuel in slices, up to a
// limit, and a stack. It counts. Not safe for concurrent use.
type host struct {
	stack  int64
	slice  int64
	limit  int64 // in all; 0: no limit
	given  int64
	yields int
	spent  int64 // by several instances, for who adds it up
}

// install makes the import Yield for the modules of r.
func (h *host) install(t testing.TB, r wazero.Runtime) {
	t.Helper()
	yield := api.GoModuleFunc(func(_ context.Context, mod api.Module, _ []uint64) {
		h.yields++
		if int64(mod.ExportedGlobal(meter.Stack).Get()) < 0 {
			panic(errStack)
		}
		fuel := mod.ExportedGlobal(meter.Fuel).(api.MutableGlobal)
		for left := int64(fuel.Get()); left < 0; left += h.slice {
			if h.limit > 0 && h.given >= h.limit {
				panic(errFuel)
			}
			h.given += h.slice
			fuel.Set(uint64(left + h.slice))
		}
	})
	_, err := r.NewHostModuleBuilder(meter.ImportModule).
		NewFunctionBuilder().WithGoModuleFunction(yield, nil, nil).Export(meter.Yield).Instantiate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
}

// used is the fuel that mod has taken, if all of h went to it.
func (h *host) used(mod api.Module) int64 {
	return h.given - int64(mod.ExportedGlobal(meter.Fuel).Get())
}

// instantiate is what a host does with a rewritten module.
func (h *host) instantiate(ctx context.Context, r wazero.Runtime, m *meter.Module, config wazero.ModuleConfig) (api.Module, error) {
	mod, err := r.InstantiateWithConfig(ctx, m.Wasm, config.WithStartFunctions())
	if err != nil {
		return nil, err
	}
	h.fill(mod)
	if !m.Start {
		return mod, nil
	}
	if _, err := mod.ExportedFunction(meter.Start).Call(ctx); err != nil {
		mod.Close(ctx)
		return nil, err
	}
	return mod, nil
}

// fill gives mod the whole stack.
func (h *host) fill(mod api.Module) {
	mod.ExportedGlobal(meter.Stack).(api.MutableGlobal).Set(uint64(h.stack))
}

var moduleConfig = wazero.NewModuleConfig()

func newRuntime(t testing.TB) wazero.Runtime {
	t.Helper()
	r := wazero.NewRuntime(t.Context())
	t.Cleanup(func() { r.Close(context.Background()) })
	return r
}

func rewrite(t testing.TB, wasm []byte, o meter.Options) *meter.Module {
	t.Helper()
	m, err := meter.Rewrite(wasm, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// kind is the first line of an error: which trap it was.
func kind(err error) string {
	if err == nil {
		return ""
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
