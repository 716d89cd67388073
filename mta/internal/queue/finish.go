package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// returned is what a sender hears whose message an operator returned.
const returned = "Returned by the operator"

// bounce returns the chosen recipients to the sender: as everywhere, the DSN
// comes into the store as they go.
func (o *operation) bounce(ctx context.Context, e *Entry) error {
	if e.Damaged {
		return errDamaged
	}
	content, err := o.q.Store.Content(ctx, e.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		return errGone
	case err != nil:
		return fmt.Errorf("read content: %w", err)
	}
	text := returned
	if o.order.Reason != "" {
		text += ": " + o.order.Reason
	}
	return o.finish(ctx, e, content, mail.Result{Outcome: mail.Bounced, Code: 550, Enh: "5.7.1", Text: text})
}

// drop ends the chosen recipients without a word.
func (o *operation) drop(ctx context.Context, e *Entry) error {
	if e.Damaged {
		return o.removed(ctx, e)
	}
	return o.finish(ctx, e, nil, mail.Result{Outcome: mail.Discarded})
}

// finish gives the chosen recipients an outcome, as an attempt would, and keeps
// the others as they are.
func (o *operation) finish(ctx context.Context, e *Entry, content mail.Content, r mail.Result) error {
	n := len(e.Envelope.Recipients)
	t := trial{content: content, results: make([]mail.Result, n), idle: make([]bool, n)}
	left := 0
	for i := range e.Envelope.Recipients {
		t.results[i] = r
		if t.idle[i] = !o.order.Filter.chooses(&e.Envelope.Recipients[i]); t.idle[i] {
			left++
		}
	}
	now := time.Now()
	s := sort(e, t, false)
	more := o.q.notify(context.WithoutCancel(ctx), e, content, s, now)
	if len(s.keep) > left {
		o.q.dismiss(more)
		return errUntold
	}
	done := chosen(e, s)
	o.q.conclude(e, s, now)
	if err := o.q.write(ctx, e, more); err != nil {
		o.q.dismiss(more)
		return err
	}
	if r.Outcome == mail.Bounced {
		o.q.logSettled(done, s, now)
	}
	o.q.logOperated(events[o.order.Do], o.order.Who, done)
	return nil
}

// removed removes the whole entry.
func (o *operation) removed(ctx context.Context, e *Entry) error {
	if err := o.q.Store.Remove(ctx, e); err != nil {
		return err
	}
	o.q.logOperated(events[o.order.Do], o.order.Who, e)
	return nil
}

// chosen is e with the recipients alone that have an outcome, for the log.
func chosen(e *Entry, s *sorted) *Entry {
	part := *e
	part.Envelope.Recipients = nil
	for _, all := range [][]outcome{s.done, s.fail} {
		for _, o := range all {
			part.Envelope.Recipients = append(part.Envelope.Recipients, o.rcpt)
		}
	}
	return &part
}
