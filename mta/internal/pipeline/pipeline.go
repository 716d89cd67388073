// Package pipeline asks the stages about a session and its messages, one after
// the other, and combines their verdicts into one. What a stage is made of is
// the caller's: here it is a guest that answers.
package pipeline

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// DefaultTimeout is how long a stage may take that does not say: a client waits
// ten minutes for the reply (RFC 5321 §4.5.3.2.6), and a pipeline has several
// stages.
const DefaultTimeout = 10 * time.Second

// A Guest answers for a stage. What it edits is in tx when it returns; with an
// error, tx is as it was. An error that has a method `PluginFault() bool` which
// returns false says that the plugin is not to blame.
type Guest interface {
	Handle(ctx context.Context, hook string, tx *mail.Transaction) (mail.Answer, error)
}

// A Condition tells whether a stage is to be asked.
type Condition interface {
	// Known tells whether all that the condition speaks of is known when a
	// hook is asked. Before that the stage is not asked.
	Known(hook string) bool
	Match(tx *mail.Transaction) (bool, error)
}

// OnError is what becomes of a message whose stage failed.
type OnError string

const (
	Defer      OnError = "defer"      // 451; the zero value's meaning
	Skip       OnError = "skip"       // as if the stage were not there
	Reject     OnError = "reject"     // 554
	Quarantine OnError = "quarantine" // accepted, and held for the operator
)

// A Stage is one entry of the pipeline.
type Stage struct {
	Name    string // no other stage has it
	Guest   Guest
	Hooks   []string      // those that the guest has; nil: on_message alone
	When    Condition     // nil: always
	Timeout time.Duration // of all that the guest does, waiting included; zero: DefaultTimeout
	OnError OnError
	Breaker Breaker // the zero Breaker never trips
}

// An Observer counts what stages did. Safe for concurrent use.
type Observer interface {
	// Staged is called for each time that a stage is reached. outcome is a
	// verdict's word, "skipped" (its condition does not hold), "failed", or
	// "tripped" (it failed too often, and was not asked).
	Staged(stage, outcome string, took time.Duration)
	// Tripped says that a stage is not asked from now on, or is again.
	Tripped(stage string, tripped bool)
}

// A Pipeline is the stages in their order. Safe for concurrent use; its fields
// do not change once it is in use.
type Pipeline struct {
	Stages   []Stage
	Hostname string       // in what plugins send
	Log      *slog.Logger // nil: no log
	Observer Observer     // nil: nobody counts
	Tracer   Tracer       // nil: nobody watches

	once  sync.Once
	asked map[string][]*member // the stages that have a hook, by its name
	steps []step               // of Check
}

// A member is a stage with what it remembers.
type member struct {
	*Stage
	breaker *breaker // nil: there is none
}

// A step is one question of Check.
type step struct {
	hook string
	m    *member
}

func (p *Pipeline) setup() {
	p.once.Do(func() {
		p.asked = map[string][]*member{}
		for i := range p.Stages {
			s := &p.Stages[i]
			m := &member{Stage: s, breaker: newBreaker(s.Breaker)}
			hooks := s.Hooks
			if hooks == nil {
				hooks = []string{mail.HookMessage}
			}
			for _, hook := range hooks {
				p.asked[hook] = append(p.asked[hook], m)
			}
		}
		for _, hook := range [...]string{mail.HookHeaders, mail.HookMessage} {
			for _, m := range p.asked[hook] {
				p.steps = append(p.steps, step{hook, m})
			}
		}
	})
}

// Asks tells whether any stage has a hook.
func (p *Pipeline) Asks(hook string) bool {
	p.setup()
	return len(p.asked[hook]) > 0
}

// Ask asks the stages that have one of the hooks before the content. What they
// edit is in tx. The verdict is one of
//
//   - Continue: go on. A stage that accepted has kept the later ones from being
//     asked this hook, and nothing else;
//   - Discard: answer as if all were well, and drop the message, or the
//     recipient in question; of a message tx.Discard says so too;
//   - Reject, Defer, Disconnect: the error is the [*smtp.Reply] to give.
func (p *Pipeline) Ask(ctx context.Context, hook string, tx *mail.Transaction) (mail.Verdict, error) {
	p.setup()
	if tx.Discard {
		return mail.Continue, nil // whatever is said of it now
	}
	for _, m := range p.asked[hook] {
		r := p.stage(ctx, step{hook, m}, tx)
		switch {
		case r.reply != nil:
			return r.verdict, r.reply
		case r.verdict == mail.Discard:
			tx.Discard = tx.Discard || hook != mail.HookRcpt
			return mail.Discard, nil
		case r.verdict == mail.Accept:
			return mail.Continue, nil
		}
	}
	return mail.Continue, nil
}

// AskQueued asks the stages that have one of the hooks behind the queue about
// what is in tx. What they say of its recipients, and of the content of a DSN,
// is in tx. The verdict is one of
//
//   - Continue: go on. tx.Hold may say why the message is to be held;
//   - Discard: drop what is in tx;
//   - Reject, Defer: the error is the [*smtp.Reply] to report of all recipients.
//
// sends is what they originate, whatever the verdict.
func (p *Pipeline) AskQueued(ctx context.Context, hook string, tx *mail.Transaction) (v mail.Verdict, sends []*mail.Transaction, err error) {
	p.setup()
	c := &passage{p: p, root: tx}
	for _, m := range p.asked[hook] {
		s := step{hook, m}
		r := p.stage(ctx, s, tx)
		c.originate(s, r.sends)
		switch {
		case r.reply != nil:
			return r.verdict, c.sends, r.reply
		case r.verdict == mail.Discard:
			return mail.Discard, c.sends, nil
		case r.verdict == mail.Accept:
			return mail.Continue, c.sends, nil
		}
	}
	return mail.Continue, c.sends, nil
}

func (p *Pipeline) logger() *slog.Logger {
	if p.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return p.Log
}
