package wasm

import (
	"context"
	"fmt"
	"io"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/meter"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

// An instance is one guest: a plugin's code with a memory of its own. It is
// the worker of ModeNative, and what those of the other modes are made of.
type instance struct {
	plugin *Plugin
	mod    api.Module
	mem    api.Memory // nil: the guest has none
	memory *memory
	output *output
	gauge  gauge
	files  files
	clock  clock
	random entropy
	hooks  map[string]api.Function
	state  *state // what it returns to after each message; nil: nothing
	own    bool   // state is of this instance alone
}

func (p *Plugin) newInstance() *instance {
	inst := &instance{
		plugin: p,
		memory: &memory{limit: uint64(p.budget.Memory), newSpace: p.shared.newSpace},
	}
	inst.output = &output{log: p.log, gauge: &inst.gauge}
	inst.clock = clock{gauge: &inst.gauge, base: firstInstant}
	inst.random = entropy{gauge: &inst.gauge}
	inst.files.first = stderr + 1 + int32(p.mounts)
	return inst
}

// start makes a guest ready for its hooks: memory, the start function,
// _initialize, on_load. The error is an [*Error]; the instance is to be
// discarded then.
func (p *Plugin) start(ctx context.Context) (*instance, error) {
	inst := p.newInstance()
	if err := inst.load(ctx); err != nil {
		inst.discard()
		return nil, err
	}
	if p.isolation == IsolateNone {
		return inst, nil
	}
	inst.state, inst.own = inst.capture(), true
	if err := inst.restore(true); err != nil {
		inst.discard()
		return nil, &Error{Plugin: p.name, Kind: KindLoad, Detail: err.Error(), Err: err}
	}
	return inst, nil
}

// load is what start does before the guest's state is kept.
func (inst *instance) load(ctx context.Context) error {
	p := inst.plugin
	in := p.input(ctx, abi.HookLoad, nil)
	said := ""
	in.Level = min(in.Level, abi.LevelWarn) // a refusal's reason is wanted, logged or not
	in.Log = func(level abi.Level, text string) {
		if level >= abi.LevelWarn {
			said = text
		}
		p.logLine(level, text)
	}
	call := host.New(in)
	inst.begin(ctx, p.loadBudget, nil)
	if err := inst.instantiate(ctx, p.moduleConfig(inst), call); err != nil {
		return p.failure(ctx, "", inst, err)
	}
	for _, name := range []string{p.code.start, abi.Initialize} {
		if f := inst.mod.ExportedFunction(name); name != "" && f != nil {
			if _, err := inst.invoke(ctx, f, call); err != nil {
				return p.failure(ctx, name, inst, err)
			}
		}
	}
	inst.random.real = p.entropy()
	f := inst.mod.ExportedFunction(abi.HookLoad)
	if f == nil {
		return nil
	}
	result, err := inst.invoke(ctx, f, call)
	if err != nil {
		return p.failure(ctx, abi.HookLoad, inst, err)
	}
	if result != 0 {
		return p.refusal(result, call.GivenReply(), said, inst.output.first())
	}
	return nil
}

// begin starts to measure one call, with these random octets; nil: fixed ones.
func (inst *instance) begin(ctx context.Context, budget Budget, random io.Reader) {
	inst.output.reset()
	inst.memory.denied.Store(false)
	base := inst.clock.monotonic()
	if inst.state != nil {
		base = inst.state.elapsed
	}
	inst.clock.begin(base, inst.plugin.now, inst.plugin.granted(abi.GrantClock))
	inst.random.begin(random)
	inst.gauge.begin(ctx, budget)
}

// instantiate makes the module's memory, tables and globals; nothing of the
// guest's code runs. The runtime panics when memory cannot be had, and only
// then.
func (inst *instance) instantiate(ctx context.Context, config wazero.ModuleConfig, call *host.Call) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	cc := inst.context(experimental.WithMemoryAllocator(ctx, inst.memory), call)
	inst.mod, err = inst.plugin.runtime.InstantiateModule(cc, inst.plugin.compiled, config)
	if err != nil {
		return err
	}
	inst.mem = memoryOf(inst.mod)
	inst.gauge.attach(inst.global(meter.Fuel), inst.global(meter.Stack))
	inst.hooks = make(map[string]api.Function, len(inst.plugin.hooks))
	for _, hook := range inst.plugin.hooks {
		inst.hooks[hook] = inst.mod.ExportedFunction(hook)
	}
	return nil
}

// global is one of the mutable globals that the rewriter exports; nil if there
// is none of that name.
func (inst *instance) global(name string) api.MutableGlobal {
	g, _ := inst.mod.ExportedGlobal(name).(api.MutableGlobal)
	return g
}

// context carries a call to the functions of the host.
func (inst *instance) context(ctx context.Context, call *host.Call) *callContext {
	return &callContext{Context: ctx, guest: guest{Call: call, memory: inst.mem, gauge: &inst.gauge, files: &inst.files}}
}

// invoke calls a function of type () -> i32 or () -> ().
func (inst *instance) invoke(ctx context.Context, f api.Function, call *host.Call) (int32, error) {
	var stack [1]uint64
	err := f.CallWithStack(inst.context(ctx, call), stack[:])
	return int32(uint32(stack[0])), err
}

// run implements [worker].
func (inst *instance) run(ctx context.Context, hook string, call *host.Call) (int32, error) {
	inst.begin(ctx, inst.plugin.budget, inst.plugin.entropy())
	result, err := inst.invoke(ctx, inst.hooks[hook], call)
	if err != nil {
		return 0, inst.plugin.failure(ctx, hook, inst, err)
	}
	return result, nil
}

// usage implements [worker].
func (inst *instance) usage() mail.Usage { return inst.gauge.usage(inst.size()) }

// settle implements [worker].
func (inst *instance) settle() error {
	if inst.state == nil {
		return nil
	}
	return inst.restore(false)
}

// size is that of the guest's memory in octets.
func (inst *instance) size() int64 {
	if inst.mem == nil {
		return 0
	}
	return int64(inst.mem.Size())
}

// discard implements [worker].
func (inst *instance) discard() {
	if inst.mod != nil {
		_ = inst.mod.Close(context.Background()) // has nothing of ours to lose
	}
	inst.memory.release()
	if inst.own {
		inst.state.release()
	}
}
