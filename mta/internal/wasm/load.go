package wasm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

const (
	// MaxWait is how long a message waits for an instance to come free: its
	// client waits ten minutes for the reply (RFC 5321 §4.5.3.2.6), and a
	// pipeline has a few stages.
	MaxWait   = time.Minute
	maxModule = 100 << 20 // octets; the largest runtime in use (Ruby) has 31 MiB
)

// LoadOptions describe one plugin.
type LoadOptions struct {
	Name   string          // as the pipeline file has it
	Wasm   []byte          // the module
	Config json.RawMessage // what the plugin reads as its configuration; empty is `{}`
	Budget Budget          // of one hook call
	Load   Budget          // of _initialize and on_load together; zero fields: [DefaultLoad]
	Limits host.Limits     // of one call; zero fields have their defaults

	Instances int       // that run at once, at most; zero: one for each processor
	Isolation Isolation // empty: IsolateMessage

	// Grants are what the plugin may use beside the functions that need none;
	// nil: the default grants of sdk/abi. A module that imports more is refused.
	Grants  []string
	Folders []Folder // that a plugin with the grant "folders" may read

	Mode   Mode   // empty: ModeAuto
	Output string // of ModeCommand: "message", "headers" or "none"; empty: "message"
}

// Load compiles a module, checks that this server has all that it imports, and
// starts a first instance, so that a plugin which does not work is refused
// here. The error is an [*Error] of [KindLoad]. Close the plugin when it is no
// longer used.
func (r *Runtime) Load(ctx context.Context, opts LoadOptions) (*Plugin, error) {
	p, err := r.load(ctx, opts)
	if err != nil {
		return nil, loadError(opts.Name, err)
	}
	return p, nil
}

// loadError is an error of [KindLoad], whatever err was.
func loadError(name string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{Plugin: name, Hook: e.Hook, Kind: KindLoad, Detail: e.Detail, Err: e.Err}
	}
	return &Error{Plugin: name, Kind: KindLoad, Detail: shorten(err), Err: err}
}

func (r *Runtime) load(ctx context.Context, opts LoadOptions) (*Plugin, error) {
	code, err := r.code(opts.Wasm)
	if err != nil {
		return nil, err
	}
	p, err := r.prepared(ctx, opts, code)
	if err != nil && r.emptyCache(err) {
		p, err = r.prepared(ctx, opts, code)
	}
	if err != nil {
		return nil, err
	}
	if err := r.add(p); err != nil {
		p.shut(ctx)
		return nil, err
	}
	return p, nil
}

// prepared is a new plugin after [Plugin.prepare].
func (r *Runtime) prepared(ctx context.Context, opts LoadOptions, code []byte) (*Plugin, error) {
	p := r.newPlugin(opts)
	if err := p.prepare(ctx, code); err != nil {
		_ = p.runtime.Close(ctx) // has nothing of ours to lose
		return nil, err
	}
	return p, nil
}

// code is the module as it is compiled.
func (r *Runtime) code(wasm []byte) ([]byte, error) {
	if len(wasm) > maxModule {
		return nil, fmt.Errorf("module of %d octets is over %s", len(wasm), octets(maxModule))
	}
	if len(wasm) < 8 || string(wasm[:4]) != "\x00asm" {
		return nil, errors.New("no WebAssembly module")
	}
	if wasm[4] != 1 || wasm[6] != 0 {
		return nil, errors.New("a WebAssembly component, not a core module; build for wasm32-wasip1 or wasm32-unknown-unknown")
	}
	if r.opts.Transform == nil {
		return wasm, nil
	}
	return r.opts.Transform(wasm)
}

func (r *Runtime) newPlugin(opts LoadOptions) *Plugin {
	p := &Plugin{
		name:       opts.Name,
		shared:     r,
		config:     opts.Config,
		limits:     opts.Limits,
		budget:     opts.Budget.or(defaultBudget),
		loadBudget: opts.Load.or(DefaultLoad),
		log:        r.opts.Log.With("plugin", opts.Name),
		now:        r.opts.Now,
	}
	if p.now == nil {
		p.now = time.Now
	}
	instances := opts.Instances
	if instances <= 0 {
		instances = defaultInstances()
	}
	p.slots = make(chan struct{}, instances)
	p.closing, p.ended = make(chan struct{}), make(chan struct{})
	return p
}

// prepare compiles the code and starts the first instance. The plugin has a
// runtime of its own beneath the shared compilation cache: names cannot
// collide, and closing it leaves nothing.
func (p *Plugin) prepare(ctx context.Context, code []byte) error {
	p.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithCompilationCache(p.shared.cache).WithCloseOnContextDone(!p.shared.untimed))
	if err := addImports(ctx, p.runtime); err != nil {
		return err
	}
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, p.runtime); err != nil {
		return err
	}
	var err error
	if p.compiled, err = p.runtime.CompileModule(ctx, code); err != nil {
		return err
	}
	wasi := p.runtime.Module(wasi_snapshot_preview1.ModuleName).ExportedFunctionDefinitions()
	if err := checkImports(p.compiled.ImportedFunctions(), wasi); err != nil {
		return err
	}
	if p.hooks, err = findHooks(p.compiled.ExportedFunctions()); err != nil {
		return err
	}
	inst, err := p.fresh(ctx)
	if err != nil {
		return err
	}
	p.idle = append(p.idle, inst)
	return nil
}

// checkImports tells whether this server has every function that a module
// imports, with its type.
func checkImports(imported []api.FunctionDefinition, wasi map[string]api.FunctionDefinition) error {
	for _, f := range imported {
		module, name, _ := f.Import()
		switch {
		case module == abi.Module:
			if err := checkImport(name, f); err != nil {
				return err
			}
		case module == wasi_snapshot_preview1.ModuleName:
			if _, ok := wasi[name]; !ok {
				return fmt.Errorf("imports function %s of %s, which is not there", name, module)
			}
		case isOtherVersion(module):
			return fmt.Errorf("is built for plugin ABI %s; this server has %s, version %d.%d", module, abi.Module, abi.Major, abi.Minor)
		default:
			return fmt.Errorf("imports function %s of module %q; only %s and %s may be imported",
				name, module, abi.Module, wasi_snapshot_preview1.ModuleName)
		}
	}
	return nil
}

func checkImport(name string, f api.FunctionDefinition) error {
	known, ok := abi.Lookup(name)
	if !ok {
		return fmt.Errorf("imports function %s, which plugin ABI %d.%d does not have; it may need a newer server", name, abi.Major, abi.Minor)
	}
	params, results := coreTypes(known)
	if !slices.Equal(params, f.ParamTypes()) || !slices.Equal(results, f.ResultTypes()) {
		return fmt.Errorf("imports function %s as %s; it is %s", name,
			signature(f.ParamTypes(), f.ResultTypes()), signature(params, results))
	}
	return nil
}

// isOtherVersion tells whether a module's name is that of the ABI in another
// major version.
func isOtherVersion(module string) bool {
	digits, ok := strings.CutPrefix(module, strings.TrimRight(abi.Module, "0123456789"))
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

func signature(params, results []api.ValueType) string {
	names := func(types []api.ValueType) string {
		var s []string
		for _, t := range types {
			s = append(s, api.ValueTypeName(t))
		}
		return "(" + strings.Join(s, ", ") + ")"
	}
	return names(params) + " -> " + names(results)
}

// findHooks lists the hooks that a module exports, without on_load, in the
// order of a message's life.
func findHooks(exported map[string]api.FunctionDefinition) ([]string, error) {
	for name, f := range exported {
		if strings.HasPrefix(name, "on_") && !slices.Contains(abi.Hooks[:], name) {
			return nil, fmt.Errorf("exports %s, which is no hook; hooks are %s", name, strings.Join(abi.Hooks[:], ", "))
		}
		hook := slices.Contains(abi.Hooks[:], name)
		if hook && (len(f.ParamTypes()) != 0 || !slices.Equal(f.ResultTypes(), []api.ValueType{api.ValueTypeI32})) {
			return nil, fmt.Errorf("exports %s as %s; a hook is () -> (i32)", name, signature(f.ParamTypes(), f.ResultTypes()))
		}
	}
	if f, ok := exported[abi.Initialize]; ok && len(f.ParamTypes())+len(f.ResultTypes()) != 0 {
		return nil, fmt.Errorf("exports %s as %s; it is () -> ()", abi.Initialize, signature(f.ParamTypes(), f.ResultTypes()))
	}
	var hooks []string
	for _, hook := range abi.Hooks {
		if _, ok := exported[hook]; ok && hook != abi.HookLoad {
			hooks = append(hooks, hook)
		}
	}
	if len(hooks) > 0 {
		return hooks, nil
	}
	if _, ok := exported["_start"]; ok {
		return nil, errors.New("is a command (it exports _start), not a plugin; build it as a reactor, in Go with -buildmode=c-shared")
	}
	return nil, fmt.Errorf("exports no hook, so it would never be asked; a filter exports %s", abi.HookMessage)
}
