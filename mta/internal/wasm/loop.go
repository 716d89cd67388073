package wasm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/sys"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

// A loop is the worker of [ModeLoop]: an instance whose _start runs for as long
// as it lives, in a goroutine of its own, and reads one frame after the other
// (sdk/WASI.md). The guest waits for a frame, then works on it, then waits
// again; only one of the two goroutines runs at a time, and what is below the
// channels belongs to the one that does.
type loop struct {
	plugin *Plugin
	inst   *instance
	cc     *callContext

	waits chan struct{} // the guest wants a frame
	next  chan []byte   // the frame; closed: there are no more
	ended chan struct{} // _start returned, with err

	err     error
	input   []byte      // of frames, that the guest did not read yet
	written []byte      // by the guest, and no whole frame yet
	answer  *loopAnswer // to the frame that the guest works on
	octets  []byte      // of the answer
	invalid error       // what the guest did wrong
}

// A loopFrame is what a loop is asked.
type loopFrame struct {
	Hook       string          `json:"hook"`
	ABI        int             `json:"abi,omitempty"`
	Config     json.RawMessage `json:"config,omitempty"`
	Sender     *string         `json:"sender,omitempty"`
	Recipients []string        `json:"recipients,omitempty"`
	Context    json.RawMessage `json:"context,omitempty"`
}

// A loopAnswer is what a loop writes: a call, or an answer.
type loopAnswer struct {
	Call string            `json:"call"`
	Args []json.RawMessage `json:"args"`

	Verdict string     `json:"verdict"`
	Reply   *loopReply `json:"reply"`
	Reason  string     `json:"reason"`
	Error   string     `json:"error"`

	Hooks   []string `json:"hooks"` // of on_load
	Message *bool    `json:"message"`
	Refuse  string   `json:"refuse"`
}

type loopReply struct {
	Code     int32  `json:"code"`
	Enhanced string `json:"enhanced"`
	Text     string `json:"text"`
}

var (
	errUnanswered = errors.New("asked for the next message before it answered this one")
	errStopped    = errors.New("is no longer needed")
)

// newLoop starts a guest and asks it on_load.
func (p *Plugin) newLoop(ctx context.Context) (*loop, error) {
	l := &loop{
		plugin: p, inst: p.newInstance(),
		waits: make(chan struct{}), next: make(chan []byte), ended: make(chan struct{}),
	}
	call := host.New(p.input(ctx, abi.HookLoad, nil))
	l.inst.begin(ctx, p.loadBudget, nil)
	config := p.moduleConfig(l.inst).WithStdin(l).WithStdout((*loopOutput)(l))
	if err := l.inst.instantiate(ctx, config, call); err != nil {
		l.inst.discard()
		return nil, p.failure(ctx, "", l.inst, err)
	}
	l.cc = l.inst.context(context.Background(), call)
	go l.live()
	if err := l.load(ctx, call); err != nil {
		l.discard()
		return nil, err
	}
	return l, nil
}

// live runs the guest to its end.
func (l *loop) live() {
	defer close(l.ended)
	for _, name := range []string{l.plugin.code.start, startFunction} {
		if name == "" {
			continue
		}
		if l.err = l.inst.mod.ExportedFunction(name).CallWithStack(l.cc, nil); l.err != nil {
			return
		}
	}
	l.err = sys.NewExitError(0)
}

// load asks on_load, once the guest waits for it.
func (l *loop) load(ctx context.Context, call *host.Call) error {
	if err := l.wait(ctx, abi.HookLoad); err != nil {
		return err
	}
	config, _ := call.Config()
	l.inst.random.real = l.plugin.entropy()
	if err := l.ask(ctx, abi.HookLoad, loopFrame{Hook: abi.HookLoad, ABI: abi.Version, Config: config}, nil); err != nil {
		return err
	}
	p, a := l.plugin, l.answer
	if a.Refuse != "" {
		return &Error{Plugin: p.name, Hook: abi.HookLoad, Kind: KindLoad, Detail: "refused to start: " + cut(a.Refuse)}
	}
	hooks := a.Hooks
	if hooks == nil {
		hooks = []string{abi.HookMessage}
	}
	for _, hook := range hooks {
		if hook == abi.HookLoad || !slices.Contains(abi.Hooks[:], hook) {
			return &Error{Plugin: p.name, Hook: abi.HookLoad, Kind: KindLoad,
				Detail: fmt.Sprintf("wants to be asked %q, which is no hook; hooks are %s", cut(hook), strings.Join(abi.Hooks[1:], ", "))}
		}
	}
	return p.subscribe(inOrder(hooks), a.Message != nil && !*a.Message)
}

// inOrder is hooks in the order of a message's life, each once: whatever stands
// in the list is asked.
func inOrder(hooks []string) []string {
	return slices.DeleteFunc(slices.Clone(abi.Hooks[:]), func(hook string) bool { return !slices.Contains(hooks, hook) })
}

// subscribe notes what the first of a plugin's loops wants to be asked. The
// others must want the same.
func (p *Plugin) subscribe(hooks []string, quiet bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hooks == nil {
		p.hooks, p.quiet = hooks, quiet
		return nil
	}
	if !slices.Equal(p.hooks, hooks) || p.quiet != quiet {
		return &Error{Plugin: p.name, Hook: abi.HookLoad, Kind: KindLoad, Detail: "wants other hooks than when it was loaded"}
	}
	return nil
}

// run implements [worker].
func (l *loop) run(ctx context.Context, hook string, call *host.Call) (int32, error) {
	l.cc.guest.Call = call
	defer func() { l.cc.guest.Call = nil }()
	l.inst.begin(ctx, l.plugin.budget, l.plugin.entropy())
	f := loopFrame{Hook: hook}
	f.Context, _ = call.CtxJSON()
	if sender, e := call.SenderGet(); e == abi.OK {
		f.Sender, f.Recipients = &sender, addresses(call)
	}
	var message []byte
	if size := call.MsgSize(); size > 0 && !l.plugin.quiet {
		message = make([]byte, size)
		if n := call.MsgRead(0, message); int64(n) != size {
			message = nil
		}
	}
	if err := l.ask(ctx, hook, f, message); err != nil {
		return 0, err
	}
	verdict, err := l.answer.take(call, l.octets)
	l.octets, l.written = nil, nil // a loop that waits keeps no message
	if err != nil {
		return 0, &Error{Plugin: l.plugin.name, Hook: hook, Kind: KindVerdict, Detail: cut(err.Error()), Err: err}
	}
	return int32(verdict), nil
}

// ask gives the guest a frame, and waits for its answer and until the guest
// wants another one. The guest ends when its budget does, so this does too.
func (l *loop) ask(ctx context.Context, hook string, f loopFrame, message []byte) error {
	text, err := json.Marshal(f)
	if err != nil {
		return &Error{Plugin: l.plugin.name, Hook: hook, Kind: KindInput, Detail: cut(err.Error()), Err: err}
	}
	l.answer, l.octets, l.written = nil, nil, nil
	select {
	case l.next <- frame{text, message}.encode():
	case <-l.ended:
	}
	if err := l.wait(ctx, hook); err != nil {
		return err
	}
	if l.answer == nil {
		return l.wrong(hook, errUnanswered)
	}
	return nil
}

// wait waits until the guest wants a frame. If it ends instead, that is the
// error.
func (l *loop) wait(ctx context.Context, hook string) error {
	select {
	case <-l.waits:
		return nil
	case <-l.ended:
		if l.invalid != nil {
			return l.wrong(hook, l.invalid)
		}
		return l.plugin.failure(ctx, hook, l.inst, l.err)
	}
}

func (l *loop) wrong(hook string, err error) error {
	return &Error{Plugin: l.plugin.name, Hook: hook, Kind: KindVerdict, Detail: cut(err.Error()), Err: err}
}

// Read implements [io.Reader]: it is the guest's stdin.
func (l *loop) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	l.inst.gauge.look()
	if len(l.input) == 0 {
		l.waits <- struct{}{}
		var ok bool
		if l.input, ok = <-l.next; !ok {
			panic(errStopped)
		}
	}
	n := copy(p[:min(len(p), maxRead)], l.input)
	l.input = l.input[n:]
	l.inst.gauge.copied(n)
	return n, nil
}

// loopOutput is a loop as the guest's stdout.
type loopOutput loop

// Write implements [io.Writer]. It does the calls that are in what the guest
// writes, and keeps its answer.
func (o *loopOutput) Write(p []byte) (int, error) {
	l := (*loop)(o)
	l.inst.gauge.copied(len(p))
	l.written = append(l.written, p...)
	for {
		f, n, err := parseFrame(l.written, host.DefaultBlobOctets)
		if err != nil {
			l.fail(err)
		}
		if n == 0 {
			return len(p), nil
		}
		if err := l.take(f); err != nil {
			l.fail(err)
		}
		l.written = l.written[n:]
	}
}

// fail ends the guest for what it wrote.
func (l *loop) fail(err error) {
	l.invalid = err
	panic(err)
}

// take does what a frame of the guest says.
func (l *loop) take(f frame) error {
	if l.answer != nil {
		return errors.New("wrote more after its answer")
	}
	l.inst.gauge.charge(costJSON * int64(len(f.json)))
	var a loopAnswer
	if err := object(f.json, &a); err != nil {
		return err
	}
	if a.Call == "" {
		l.answer, l.octets = &a, slices.Clone(f.octets)
		return nil
	}
	if len(l.input) > maxCapacity {
		return fmt.Errorf("called %s before it read what the calls before it gave", cut(a.Call))
	}
	answer, err := l.plugin.remote(&l.cc.guest, a.Call, a.Args, f.octets)
	if err != nil {
		return fmt.Errorf("call of %s: %w", cut(a.Call), err)
	}
	l.input = append(l.input, answer.encode()...)
	return nil
}

// take puts an answer into a call, as if a native plugin had said it.
func (a *loopAnswer) take(call *host.Call, octets []byte) (abi.Verdict, error) {
	if a.Error != "" {
		return 0, errors.New(a.Error)
	}
	verdict, err := verdictOf(a.Verdict)
	if err != nil {
		return 0, err
	}
	if r := a.Reply; r != nil {
		if e := call.Reply(r.Code, r.Enhanced, r.Text); e != abi.OK {
			return 0, fmt.Errorf("reply %d %s cannot be given: %w", r.Code, r.Enhanced, e)
		}
	}
	if a.Reason != "" {
		if e := call.Quarantine(a.Reason); e != abi.OK {
			return 0, fmt.Errorf("reason cannot be given: %w", e)
		}
	}
	if len(octets) == 0 {
		return verdict, nil
	}
	return verdict, replace(call, octets)
}

// verdictOf reads a verdict's word.
func verdictOf(word string) (abi.Verdict, error) {
	if word == "" {
		return abi.Continue, nil
	}
	for v := range abi.LastVerdict + 1 {
		if v.String() == word {
			return v, nil
		}
	}
	return 0, fmt.Errorf("answered %q, which is no verdict", word)
}

// usage implements [worker].
func (l *loop) usage() mail.Usage { return l.inst.usage() }

// settle implements [worker].
func (l *loop) settle() error {
	select {
	case <-l.ended:
		return l.err
	default:
		return nil
	}
}

// discard implements [worker].
func (l *loop) discard() {
	close(l.next)
	<-l.ended
	l.inst.discard()
}

var _ io.Reader = (*loop)(nil)
