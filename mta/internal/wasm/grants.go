package wasm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/wasmta/wasmta/mta/internal/meter"
	"github.com/wasmta/wasmta/sdk/abi"
)

// grantsOf reads the words of a list; nil are the default grants.
func grantsOf(words []string) (abi.Grant, error) {
	if words == nil {
		return abi.DefaultGrants, nil
	}
	return abi.ParseGrants(words...)
}

// granted tells whether the plugin has all of these grants.
func (p *Plugin) granted(g abi.Grant) bool { return p.grants.Lacks(g) == 0 }

// checkImports tells whether this server has every function that a module
// imports, with its type, and whether the plugin may have it.
func checkImports(imported []api.FunctionDefinition, wasi map[string]api.FunctionDefinition, grants abi.Grant) error {
	for _, f := range imported {
		module, name, _ := f.Import()
		switch {
		case module == abi.Module:
			if err := checkImport(name, f, grants); err != nil {
				return err
			}
		case module == wasi_snapshot_preview1.ModuleName:
			if _, ok := wasi[name]; !ok {
				return fmt.Errorf("imports function %s of %s, which is not there", name, module)
			}
		case module == meter.ImportModule && name == meter.Yield: // comes with the code that counts fuel
		case isOtherVersion(module):
			return fmt.Errorf("is built for plugin ABI %s; this server has %s, version %d.%d", module, abi.Module, abi.Major, abi.Minor)
		default:
			return fmt.Errorf("imports function %s of module %q; only %s and %s may be imported",
				name, module, abi.Module, wasi_snapshot_preview1.ModuleName)
		}
	}
	return nil
}

func checkImport(name string, f api.FunctionDefinition, grants abi.Grant) error {
	known, ok := abi.Lookup(name)
	if !ok {
		return fmt.Errorf("imports function %s, which plugin ABI %d.%d does not have; it may need a newer server", name, abi.Major, abi.Minor)
	}
	params, results := coreTypes(known)
	if !slices.Equal(params, f.ParamTypes()) || !slices.Equal(results, f.ResultTypes()) {
		return fmt.Errorf("imports function %s as %s; it is %s", name,
			signature(f.ParamTypes(), f.ResultTypes()), signature(params, results))
	}
	if lacks := grants.Lacks(known.Grant); lacks != 0 {
		return fmt.Errorf("imports %s, which needs %s; add %s to grant:", name, theGrants(lacks), lacks)
	}
	return nil
}

func theGrants(g abi.Grant) string {
	words := g.Words()
	if len(words) == 1 {
		return "the grant " + words[0]
	}
	return "the grants " + strings.Join(words, " and ")
}
