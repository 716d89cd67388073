package wasm

import (
	"context"

	"github.com/tetratelabs/wazero"

	"github.com/wasmta/wasmta/sdk/abi"
)

// Inspect tells which hooks a module has and which functions of the plugin ABI
// it imports. It runs nothing of the module.
func Inspect(ctx context.Context, module []byte) (hooks, imports []string, err error) {
	runtime := wazero.NewRuntime(ctx)
	defer runtime.Close(ctx)
	compiled, err := runtime.CompileModule(ctx, module)
	if err != nil {
		return nil, nil, err
	}
	if hooks, err = findHooks(compiled.ExportedFunctions()); err != nil {
		return nil, nil, err
	}
	for _, f := range compiled.ImportedFunctions() {
		if module, name, _ := f.Import(); module == abi.Module {
			imports = append(imports, name)
		}
	}
	return hooks, imports, nil
}
