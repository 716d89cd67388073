// Package postqueue asks the stages about messages that are safe: once before
// the first attempt, around each attempt, and about DSNs. When that is, and
// what becomes of a message, is the queue's decision; how a message travels is
// the deliverer's.
package postqueue

import (
	"context"
	"errors"
	"slices"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// Stages are asked. They are those that have one of the hooks behind the queue,
// and those that are asked with on_headers and on_message after the queue.
type Stages interface {
	Asks(hook string) bool
	Check(ctx context.Context, tx *mail.Transaction) (mail.Verdict, error)
	AskQueued(ctx context.Context, hook string, tx *mail.Transaction) (mail.Verdict, []*mail.Transaction, error)
}

// Hooks are what the queue asks. The zero value is not ready for use.
type Hooks struct{ Stages Stages }

// Reviews tells whether a stage is asked after the queue.
func (h Hooks) Reviews() bool {
	return h.Stages.Asks(mail.HookHeaders) || h.Stages.Asks(mail.HookMessage)
}

// Review asks the stages that are asked after the queue. The verdicts are those
// of [Stages].Check, as the pipeline has them.
func (h Hooks) Review(ctx context.Context, tx *mail.Transaction) (mail.Verdict, error) {
	tx.Queued = true
	return h.Stages.Check(ctx, tx)
}

// Notice asks on_dsn about a DSN. A stage that fails does not keep it: it is
// the last that a sender hears of a message. Then it goes as it was before that
// stage.
func (h Hooks) Notice(ctx context.Context, tx *mail.Transaction) mail.Verdict {
	if !h.Stages.Asks(mail.HookDSN) {
		return mail.Continue
	}
	tx.Queued = true
	verdict, _, err := h.Stages.AskQueued(ctx, mail.HookDSN, tx)
	switch {
	case err != nil: // it is logged
		return mail.Continue
	case verdict == mail.Discard:
		return mail.Discard
	case tx.Hold != "":
		return mail.Quarantine
	}
	return mail.Continue
}

// A Deliverer asks the stages before and after each attempt that the next
// deliverer makes:
//
//   - on_route, about all recipients: a stage may refuse, defer, discard,
//     postpone or route them, or hold the message;
//   - on_local, about those that come down to a mailbox here: a stage may
//     refuse, defer or discard them, and name the folder;
//   - on_delivery, about all, with what came of it: a stage may have those that
//     are deferred tried at another time, or not again.
//
// What a stage says holds for one attempt; the next one asks again. The notes
// that it leaves are kept. Safe for concurrent use.
type Deliverer struct {
	Next   mail.Deliverer
	Stages Stages
	// Local is the account whose mailbox the mail of a path comes down to;
	// empty if there is none here.
	Local func(p mail.Path) (account string)
}

var _ mail.Deliverer = (*Deliverer)(nil)

// Deliver implements [mail.Deliverer].
func (d *Deliverer) Deliver(ctx context.Context, m *mail.Message) []mail.Result {
	a := &attempt{d: d, m: m, results: make([]mail.Result, len(m.Envelope.Recipients)), content: m.Content}
	a.decided = make([]bool, len(a.results))
	a.before(ctx, mail.HookRoute, a.open())
	a.before(ctx, mail.HookLocal, a.local())
	a.deliver(ctx)
	if ctx.Err() == nil { // else the server stops, and nothing came of it
		a.after(ctx)
	}
	return a.results
}

// An attempt is one call of Deliver.
type attempt struct {
	d       *Deliverer
	m       *mail.Message
	results []mail.Result
	decided []bool       // those that a stage has kept from being delivered
	content mail.Content // as the stages see it: parsed once
}

// open are the recipients that a stage may still decide on, by their places.
// Those that were refused before the queue are none of them.
func (a *attempt) open() (places []int) {
	for i := range a.m.Envelope.Recipients {
		if !a.decided[i] && a.m.Envelope.Recipients[i].Refused == nil {
			places = append(places, i)
		}
	}
	return places
}

// local are those of open that have a mailbox here.
func (a *attempt) local() (places []int) {
	if !a.d.Stages.Asks(mail.HookLocal) {
		return nil
	}
	for _, i := range a.open() {
		if rcpt := &a.m.Envelope.Recipients[i]; a.resolve(rcpt) {
			places = append(places, i)
		}
	}
	return places
}

// resolve notes the account that a recipient comes down to.
func (a *attempt) resolve(rcpt *mail.Recipient) (ok bool) {
	switch {
	case rcpt.Deliver != nil && rcpt.Deliver.Account != "":
		rcpt.Resolved = rcpt.Deliver.Account
	case rcpt.Route == nil:
		rcpt.Resolved = a.d.Local(rcpt.Path)
	}
	return rcpt.Resolved != ""
}

// ask asks a hook about some recipients. It returns what is then said of them.
func (a *attempt) ask(ctx context.Context, hook string, places []int) (*mail.Transaction, mail.Verdict, error) {
	m := a.m
	tx := &mail.Transaction{
		ID: m.ID, Received: m.Received, Client: m.Client, Envelope: m.Envelope, Content: a.content,
		Queued: true, Attempts: m.Attempts, QueuedNotes: m.Notes,
	}
	rcpts := make([]mail.Recipient, len(places))
	for k, i := range places {
		rcpts[k] = m.Envelope.Recipients[i]
	}
	tx.Envelope.Recipients = slices.Clone(rcpts)
	verdict, sends, err := a.d.Stages.AskQueued(ctx, hook, tx)
	if len(tx.Envelope.Recipients) != len(places) { // which the ABI does not have
		tx.Envelope.Recipients = rcpts
		return tx, mail.Defer, errors.New("a stage added or removed recipients at " + hook)
	}
	a.content, m.Notes = tx.Content, tx.QueuedNotes
	m.Sends = append(m.Sends, sends...)
	return tx, verdict, err
}

// before asks a hook ahead of the delivery, and takes what it says.
func (a *attempt) before(ctx context.Context, hook string, places []int) {
	if len(places) == 0 || !a.d.Stages.Asks(hook) {
		return
	}
	tx, verdict, err := a.ask(ctx, hook, places)
	for k, i := range places {
		old, rcpt := &a.m.Envelope.Recipients[i], &tx.Envelope.Recipients[k]
		if r, ok := decision(tx, verdict, err, old, rcpt); ok {
			r.Failed = tx.Failed
			a.results[i], a.decided[i] = r, true
			continue
		}
		old.Route, old.Deliver = rcpt.Route, rcpt.Deliver
	}
}

// decision is the result of a recipient that is not to be delivered; ok is
// false for one that is.
func decision(tx *mail.Transaction, verdict mail.Verdict, err error, old, rcpt *mail.Recipient) (r mail.Result, ok bool) {
	r = mail.Result{Outcome: mail.Deferred, RetryAt: rcpt.RetryAt}
	switch {
	case err != nil:
		refuse(&r, err)
	case verdict == mail.Discard:
		r.Outcome = mail.Discarded
	case tx.Hold != "":
		r.Hold, r.Text = tx.Hold, "Held: "+tx.Hold
	case rcpt.Refused != nil:
		refuse(&r, replyOf(rcpt.Refused))
	case !rcpt.RetryAt.Equal(old.RetryAt):
		r.Text = "Postponed by local policy"
	default:
		return r, false
	}
	return r, true
}

// refuse gives a result the words of a stage. What is no reply is deferred.
func refuse(r *mail.Result, err error) {
	reply, ok := errors.AsType[*smtp.Reply](err)
	if !ok {
		r.Err = err
		return
	}
	r.Code, r.Enh, r.Text, r.Peer = reply.Code, reply.Enh.String(), reply.Text, false
	if reply.Code >= 500 {
		r.Outcome = mail.Bounced
	}
}

func replyOf(f *mail.Refusal) *smtp.Reply {
	enh, _ := smtp.ParseEnh(f.Enh)
	return &smtp.Reply{Code: f.Code, Enh: enh, Text: f.Text}
}

// deliver has the next deliverer attempt the recipients that are left.
func (a *attempt) deliver(ctx context.Context) {
	part := *a.m
	part.Sends, part.Envelope.Recipients = nil, nil
	var places []int
	for i, rcpt := range a.m.Envelope.Recipients {
		if !a.decided[i] {
			places = append(places, i)
			part.Envelope.Recipients = append(part.Envelope.Recipients, rcpt)
		}
	}
	if len(places) == 0 {
		return
	}
	part.Progress = a.m.Progress.Of(places)
	for k, r := range a.d.Next.Deliver(ctx, &part) {
		a.results[places[k]] = r
	}
}

// after tells on_delivery what came of the attempt, and takes what it says of
// those that are deferred.
func (a *attempt) after(ctx context.Context) {
	if !a.d.Stages.Asks(mail.HookDelivery) {
		return
	}
	all := make([]int, len(a.results))
	for i := range a.results {
		r := a.results[i]
		if r.Outcome == "" {
			r.Outcome = mail.Deferred
		}
		rcpt := &a.m.Envelope.Recipients[i]
		all[i], rcpt.Last, rcpt.RetryAt, rcpt.Refused = i, &r, r.RetryAt, nil
		a.resolve(rcpt)
	}
	tx, verdict, err := a.ask(ctx, mail.HookDelivery, all)
	for i := range a.results {
		r, rcpt := &a.results[i], &tx.Envelope.Recipients[i]
		if r.Outcome != mail.Deferred && r.Outcome != "" {
			continue
		}
		r.RetryAt = rcpt.RetryAt
		switch {
		case verdict == mail.Reject:
			refuse(r, err)
		case rcpt.Refused != nil && rcpt.Refused.Code >= 500:
			refuse(r, replyOf(rcpt.Refused))
		case tx.Hold != "":
			r.Hold = tx.Hold
		}
	}
}
