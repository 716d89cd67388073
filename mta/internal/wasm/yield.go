package wasm

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/wasmta/wasmta/mta/internal/meter"
)

// addYield builds the module that rewritten code calls when its slice of fuel
// is used up.
func addYield(ctx context.Context, rt wazero.Runtime) error {
	_, err := rt.NewHostModuleBuilder(meter.ImportModule).NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, _ api.Module, _ []uint64) {
			callOf(ctx).guest.gauge.yield()
		}), nil, nil).Export(meter.Yield).Instantiate(ctx)
	return err
}
