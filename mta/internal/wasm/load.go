package wasm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/bundle"
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

	// What the grants kv and dns, and the functions counter and observe, lead
	// to; nil: not there.
	KV       host.KV
	Resolver host.Resolver
	Metrics  host.Metrics
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
	code, err := r.newCode(opts.Wasm)
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
func (r *Runtime) prepared(ctx context.Context, opts LoadOptions, c *code) (*Plugin, error) {
	p, err := r.newPlugin(opts, c)
	if err == nil {
		err = p.prepare(ctx)
	}
	if err != nil {
		p.free(ctx)
		return nil, err
	}
	return p, nil
}

func (r *Runtime) newPlugin(opts LoadOptions, c *code) (*Plugin, error) {
	p := &Plugin{
		name:       opts.Name,
		shared:     r,
		code:       c,
		config:     opts.Config,
		limits:     opts.Limits,
		budget:     opts.Budget.or(defaultBudget),
		loadBudget: opts.Load.or(DefaultLoad),
		isolation:  opts.Isolation,
		mode:       opts.Mode,
		output:     opts.Output,
		kv:         opts.KV,
		resolver:   opts.Resolver,
		metrics:    opts.Metrics,
		log:        r.opts.Log.With("plugin", opts.Name),
		now:        r.opts.Now,
	}
	p.limits.LogOctets = p.budget.LogOctets
	if p.now == nil {
		p.now = time.Now
	}
	if p.isolation == "" {
		p.isolation = IsolateMessage
	}
	if p.output == "" {
		p.output = OutputMessage
	}
	instances := opts.Instances
	if instances <= 0 {
		instances = defaultInstances()
	}
	p.slots = make(chan struct{}, instances)
	p.closing, p.ended = make(chan struct{}), make(chan struct{})
	var err error
	if p.grants, err = grantsOf(opts.Grants); err != nil {
		return nil, err
	}
	return p, p.mount(opts.Folders)
}

// prepare compiles the code and starts the first instance. The plugin has a
// runtime of its own beneath the shared compilation cache: names cannot
// collide, and closing it leaves nothing.
func (p *Plugin) prepare(ctx context.Context) error {
	p.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(p.shared.cache))
	if err := addImports(ctx, p.runtime); err != nil {
		return err
	}
	if err := addWASI(ctx, p.runtime); err != nil {
		return err
	}
	if err := addYield(ctx, p.runtime); err != nil {
		return err
	}
	var err error
	workers := experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0)) // Ruby takes 8 s with one
	if p.compiled, err = p.runtime.CompileModule(workers, p.code.wasm); err != nil {
		return err
	}
	wasi := p.runtime.Module(wasi_snapshot_preview1.ModuleName).ExportedFunctionDefinitions()
	if err := checkImports(p.compiled.ImportedFunctions(), wasi, p.grants); err != nil {
		return err
	}
	if err := p.choose(p.compiled.ExportedFunctions()); err != nil {
		return err
	}
	w, err := p.first(ctx)
	if err != nil {
		return err
	}
	p.idle = append(p.idle, w)
	return nil
}

// choose finds out how the plugin is asked, and about what.
func (p *Plugin) choose(exported map[string]api.FunctionDefinition) error {
	hooks, err := findHooks(exported)
	if err != nil {
		return err
	}
	_, starts := exported[startFunction]
	if p.mode == "" || p.mode == ModeAuto {
		p.mode = modeOf(p.code.bundle, hooks, starts)
	}
	switch {
	case p.mode == ModeNative && len(hooks) == 0:
		return errNoHook
	case p.mode != ModeNative && !starts:
		return fmt.Errorf("exports no %s, which mode %s runs", startFunction, p.mode)
	case p.mode == ModeCommand:
		p.hooks = []string{abi.HookMessage}
		return p.commandGrants()
	}
	p.hooks = hooks
	return nil
}

var errNoHook = errors.New("exports no hook, so it would never be asked; a filter exports " + abi.HookMessage)

func modeOf(b *bundle.Bundle, hooks []string, starts bool) Mode {
	switch {
	case b != nil:
		return Mode(b.Mode)
	case len(hooks) == 0 && starts:
		return ModeCommand
	}
	return ModeNative
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
			return nil, fmt.Errorf("exports %s, which is no hook; hooks are %s", cut(name), strings.Join(abi.Hooks[:], ", "))
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
	return hooks, nil
}
