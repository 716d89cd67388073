package wasm

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/sys"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

// A Plugin is a loaded module with a pool of instances. Safe for concurrent
// use.
type Plugin struct {
	name       string
	shared     *Runtime
	config     json.RawMessage
	limits     host.Limits
	budget     Budget // of a hook
	loadBudget Budget // of a new instance
	log        *slog.Logger
	now        func() time.Time

	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	hooks    []string

	slots chan struct{} // one in it for each instance that is lent
	mu    sync.Mutex    // guards idle, lent and gone
	idle  []*instance
	lent  int
	gone  bool // no more loans

	closing chan struct{} // closed when gone is set
	ended   chan struct{} // closed when all is given back
}

// Name is the plugin's name in the pipeline file.
func (p *Plugin) Name() string { return p.name }

// Hooks are the hooks that the plugin has, without on_load, in the order of a
// message's life.
func (p *Plugin) Hooks() []string { return slices.Clone(p.hooks) }

// Handle asks a hook about a transaction; a hook that the plugin does not have
// answers continue. What the plugin did is in tx when Handle returns; with an
// error, which is an [*Error], tx is as it was. The guest has the plugin's
// timeout for it, counted from when it is ready: what other messages do to the
// pool costs this one some waiting, up to [MaxWait], and not its verdict. ctx
// bounds all of it.
func (p *Plugin) Handle(ctx context.Context, hook string, tx *mail.Transaction) (mail.Answer, error) {
	if !slices.Contains(p.hooks, hook) {
		return mail.Answer{}, nil
	}
	inst, err := p.await(ctx, hook)
	if err != nil {
		return mail.Answer{}, err
	}
	timed, cancel := p.timed(ctx)
	defer func() { cancel() }()
	answer, err := p.ask(timed, inst, hook, tx)
	if stale(timed, err) {
		// The runtime closed an idle instance: its last call and that call's
		// deadline ended together. Nothing was done, so a new one may.
		inst.discard(ctx)
		if inst, err = p.fresh(ctx); err == nil {
			cancel()
			timed, cancel = p.timed(ctx)
			answer, err = p.ask(timed, inst, hook, tx)
		}
	}
	p.release(ctx, inst, err)
	if err != nil {
		return mail.Answer{}, err
	}
	return answer, nil
}

// stale tells whether err is that of a deadline which is not this call's.
func stale(ctx context.Context, err error) bool {
	exit, ok := errors.AsType[*sys.ExitError](err)
	return ok && isContextExit(exit) && ctx.Err() == nil
}

// timed is ctx with the time of one hook.
func (p *Plugin) timed(ctx context.Context) (context.Context, context.CancelFunc) {
	if p.budget.Timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, p.budget.Timeout)
}

// await is acquire within MaxWait.
func (p *Plugin) await(ctx context.Context, hook string) (*instance, error) {
	ctx, cancel := context.WithTimeout(ctx, MaxWait)
	defer cancel()
	return p.acquire(ctx, hook)
}

// ask runs one hook in an instance, and puts what it did into tx.
func (p *Plugin) ask(ctx context.Context, inst *instance, hook string, tx *mail.Transaction) (mail.Answer, error) {
	call := host.New(p.input(ctx, hook, tx))
	result, err := inst.run(ctx, hook, call)
	if err != nil {
		call.Rollback()
		return mail.Answer{}, p.failure(ctx, hook, inst, err)
	}
	answer, err := call.Answer(result)
	if err != nil {
		call.Rollback()
		return mail.Answer{}, &Error{Plugin: p.name, Hook: hook, Kind: KindVerdict, Detail: err.Error(), Err: err}
	}
	changes, out := call.Commit(), answerOf(answer)
	if err := apply(tx, &out, changes); err != nil {
		call.Rollback()
		return mail.Answer{}, &Error{Plugin: p.name, Hook: hook, Kind: KindInput, Detail: cut(err.Error()), Err: err}
	}
	return out, nil
}

// acquire lends an idle instance, or makes one while the pool has room.
func (p *Plugin) acquire(ctx context.Context, hook string) (*instance, error) {
	select {
	case p.slots <- struct{}{}:
	case <-p.closing:
		return nil, p.closedError(hook)
	case <-ctx.Done():
		return nil, &Error{Plugin: p.name, Hook: hook, Kind: KindBusy, Detail: "no instance came free in time", Err: ctx.Err()}
	}
	if !p.begin() {
		<-p.slots
		return nil, p.closedError(hook)
	}
	for inst := p.takeIdle(); inst != nil; inst = p.takeIdle() {
		if !inst.mod.IsClosed() {
			return inst, nil
		}
		inst.discard(ctx)
	}
	inst, err := p.fresh(ctx)
	if err != nil {
		p.release(ctx, nil, err)
		return nil, err
	}
	return inst, nil
}

func (p *Plugin) closedError(hook string) *Error {
	return &Error{Plugin: p.name, Hook: hook, Kind: KindLoad, Detail: "is closed"}
}

// begin counts a loan; false if the plugin is closed.
func (p *Plugin) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return false
	}
	p.lent++
	return true
}

// takeIdle takes the instance that was used last: its memory is warm. It is
// nil if none is idle.
func (p *Plugin) takeIdle() *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	inst := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return inst
}

// fresh makes an instance, which may take as long as loading may.
func (p *Plugin) fresh(ctx context.Context) (*instance, error) {
	ctx, cancel := context.WithTimeout(ctx, p.loadBudget.Timeout)
	defer cancel()
	return p.newInstance(ctx)
}

// release ends a loan; inst may be nil. After an error the instance is
// discarded: a guest that trapped can still be called, in a state that nobody
// knows.
func (p *Plugin) release(ctx context.Context, inst *instance, err error) {
	if inst != nil && err != nil {
		inst.discard(ctx)
	}
	p.mu.Lock()
	if inst != nil && err == nil {
		p.idle = append(p.idle, inst)
	}
	p.lent--
	last := p.gone && p.lent == 0
	p.mu.Unlock()
	<-p.slots
	if last {
		p.shut(ctx)
	}
}

// Close waits for the calls that are under way, and gives back all that the
// plugin has. If ctx ends first, the last of these calls does so. Later calls
// of Handle are refused.
func (p *Plugin) Close(ctx context.Context) error {
	p.mu.Lock()
	first, idle := !p.gone, p.lent == 0
	p.gone = true
	if first {
		close(p.closing)
	}
	p.mu.Unlock()
	if first && idle {
		p.shut(ctx)
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// shut closes everything. No instance is lent, and none will be.
func (p *Plugin) shut(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for _, inst := range p.idle {
		inst.discard(ctx)
	}
	p.idle = nil
	_ = p.runtime.Close(ctx) // only modules of ours, which hold no file
	p.shared.remove(p)
	close(p.ended)
}

// logLine logs what a plugin said.
func (p *Plugin) logLine(level abi.Level, text string) {
	p.log.Log(context.Background(), slogLevel(level), "plugin log", "text", text)
}
