package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// A result is what came of one stage. The verdict is Continue, Accept,
// Discard, or one with a reply.
type result struct {
	verdict  mail.Verdict
	reply    *smtp.Reply
	variants []*mail.Transaction
	sends    []*mail.Transaction
}

// An outcome is how far asking a stage came.
type outcome int

const (
	skipped outcome = iota // its condition does not hold, or cannot be judged yet
	tripped                // it failed too often lately
	asked
)

// stage asks one stage.
func (p *Pipeline) stage(ctx context.Context, s step, tx *mail.Transaction) result {
	if slices.Contains(tx.Spared, s.m.Name) {
		return result{}
	}
	began := time.Now()
	before := snapshot(tx)
	watched := p.watch(tx)
	answer, reply, how, err := p.ask(ctx, s, tx)
	took := time.Since(began)
	r := result{verdict: answer.Verdict, reply: reply, variants: answer.Variants, sends: answer.Sends}
	switch {
	case err != nil:
		before.restore(tx)
		answer = mail.Answer{Used: answer.Used}
		p.observe(s.m.Name, "failed", took)
		p.logFailure(s, tx, err)
		r = s.failed(ctx, tx)
		if r.verdict == mail.Defer && ctx.Err() == nil {
			tx.Failed = s.m.Name
		}
	case how == tripped:
		p.observe(s.m.Name, "tripped", took)
		r = s.failed(ctx, tx)
	case how == skipped:
		p.observe(s.m.Name, "skipped", took)
	default:
		p.observe(s.m.Name, answer.Verdict.String(), took)
		p.logVerdict(s, tx, &answer, reply)
		r.verdict = s.keep(tx, &answer, reply)
	}
	p.report(watched, Trace{
		Stage: s.m.Name, Hook: s.hook, Asked: how == asked, Tripped: how == tripped,
		Answer: answer, Verdict: r.verdict, Reply: r.reply, Err: err, Took: took,
	}, tx)
	return r
}

// keep notes what an answer leaves for later, and returns the verdict that the
// message goes on with.
func (s step) keep(tx *mail.Transaction, a *mail.Answer, reply *smtp.Reply) mail.Verdict {
	if a.NotAgain {
		spare(tx, s.m.Name)
		for _, v := range a.Variants {
			spare(v, s.m.Name)
		}
	}
	if a.Verdict == mail.Quarantine || a.Reason != "" && reply == nil {
		hold(tx, s.m.Name, a.Reason)
		for _, v := range a.Variants {
			hold(v, s.m.Name, a.Reason)
		}
	}
	if a.Verdict == mail.Quarantine {
		return mail.Continue // the other stages still run: it may be released
	}
	return a.Verdict
}

func spare(tx *mail.Transaction, stage string) { tx.Spared = append(tx.Spared, stage) }

// ask runs the condition and the guest. Neither can panic out of here.
func (p *Pipeline) ask(ctx context.Context, s step, tx *mail.Transaction) (answer mail.Answer, reply *smtp.Reply, how outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &panicError{value: r, stack: debug.Stack()}
		}
	}()
	if s.m.When != nil {
		match, err := s.matches(tx)
		if !match || err != nil {
			return answer, nil, skipped, err
		}
	}
	ok, probe := s.m.breaker.admit(time.Now())
	if !ok {
		return answer, nil, tripped, nil
	}
	err = errUnfinished // unless the guest returns
	defer func() { p.learn(ctx, s.m, tx, probe, err) }()
	timeout := s.m.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	timed, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if answer, err = s.m.Guest.Handle(timed, s.hook, tx); err != nil {
		return answer, nil, asked, err
	}
	if reply, err = replyTo(s.hook, answer, tx.Envelope.UTF8); err != nil {
		return answer, nil, asked, err
	}
	return answer, reply, asked, check(s.hook, tx, &answer)
}

var errUnfinished = errors.New("the stage panicked")

// matches evaluates the condition, once all that it speaks of is known.
func (s step) matches(tx *mail.Transaction) (bool, error) {
	if !s.m.When.Known(s.hook) {
		return false, nil
	}
	match, err := s.m.When.Match(tx)
	if err != nil {
		return false, fmt.Errorf("condition: %w", err)
	}
	return match, nil
}

// panicError is a bug of ours in a stage.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// failed is what becomes of a message whose stage failed.
func (s step) failed(ctx context.Context, tx *mail.Transaction) result {
	words := wordsOf(s.hook)
	if ctx.Err() != nil { // not the stage's fault: the session or the server ends
		return result{verdict: mail.Defer, reply: words.local}
	}
	switch s.m.OnError {
	case Skip:
		return result{}
	case Reject:
		return result{verdict: mail.Reject, reply: words.failed}
	case Quarantine:
		hold(tx, s.m.Name, "stage "+s.m.Name+" failed")
		return result{}
	}
	return result{verdict: mail.Defer, reply: words.local}
}

// hold sets the reason that a message is held for. The first one counts.
func hold(tx *mail.Transaction, stage, reason string) {
	if tx.Hold != "" {
		return
	}
	if reason == "" {
		reason = "quarantined by stage " + stage
	}
	tx.Hold = reason
}

func (p *Pipeline) logFailure(s step, tx *mail.Transaction, err error) {
	log := p.logger()
	if e, ok := errors.AsType[*panicError](err); ok {
		log = log.With("stack", string(e.stack))
	}
	log.Error("plugin failed", "queue_id", tx.ID, "stage", s.m.Name, "hook", s.hook, "err", err.Error())
}

// logVerdict says which stage decided a message's fate; what became of it is
// logged by who sees to that.
func (p *Pipeline) logVerdict(s step, tx *mail.Transaction, a *mail.Answer, reply *smtp.Reply) {
	if a.Verdict == mail.Continue && a.Reason == "" {
		return
	}
	attrs := []any{"queue_id", tx.ID, "stage", s.m.Name, "hook", s.hook, "verdict", a.Verdict.String()}
	if reply != nil {
		attrs = append(attrs, "reply", reply.Error())
	}
	if a.Reason != "" {
		attrs = append(attrs, "reason", a.Reason)
	}
	p.logger().Info("judged", attrs...)
}

func (p *Pipeline) observe(stage, outcome string, took time.Duration) {
	if p.Observer != nil {
		p.Observer.Staged(stage, outcome, took)
	}
}

// A state is what a transaction was before a stage. A stage may leave its
// edits in the slices and maps it finds, so those are copies.
type state struct {
	envelope                         mail.Envelope
	content                          mail.Content
	notes, sessionNotes, queuedNotes map[string]string
	hold                             string
}

func snapshot(tx *mail.Transaction) state {
	s := state{
		envelope: tx.Envelope, content: tx.Content, hold: tx.Hold,
		notes: maps.Clone(tx.Notes), sessionNotes: maps.Clone(tx.SessionNotes), queuedNotes: maps.Clone(tx.QueuedNotes),
	}
	s.envelope.Recipients = slices.Clone(tx.Envelope.Recipients)
	return s
}

func (s state) restore(tx *mail.Transaction) {
	tx.Envelope, tx.Content, tx.Hold = s.envelope, s.content, s.hold
	tx.Notes, tx.SessionNotes, tx.QueuedNotes = s.notes, s.sessionNotes, s.queuedNotes
}
