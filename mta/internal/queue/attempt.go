package queue

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

const (
	// maxAttempt is how long one attempt may take in all: 50 MiB at 14 kB/s.
	maxAttempt = time.Hour

	// maxFailures is how often in a row an attempt may panic, or find its
	// content unreadable, before the entry is set aside.
	maxFailures = 3

	// maxUpdateWait is the longest wait between two tries to write down what
	// came of an attempt.
	maxUpdateWait = 30 * time.Second
)

// attempt makes one try at an entry, for all recipients without an outcome, and
// settles what comes of it.
func (q *Queue) attempt(ctx context.Context, t task) {
	e := t.entry
	tried, cancel := context.WithTimeout(ctx, maxAttempt)
	defer cancel()
	q.begin(e, cancel)
	defer q.end(e)

	content, results, err := q.deliver(tried, t)
	if ctx.Err() != nil && err == nil && undone(results) {
		q.giveBack(context.WithoutCancel(ctx), e) // cut off: not the peer's fault, so no attempt
		return
	}
	q.settle(ctx, e, content, results, err)
}

// undone tells whether nothing came of an attempt for any recipient, not even a
// reply.
func undone(results []mail.Result) bool {
	for _, r := range results {
		if r.Outcome != "" && r.Outcome != mail.Deferred || r.Peer {
			return false
		}
	}
	return true
}

// deliver calls the deliverer. The error is ours: content that cannot be read,
// or a deliverer that panicked; it says nothing about the recipients.
func (q *Queue) deliver(ctx context.Context, t task) (content mail.Content, results []mail.Result, err error) {
	content = t.content
	if content == nil {
		if content, err = q.Store.Content(ctx, t.entry.ID); err != nil {
			return nil, nil, fmt.Errorf("read content: %w", err)
		}
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the attempt panicked: %v", p)
			q.Log.Error("attempt panicked", "queue_id", t.entry.ID, "err", p, "stack", string(debug.Stack()))
		}
	}()
	results = q.Deliverer.Deliver(ctx, t.entry.message(content))
	return content, results, nil
}

// settle draws the consequences of an attempt: DSNs first, then the entry. In
// this order a crash doubles a DSN and never loses one.
func (q *Queue) settle(ctx context.Context, e *Entry, content mail.Content, results []mail.Result, failure error) {
	now := time.Now()
	e.Attempts++
	if failure != nil {
		e.Failures++
	} else {
		e.Failures = 0
	}
	// A message is not returned because our own disk cannot be read: it is held
	// in the end.
	expired := !now.Before(e.Received.Add(q.ExpireAfter)) && failure == nil
	s := sort(e, results, failure, expired)
	q.notify(context.WithoutCancel(ctx), e, content, s, now)
	q.reschedule(e, s, now)
	q.logSettled(e, s, now)

	e.Done += len(e.Envelope.Recipients) - len(s.keep)
	e.Last = e.Last[:0:0]
	rcpts := make([]mail.Recipient, 0, len(s.keep))
	for _, o := range s.keep {
		rcpts = append(rcpts, o.rcpt)
		e.Last = append(e.Last, o.last(now))
	}
	e.Envelope.Recipients = rcpts
	if e.Failures >= maxFailures {
		e.Held = failure.Error()
		q.logHeld(e)
	}
	q.store(ctx, e)
}

// reschedule sets when e is due next: by the schedule, and at the latest when
// it expires.
func (q *Queue) reschedule(e *Entry, s *sorted, now time.Time) {
	if len(s.keep) == 0 {
		return
	}
	e.Due = now.Add(jittered(q.Schedule.wait(e.Attempts), q.Random()))
	if end := e.Received.Add(q.ExpireAfter); end.After(now) && e.Due.After(end) {
		e.Due = end
	}
}

// store writes down what came of an attempt. While the store fails it tries
// again: giving up would repeat the attempt for recipients that are done. Only
// the end of the process ends it, and then repeating is what is left.
func (q *Queue) store(ctx context.Context, e *Entry) {
	for wait := time.Second; ; wait = min(2*wait, maxUpdateWait) {
		err := q.write(context.WithoutCancel(ctx), e)
		switch {
		case err == nil:
			return
		case errors.Is(err, ErrLease):
			q.Log.Warn("lease lost", "queue_id", e.ID, "err", err)
			return
		}
		q.Log.Error("queue store", "queue_id", e.ID, "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (q *Queue) write(ctx context.Context, e *Entry) error {
	if len(e.Envelope.Recipients) == 0 {
		return q.Store.Remove(ctx, e)
	}
	err := q.Store.Update(ctx, e)
	if err == nil {
		q.poke()
	}
	return err
}

// An outcome is a recipient and what the attempt said of it.
type outcome struct {
	rcpt   mail.Recipient
	result mail.Result // Outcome is one of the constants
}

func (o *outcome) last(now time.Time) Attempt {
	r := o.result
	a := Attempt{At: now, NextHop: r.NextHop, Code: r.Code, Enh: r.Enh, Text: r.Text, Peer: r.Peer}
	if r.Err != nil {
		a.Error = r.Err.Error()
	}
	return a
}

// sorted is what came of an attempt.
type sorted struct {
	done []outcome // delivered or relayed
	fail []outcome // bounced or expired
	keep []outcome // to be tried again
}

// sort gives every recipient of e its outcome. Whatever is not known to be
// final is deferred, and what is deferred too long is expired.
func sort(e *Entry, results []mail.Result, failure error, expired bool) *sorted {
	s := &sorted{}
	for i, rcpt := range e.Envelope.Recipients {
		o := outcome{rcpt: rcpt, result: mail.Result{Err: failure}}
		if failure == nil && i < len(results) {
			o.result = results[i]
		}
		switch o.result.Outcome {
		case mail.Delivered, mail.Relayed:
			s.done = append(s.done, o)
		case mail.Bounced, mail.Expired:
			s.fail = append(s.fail, o)
		default:
			o.result.Outcome = mail.Deferred
			if expired {
				o.result.Outcome = mail.Expired
				s.fail = append(s.fail, o)
			} else {
				s.keep = append(s.keep, o)
			}
		}
	}
	return s
}
