package wasm

import (
	"errors"
	"fmt"

	"github.com/wasmta/wasmta/mta/internal/meter"
	"github.com/wasmta/wasmta/sdk/bundle"
)

// A code is a module as it is compiled: with the counting of fuel in it.
type code struct {
	wasm    []byte
	start   string         // the export that is the module's start function; empty: it has none
	globals []string       // the exports that are its mutable globals
	bundle  *bundle.Bundle // nil: none
}

// newCode checks and rewrites a module.
func (r *Runtime) newCode(wasm []byte) (*code, error) {
	if len(wasm) > maxModule {
		return nil, fmt.Errorf("module of %d octets is over %s", len(wasm), octets(maxModule))
	}
	if len(wasm) < 8 || string(wasm[:4]) != "\x00asm" {
		return nil, errors.New("no WebAssembly module")
	}
	if wasm[4] != 1 || wasm[6] != 0 {
		return nil, errors.New("a WebAssembly component, not a core module; build for wasm32-wasip1 or wasm32-unknown-unknown")
	}
	b, err := bundle.Read(wasm)
	if err != nil {
		return nil, err
	}
	if b != nil { // what is compiled serves all plugins of one interpreter
		if wasm, err = bundle.Bare(wasm); err != nil {
			return nil, err
		}
	}
	if r.unmetered {
		return &code{wasm: wasm, bundle: b}, nil
	}
	m, err := r.metered(wasm)
	if err != nil {
		return nil, err
	}
	if m.Shared {
		return nil, errors.New("imports a memory, a table or a global; there is none to import")
	}
	c := &code{wasm: m.Wasm, globals: m.Globals, bundle: b}
	if m.Start {
		c.start = meter.Start
	}
	return c, nil
}
