package wasm

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	wasmsys "github.com/tetratelabs/wazero/sys"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

// An instance is one guest: a plugin's code with a memory of its own. It is
// idle in its plugin's pool, then lent to one call, then idle again; after an
// error it is discarded and never used again. One goroutine has it at a time.
type instance struct {
	mod    api.Module
	memory *memory
	output *output
	hooks  map[string]api.Function
	ctx    context.Context // of the call that is under way; nil while idle: see sleep
}

// newInstance makes a guest ready for its hooks: memory, _initialize, on_load.
// The error is an [*Error].
func (p *Plugin) newInstance(ctx context.Context) (*instance, error) {
	inst := &instance{
		memory: &memory{limit: uint64(p.budget.Memory)},
		output: &output{log: p.log},
	}
	if err := inst.start(ctx, p); err != nil {
		inst.discard(ctx)
		return nil, err
	}
	return inst, nil
}

// start is what newInstance does after the memory's limit is set.
func (inst *instance) start(ctx context.Context, p *Plugin) error {
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
	inst.ctx = ctx
	defer func() { inst.ctx = nil }()
	if err := inst.instantiate(ctx, p, call); err != nil {
		return p.failure(ctx, "", inst, err)
	}
	if f := inst.mod.ExportedFunction(abi.Initialize); f != nil {
		if _, err := inst.invoke(ctx, f, call); err != nil {
			return p.failure(ctx, abi.Initialize, inst, err)
		}
	}
	inst.hooks = make(map[string]api.Function, len(p.hooks))
	for _, hook := range p.hooks {
		inst.hooks[hook] = inst.mod.ExportedFunction(hook)
	}
	if f := inst.mod.ExportedFunction(abi.HookLoad); f != nil {
		result, err := inst.invoke(ctx, f, call)
		if err != nil {
			return p.failure(ctx, abi.HookLoad, inst, err)
		}
		if result != 0 {
			return p.refusal(result, call.GivenReply(), said, inst.output.first())
		}
	}
	return nil
}

// instantiate makes the module's memory, tables and globals. The runtime
// panics when memory cannot be had, and only then.
func (inst *instance) instantiate(ctx context.Context, p *Plugin, call *host.Call) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	config := wazero.NewModuleConfig().
		WithName(""). // several of one name would collide
		WithStartFunctions().
		WithStdout(inst.output).WithStderr(inst.output).
		WithWalltime(p.walltime, wasmsys.ClockResolution(time.Microsecond)).
		WithSysNanotime().
		WithNanosleep(inst.sleep).
		WithRandSource(p.random())
	cc := &callContext{Context: experimental.WithMemoryAllocator(ctx, inst.memory), guest: guest{Call: call}}
	inst.mod, err = p.runtime.InstantiateModule(cc, p.compiled, config)
	return err
}

// invoke calls a function of type () -> i32 or () -> ().
func (inst *instance) invoke(ctx context.Context, f api.Function, call *host.Call) (int32, error) {
	var stack [1]uint64
	err := f.CallWithStack(&callContext{Context: ctx, guest: guest{Call: call, mod: inst.mod}}, stack[:])
	return int32(uint32(stack[0])), err
}

// run asks a hook.
func (inst *instance) run(ctx context.Context, hook string, call *host.Call) (int32, error) {
	inst.output.reset()
	inst.memory.denied.Store(false)
	inst.ctx = ctx
	defer func() { inst.ctx = nil }()
	return inst.invoke(ctx, inst.hooks[hook], call)
}

// sleep is how a guest sleeps: no longer than its call may take.
func (inst *instance) sleep(ns int64) {
	if inst.ctx == nil || ns <= 0 {
		return
	}
	t := time.NewTimer(time.Duration(ns))
	defer t.Stop()
	select {
	case <-t.C:
	case <-inst.ctx.Done():
	}
}

// discard gives back all that the instance has.
func (inst *instance) discard(ctx context.Context) {
	if inst.mod != nil {
		_ = inst.mod.Close(context.WithoutCancel(ctx)) // has nothing of ours to lose
	}
	inst.memory.release()
}

// refusal is what a result other than zero of on_load means, in the plugin's
// own words if it had any.
func (p *Plugin) refusal(result int32, reply *host.Reply, logged, written string) *Error {
	detail := fmt.Sprintf("refused to start (%d)", result)
	switch {
	case reply != nil:
		detail = "refused to start: " + cut(reply.Text)
	case logged != "":
		detail = "refused to start: " + cut(logged)
	case written != "":
		detail = "refused to start: " + cut(written)
	}
	return &Error{Plugin: p.name, Hook: abi.HookLoad, Kind: KindLoad, Detail: detail}
}

func (p *Plugin) walltime() (sec int64, nsec int32) {
	now := p.now()
	return now.Unix(), int32(now.Nanosecond())
}

func (p *Plugin) random() io.Reader {
	if p.shared.opts.Random != nil {
		return p.shared.opts.Random
	}
	return rand.Reader
}
