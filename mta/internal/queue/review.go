package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// Hooks are asked by the queue. Safe for concurrent use.
type Hooks interface {
	// Reviews tells whether Review asks anybody.
	Reviews() bool

	// Review is asked about a message that a client handed in, once it is safe
	// and before its first attempt. The verdict is one of
	//
	//   - Accept: go on with what is in tx, and queue tx.More;
	//   - Quarantine: the same, and tx.Hold says why tx is to be held;
	//   - Discard: drop it, and queue tx.More;
	//   - anything else: the error is the [*smtp.Reply] to report. A final one
	//     returns the message, any other has it reviewed again by the schedule.
	Review(ctx context.Context, tx *mail.Transaction) (mail.Verdict, error)

	// Notice is asked about a DSN that is about to be queued. The verdict is
	// Discard: it is not to be; Quarantine: it is to be held, tx.Hold says why;
	// or anything else: it goes, with the content that is in tx.
	Notice(ctx context.Context, tx *mail.Transaction) mail.Verdict
}

// transaction is what hooks get to see.
func (e *Entry) transaction(content mail.Content) *mail.Transaction {
	tx := &mail.Transaction{
		ID: e.ID, Received: e.Received, Client: e.Client, Envelope: e.Envelope, Content: content,
		Attempts: e.Attempts, QueuedNotes: maps.Clone(e.Notes),
	}
	tx.Envelope.Recipients = slices.Clone(e.Envelope.Recipients)
	return tx
}

// A review is what came of asking about a message.
type review struct {
	content mail.Content  // to go on with
	results []mail.Result // not nil: the message goes no further in this attempt
	over    bool          // there is nothing to settle: it is held, gone or another's
}

// review asks about e, unless that was done. What the stages left is stored in
// one step before anything is done with it, so that a crash has them asked
// again about what they were asked about, or not at all.
func (q *Queue) review(ctx context.Context, e *Entry, content mail.Content) review {
	r := review{content: content}
	if q.Hooks == nil || e.Reviewed || e.SentBy != "" || !q.Hooks.Reviews() {
		e.Reviewed = true // whoever comes later is not asked about what is under way
		return r
	}
	tx := e.transaction(content)
	verdict, err := q.Hooks.Review(ctx, tx)
	switch verdict {
	case mail.Accept, mail.Quarantine:
	case mail.Discard:
		tx.Envelope.Recipients = nil
	default:
		said := refused(err)
		said.Failed = tx.Failed
		r.results = slices.Repeat([]mail.Result{said}, len(e.Envelope.Recipients))
		return r
	}
	if later := deferral(tx); later != nil {
		r.results = slices.Repeat([]mail.Result{*later}, len(e.Envelope.Recipients))
		return r
	}
	return q.replace(ctx, e, tx, r)
}

// refused is the result of a message that a stage refused.
func refused(err error) mail.Result {
	reply, ok := errors.AsType[*smtp.Reply](err)
	if !ok {
		return mail.Result{Outcome: mail.Deferred, Err: err}
	}
	return result(reply.Code, reply.Enh.String(), reply.Text)
}

func result(code int, enh, text string) mail.Result {
	r := mail.Result{Outcome: mail.Deferred, Code: code, Enh: enh, Text: text}
	if code >= 500 {
		r.Outcome = mail.Bounced
	}
	return r
}

// deferral is not nil if a recipient is refused for now. As in a session, that
// defers the message: nobody has it yet, and all are asked again.
func deferral(tx *mail.Transaction) *mail.Result {
	for _, part := range append([]*mail.Transaction{tx}, tx.More...) {
		for _, rcpt := range part.Envelope.Recipients {
			if r := rcpt.Refused; r != nil && r.Code < 500 {
				r := result(r.Code, r.Enh, r.Text)
				return &r
			}
		}
	}
	return nil
}

// replace makes e what the stages left of it.
func (q *Queue) replace(ctx context.Context, e *Entry, tx *mail.Transaction, r review) review {
	next := *e
	next.Envelope, next.Held, next.Notes, next.Reviewed, next.Last = tx.Envelope, tx.Hold, tx.QueuedNotes, true, nil
	if len(tx.More) == 0 && tx.Hold == "" && !modified(tx.Content, r.content) && reflect.DeepEqual(e.Envelope, tx.Envelope) {
		*e = next // it is stored with what comes of the attempt
		return r
	}
	more, err := q.newcomers(tx.More, tx)
	if err == nil {
		for _, n := range more {
			n.entry.Reviewed = true
		}
		if r.content, err = q.replaceBy(ctx, &next, tx.Content, more); err != nil {
			q.dismiss(more)
		}
	}
	switch {
	case errors.Is(err, ErrLease):
		q.Log.Warn("lease lost", "queue_id", e.ID, "err", err)
		r.over = true
	case err != nil: // a full disk, most likely: all is as it was
		r.results = slices.Repeat([]mail.Result{{Outcome: mail.Deferred, Err: err}}, len(e.Envelope.Recipients))
	default:
		*e = next
		for _, n := range more {
			q.welcome(ctx, n)
		}
		r.over = q.reviewed(ctx, e)
	}
	return r
}

// replaceBy stores e with another content, and more with it. It returns the
// content as it is to be delivered: in memory or from the store.
func (q *Queue) replaceBy(ctx context.Context, e *Entry, content mail.Content, more []*newcomer) (mail.Content, error) {
	e.Size, e.Lane = content.Size(), q.laneOf(e)
	inMemory := e.Size <= maxInMemory
	if inMemory {
		octets, err := mail.ReadAll(content)
		if err != nil {
			return nil, fmt.Errorf("read content of %s: %w", e.ID, err)
		}
		content = mail.Bytes(octets)
	}
	if err := q.Store.Replace(ctx, e, content, deposits(more)); err != nil {
		return nil, err
	}
	if inMemory || len(e.Envelope.Recipients) == 0 {
		return content, nil
	}
	return q.Store.Content(ctx, e.ID)
}

// reviewed logs what became of e, and tells whether that was all.
func (q *Queue) reviewed(ctx context.Context, e *Entry) (over bool) {
	switch {
	case len(e.Envelope.Recipients) == 0:
		q.Log.Info("discarded", "queue_id", e.ID, "reverse_path", orNull(e.Envelope.ReversePath), "size", e.Size)
	case e.Held != "":
		q.logHeld(e)
		q.giveBack(context.WithoutCancel(ctx), e)
	default:
		return false
	}
	return true
}

// modified tells whether now may have other octets than before.
func modified(now, before mail.Content) bool {
	if tree, ok := now.(interface{ Modified() bool }); ok {
		return tree.Modified()
	}
	a, small := now.(mail.Bytes)
	b, was := before.(mail.Bytes)
	if small || was {
		return !small || !was || !bytes.Equal(a, b)
	}
	return now != before
}
