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

// A GrantError says that a module is made to use what its stage is not
// granted.
type GrantError struct {
	What  string    // "imports kv_get"
	Lacks abi.Grant // what that needs beside what the stage has
}

// Error implements error.
func (e *GrantError) Error() string {
	return fmt.Sprintf("%s, which needs %s; add %s to grant:", e.What, theGrants(e.Lacks), e.Lacks)
}

// checkImports tells whether this server has every function that a module
// imports, with its type, and whether the plugin may have them.
func checkImports(imported []api.FunctionDefinition, wasi map[string]api.FunctionDefinition, grants abi.Grant) error {
	var lacking []string // functions that need more grants
	var lacks abi.Grant
	for _, f := range imported {
		module, name, _ := f.Import()
		switch {
		case module == abi.Module:
			known, err := checkImport(name, f)
			if err != nil {
				return err
			}
			if more := grants.Lacks(known.Grant); more != 0 {
				lacking, lacks = append(lacking, name), lacks|more
			}
		case module == wasi_snapshot_preview1.ModuleName:
			if _, ok := wasi[name]; !ok {
				return fmt.Errorf("imports function %s of %s, which is not there", cut(name), module)
			}
		case module == meter.ImportModule && name == meter.Yield: // comes with the code that counts fuel
		case isOtherVersion(module):
			return fmt.Errorf("is built for plugin ABI %s; this server has %s, version %d.%d", module, abi.Module, abi.Major, abi.Minor)
		default:
			return fmt.Errorf("imports function %s of module %q; only %s and %s may be imported",
				cut(name), module, abi.Module, wasi_snapshot_preview1.ModuleName)
		}
	}
	switch len(lacking) {
	case 0:
		return nil
	case 1:
		return &GrantError{What: "imports " + lacking[0], Lacks: lacks}
	}
	return &GrantError{What: fmt.Sprintf("imports %s and %d more", lacking[0], len(lacking)-1), Lacks: lacks}
}

func checkImport(name string, f api.FunctionDefinition) (abi.Function, error) {
	known, ok := abi.Lookup(name)
	if !ok {
		return known, fmt.Errorf("imports function %s, which plugin ABI %d.%d does not have; it may need a newer server", cut(name), abi.Major, abi.Minor)
	}
	params, results := coreTypes(known)
	if !slices.Equal(params, f.ParamTypes()) || !slices.Equal(results, f.ResultTypes()) {
		return known, fmt.Errorf("imports function %s as %s; it is %s", name,
			signature(f.ParamTypes(), f.ResultTypes()), signature(params, results))
	}
	return known, nil
}

func theGrants(g abi.Grant) string {
	words := g.Words()
	if len(words) == 1 {
		return "the grant " + words[0]
	}
	last := len(words) - 1
	return "the grants " + strings.Join(words[:last], ", ") + " and " + words[last]
}
