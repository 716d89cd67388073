package wasm

import (
	"context"
	"errors"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/wasmta/wasmta/mta/internal/meter"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/bundle"
)

// A Description is what there is to know of a module without running it.
type Description struct {
	Mode     Mode                // what it says of itself: native, command or loop
	Hooks    []string            // of a native one, without on_load, in the order of a message's life
	Imports  map[string][]string // functions by their module, in alphabetical order
	Grants   abi.Grant           // what a stage has to grant it; of a loop, nobody knows before it runs
	Memory   Pages
	Sections []Section      // custom ones
	Bundle   *bundle.Bundle // nil: it has none
}

// Pages are the linear memory that a module declares, in octets.
type Pages struct {
	Min int64
	Max int64 // zero: it declares none
}

// A Section is a custom section.
type Section struct {
	Name string
	Size int
}

// Inspect describes a module.
func Inspect(ctx context.Context, module []byte) (*Description, error) {
	if _, err := meter.Rewrite(module, meter.Options{}); err != nil {
		return nil, errors.New(shorten(err)) // it bounds what the runtime would make lists of
	}
	// Nothing is run, so nothing need be compiled to machine code.
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCustomSections(true))
	defer runtime.Close(ctx)
	compiled, err := runtime.CompileModule(ctx, module)
	if err != nil {
		return nil, errors.New(shorten(err))
	}
	d := &Description{Mode: ModeNative, Imports: map[string][]string{}}
	for _, f := range compiled.ImportedFunctions() {
		from, name, _ := f.Import()
		d.Imports[from] = append(d.Imports[from], name)
		if known, ok := abi.Lookup(name); ok && from == abi.Module {
			d.Grants |= known.Access.Grant
		}
	}
	for from, names := range d.Imports {
		slices.Sort(names)
		d.Imports[from] = slices.Compact(names) // one may be imported twice
	}
	for _, s := range compiled.CustomSections() {
		d.Sections = append(d.Sections, Section{s.Name(), len(s.Data())})
	}
	d.Memory = pagesOf(compiled)
	if d.Bundle, err = bundle.Read(module); err != nil {
		return nil, err
	}
	return d, d.mode(compiled)
}

// mode finds how the module is asked.
func (d *Description) mode(compiled wazero.CompiledModule) error {
	exported := compiled.ExportedFunctions()
	hooks, err := findHooks(exported)
	if err != nil {
		return err
	}
	_, starts := exported[startFunction]
	d.Mode = modeOf(d.Bundle, hooks, starts)
	switch {
	case d.Mode == ModeCommand:
		d.Grants |= stdinGrants
	case d.Mode == ModeNative && len(hooks) == 0:
		return errNoHook
	case d.Mode == ModeNative:
		d.Hooks = hooks
	}
	return nil
}

func pagesOf(compiled wazero.CompiledModule) Pages {
	var memory api.MemoryDefinition
	for _, m := range compiled.ExportedMemories() {
		memory = m
	}
	if memory == nil {
		return Pages{}
	}
	p := Pages{Min: int64(memory.Min()) * pageSize}
	if most, declared := memory.Max(); declared {
		p.Max = int64(most) * pageSize
	}
	return p
}
