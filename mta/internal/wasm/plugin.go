package wasm

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

// A Plugin is a loaded module with a pool of workers. Safe for concurrent use.
type Plugin struct {
	name       string
	shared     *Runtime
	code       *code
	config     json.RawMessage
	limits     host.Limits
	budget     Budget // of a hook
	loadBudget Budget // of a new instance
	isolation  Isolation
	mode       Mode
	output     string // of ModeCommand
	grants     abi.Grant
	kv         host.KV
	resolver   host.Resolver
	metrics    host.Metrics
	log        *slog.Logger
	now        func() time.Time

	files  wazero.FSConfig // what guests may read; nil: nothing
	roots  []*os.Root      // of files
	mounts int             // folders in files

	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	hooks    []string
	quiet    bool   // hooks are asked without the message: of ModeLoop
	state    *state // what all instances begin with; nil: each begins anew

	slots chan struct{} // one in it for each worker that is lent
	mu    sync.Mutex    // guards idle, lent and gone
	idle  []worker
	lent  int
	gone  bool // no more loans

	closing chan struct{} // closed when gone is set
	ended   chan struct{} // closed when all is given back
}

// A worker asks one guest. It is idle in its plugin's pool, then lent to one
// call, then idle again; after an error it is discarded and never used again.
// One goroutine has it at a time.
type worker interface {
	// run asks a hook. What the guest answers beside the verdict is in call.
	// The error is an [*Error].
	run(ctx context.Context, hook string, call *host.Call) (int32, error)

	// usage is what the last run used.
	usage() mail.Usage

	// settle makes the worker ready for another message. After an error it is
	// to be discarded.
	settle() error

	// discard gives back all that the worker has, and waits until it is.
	discard()
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
func (p *Plugin) Handle(ctx context.Context, hook string, tx *mail.Transaction) (answer mail.Answer, err error) {
	if !slices.Contains(p.hooks, hook) {
		return mail.Answer{}, nil
	}
	w, err := p.await(ctx, hook)
	if err != nil {
		return mail.Answer{}, err
	}
	err = errUnfinished // if a bug of ours panics, the pipeline goes on, and so must the pool
	defer func() { p.release(ctx, w, err) }()
	answer, err = p.ask(ctx, w, hook, tx)
	answer.Used = w.usage()
	return answer, err
}

// errUnfinished is why the worker of a call that did not return is discarded.
var errUnfinished = errors.New("the call did not return")

// await is acquire within MaxWait.
func (p *Plugin) await(ctx context.Context, hook string) (worker, error) {
	ctx, cancel := context.WithTimeout(ctx, MaxWait)
	defer cancel()
	return p.acquire(ctx, hook)
}

// ask runs one hook in a worker, and puts what it did into tx.
func (p *Plugin) ask(ctx context.Context, w worker, hook string, tx *mail.Transaction) (mail.Answer, error) {
	if p.budget.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.budget.Timeout)
		defer cancel()
	}
	in := p.input(ctx, hook, tx)
	if in.Open != nil {
		var release func()
		in.Open, release = watched(ctx, in.Open)
		defer release()
	}
	call := host.New(in)
	result, err := w.run(ctx, hook, call)
	if err != nil {
		call.Rollback()
		return mail.Answer{}, err
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

// acquire lends an idle worker, or makes one while the pool has room.
func (p *Plugin) acquire(ctx context.Context, hook string) (worker, error) {
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
	if w := p.takeIdle(); w != nil {
		return w, nil
	}
	w, err := p.fresh(ctx)
	if err != nil {
		p.release(ctx, nil, err)
		return nil, err
	}
	return w, nil
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

// takeIdle takes the worker that was used last: its memory is warm. It is nil
// if none is idle.
func (p *Plugin) takeIdle() worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	w := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return w
}

// first is fresh when the plugin is loaded: what is asked of all that come
// later is kept.
func (p *Plugin) first(ctx context.Context) (worker, error) {
	if p.mode == ModeCommand {
		if err := p.tryCommand(ctx); err != nil {
			return nil, err
		}
	}
	w, err := p.fresh(ctx)
	if err != nil {
		return nil, err
	}
	if inst, ok := w.(*instance); ok && inst.state != nil && inst.state.cloneable {
		p.state, inst.own = inst.state, false
	}
	return w, nil
}

// fresh makes a worker, which may take as long as loading may.
func (p *Plugin) fresh(ctx context.Context) (worker, error) {
	ctx, cancel := context.WithTimeout(ctx, p.loadBudget.Timeout)
	defer cancel()
	switch {
	case p.mode == ModeCommand:
		inst := p.newInstance()
		return &command{plugin: p, inst: inst, stderr: lastWords{output: inst.output}}, nil
	case p.mode == ModeLoop:
		return orNone(p.newLoop(ctx))
	case p.state != nil:
		return orNone(p.clone(ctx, p.state))
	}
	return orNone(p.start(ctx))
}

// orNone keeps a nil pointer from being a worker that is not nil.
func orNone[W worker](w W, err error) (worker, error) {
	if err != nil {
		return nil, err
	}
	return w, nil
}

// release ends a loan; w may be nil. After an error the worker is discarded: a
// guest that trapped can still be called, in a state that nobody knows.
func (p *Plugin) release(ctx context.Context, w worker, err error) {
	if w != nil && (err != nil || w.settle() != nil) {
		w.discard()
		w = nil
	}
	p.mu.Lock()
	if w != nil {
		p.idle = append(p.idle, w)
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

// shut closes everything. No worker is lent, and none will be.
func (p *Plugin) shut(ctx context.Context) {
	for _, w := range p.idle {
		w.discard()
	}
	p.idle = nil
	p.free(ctx)
	p.shared.remove(p)
	close(p.ended)
}

// free gives back what the plugin has beside its workers.
func (p *Plugin) free(ctx context.Context) {
	if p.runtime != nil {
		_ = p.runtime.Close(context.WithoutCancel(ctx)) // only modules of ours, which hold no file
	}
	if p.state != nil {
		p.state.release()
	}
	for _, root := range p.roots {
		_ = root.Close() // nothing is written
	}
}

// logLine logs what a plugin said.
func (p *Plugin) logLine(level abi.Level, text string) {
	p.log.Log(context.Background(), slogLevel(level), "plugin log", "text", text)
}
