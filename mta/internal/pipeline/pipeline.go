// Package pipeline asks the stages about a message, one after the other, and
// combines their verdicts into one. What a stage is made of is the caller's:
// here it is a guest that answers.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// hookMessage is the hook that stages are asked by: the whole message is
// there, the reply to the end of DATA is not.
const hookMessage = "on_message"

// DefaultTimeout is how long a stage may take that does not say: a client waits
// ten minutes for the reply (RFC 5321 §4.5.3.2.6), and a pipeline has several
// stages.
const DefaultTimeout = 10 * time.Second

// A Guest answers for a stage. What it edits is in tx when it returns; with an
// error, tx is as it was.
type Guest interface {
	Handle(ctx context.Context, hook string, tx *mail.Transaction) (mail.Answer, error)
}

// A Condition tells whether a stage is to be asked.
type Condition interface {
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
	Name    string
	Guest   Guest
	When    Condition     // nil: always
	Timeout time.Duration // of all that the guest does, waiting included; zero: DefaultTimeout
	OnError OnError
}

// An Observer counts what stages did. outcome is a verdict's word, "skipped"
// (its condition does not hold) or "failed".
type Observer interface {
	Staged(stage, outcome string, took time.Duration)
}

// A Pipeline is the stages in their order. Safe for concurrent use; its fields
// do not change once it is in use.
type Pipeline struct {
	Stages   []Stage
	Log      *slog.Logger // nil: no log
	Observer Observer     // nil: nobody counts
}

// Check asks the stages about tx, each seeing what the one before left. The
// verdict is one of
//
//   - Accept: queue it, with the edits that are in tx;
//   - Quarantine: the same, and tx.Hold says why it is to be held;
//   - Discard: answer 250 and drop it;
//   - Reject, Defer, Disconnect: the error is the [*smtp.Reply] to give.
func (p *Pipeline) Check(ctx context.Context, tx *mail.Transaction) (mail.Verdict, error) {
	for i := range p.Stages {
		verdict, reply := p.stage(ctx, &p.Stages[i], tx)
		switch {
		case reply != nil:
			return verdict, reply
		case verdict == mail.Discard:
			return verdict, nil
		case verdict == mail.Accept:
			return p.end(tx)
		}
	}
	return p.end(tx)
}

// end is the verdict on a message that no stage refused.
func (p *Pipeline) end(tx *mail.Transaction) (mail.Verdict, error) {
	switch {
	case len(tx.Envelope.Recipients) == 0:
		p.logger().Info("judged", "queue_id", tx.ID, "verdict", mail.Discard.String(), "reason", "no recipient is left")
		return mail.Discard, nil
	case tx.Hold != "":
		return mail.Quarantine, nil
	}
	return mail.Accept, nil
}

// stage asks one stage. The verdict is Continue, Accept, Discard, or one with
// a reply.
func (p *Pipeline) stage(ctx context.Context, s *Stage, tx *mail.Transaction) (mail.Verdict, *smtp.Reply) {
	began := time.Now()
	before := snapshot(tx)
	answer, asked, err := s.ask(ctx, tx)
	var reply *smtp.Reply
	if err == nil && asked {
		reply, err = replyTo(answer, tx.Envelope.UTF8)
	}
	took := time.Since(began)
	if err != nil {
		before.restore(tx)
		p.observe(s.Name, "failed", took)
		p.logFailure(s.Name, tx, err)
		return s.failed(ctx, tx)
	}
	if !asked {
		p.observe(s.Name, "skipped", took)
		return mail.Continue, nil
	}
	p.observe(s.Name, answer.Verdict.String(), took)
	p.logVerdict(s.Name, tx, &answer, reply)
	if answer.Verdict == mail.Quarantine || answer.Reason != "" && reply == nil {
		hold(tx, s.Name, answer.Reason)
	}
	if answer.Verdict == mail.Quarantine {
		return mail.Continue, reply // the other stages still run: it may be released
	}
	return answer.Verdict, reply
}

// ask runs the condition and the guest. Neither can panic out of here.
func (s *Stage) ask(ctx context.Context, tx *mail.Transaction) (answer mail.Answer, asked bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &panicError{value: r, stack: debug.Stack()}
		}
	}()
	if s.When != nil {
		match, err := s.When.Match(tx)
		if err != nil {
			return mail.Answer{}, false, fmt.Errorf("condition: %w", err)
		}
		if !match {
			return mail.Answer{}, false, nil
		}
	}
	timeout := s.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err = s.Guest.Handle(ctx, hookMessage, tx)
	return answer, true, err
}

// panicError is a bug of ours in a stage.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// failed is what becomes of a message whose stage failed.
func (s *Stage) failed(ctx context.Context, tx *mail.Transaction) (mail.Verdict, *smtp.Reply) {
	if ctx.Err() != nil { // not the stage's fault: the session or the server ends
		return mail.Defer, errLocal
	}
	switch s.OnError {
	case Skip:
		return mail.Continue, nil
	case Reject:
		return mail.Reject, errFailed
	case Quarantine:
		hold(tx, s.Name, "stage "+s.Name+" failed")
		return mail.Continue, nil
	}
	return mail.Defer, errLocal
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

func (p *Pipeline) logFailure(stage string, tx *mail.Transaction, err error) {
	log := p.logger()
	if e, ok := errors.AsType[*panicError](err); ok {
		log = log.With("stack", string(e.stack))
	}
	log.Error("plugin failed", "queue_id", tx.ID, "stage", stage, "err", err.Error())
}

// logVerdict says which stage decided a message's fate; what became of it is
// logged by who sees to that.
func (p *Pipeline) logVerdict(stage string, tx *mail.Transaction, a *mail.Answer, reply *smtp.Reply) {
	if a.Verdict == mail.Continue && a.Reason == "" {
		return
	}
	attrs := []any{"queue_id", tx.ID, "stage", stage, "verdict", a.Verdict.String()}
	if reply != nil {
		attrs = append(attrs, "reply", reply.Error())
	}
	if a.Reason != "" {
		attrs = append(attrs, "reason", a.Reason)
	}
	p.logger().Info("judged", attrs...)
}

func (p *Pipeline) logger() *slog.Logger {
	if p.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return p.Log
}

func (p *Pipeline) observe(stage, outcome string, took time.Duration) {
	if p.Observer != nil {
		p.Observer.Staged(stage, outcome, took)
	}
}

// A state is what a transaction was before a stage.
type state struct {
	envelope mail.Envelope
	content  mail.Content
	notes    map[string]string
	hold     string
}

func snapshot(tx *mail.Transaction) state {
	s := state{envelope: tx.Envelope, content: tx.Content, notes: maps.Clone(tx.Notes), hold: tx.Hold}
	s.envelope.Recipients = slices.Clone(tx.Envelope.Recipients)
	return s
}

func (s state) restore(tx *mail.Transaction) {
	tx.Envelope, tx.Content, tx.Notes, tx.Hold = s.envelope, s.content, s.notes, s.hold
}
