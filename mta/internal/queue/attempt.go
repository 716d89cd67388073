package queue

import (
	"context"
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
)

// attempt makes one try at an entry, for all recipients that are due, and
// settles what comes of it.
func (q *Queue) attempt(ctx context.Context, t task) {
	e := t.entry
	tried, cancel := context.WithTimeout(ctx, maxAttempt)
	defer cancel()
	q.begin(e, cancel)
	defer q.end(e)

	o := q.try(tried, t)
	switch {
	case o.over:
	case ctx.Err() != nil && o.err == nil && undone(o.results):
		q.giveBack(context.WithoutCancel(ctx), e) // cut off: not the peer's fault, so no attempt
	default:
		q.settle(ctx, e, o)
	}
}

// A trial is what came of an attempt.
type trial struct {
	content mail.Content
	results []mail.Result       // one for each recipient of the entry
	idle    []bool              // those that were not due
	sends   []*mail.Transaction // what plugins send because of it
	err     error               // ours: content that cannot be read, or a panic; it says nothing about the recipients
	over    bool                // there is nothing to settle
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

// try has the message reviewed, if it was not, and then delivered.
func (q *Queue) try(ctx context.Context, t task) (o trial) {
	e := t.entry
	o.idle = make([]bool, len(e.Envelope.Recipients))
	if o.content = t.content; o.content == nil {
		if o.content, o.err = q.Store.Content(ctx, e.ID); o.err != nil {
			o.err = fmt.Errorf("read content: %w", o.err)
			return o
		}
	}
	defer func() {
		if p := recover(); p != nil {
			o.err = fmt.Errorf("the attempt panicked: %v", p)
			q.Log.Error("attempt panicked", "queue_id", e.ID, "err", p, "stack", string(debug.Stack()))
		}
	}()
	r := q.review(ctx, e, o.content)
	o.content, o.results, o.over = r.content, r.results, r.over
	if !o.over && o.results == nil {
		q.deliver(ctx, e, &o)
	}
	return o
}

// deliver calls the deliverer for the recipients that are due.
func (q *Queue) deliver(ctx context.Context, e *Entry, o *trial) {
	q.suppress(e)
	n := len(e.Envelope.Recipients)
	o.idle = make([]bool, n)
	o.results = make([]mail.Result, n)
	now := time.Now()
	var due []int
	for i, rcpt := range e.Envelope.Recipients {
		if o.idle[i] = rcpt.RetryAt.After(now) && !q.expired(e, now); !o.idle[i] {
			due = append(due, i)
		}
	}
	m := e.message(o.content, due)
	results := q.Deliverer.Deliver(ctx, m)
	for k, i := range due {
		if k < len(results) {
			o.results[i] = results[k]
		}
	}
	e.Notes, o.sends = m.Notes, m.Sends
}

func (q *Queue) expired(e *Entry, now time.Time) bool {
	return !now.Before(e.Received.Add(q.ExpireAfter))
}

// settle draws the consequences of an attempt: what becomes of the entry, its
// DSNs and what plugins send because of it are one step of the store.
func (q *Queue) settle(ctx context.Context, e *Entry, o trial) {
	now := time.Now()
	e.Attempts++
	if o.err != nil {
		e.Failures++
	} else {
		e.Failures = 0
	}
	// A message is not returned because our own disk cannot be read: it is held
	// in the end.
	s := sort(e, o, q.expired(e, now) && o.err == nil)
	before := *e
	more := append(q.notify(context.WithoutCancel(ctx), e, o.content, s, now), q.originate(e, o.sends)...)
	q.keep(e, s, now, o.err)
	err := q.write(context.WithoutCancel(ctx), e, more)
	if unstorable(err, more) {
		q.Log.Error("queue store", "queue_id", e.ID, "err", err, "not_queued", len(more))
		q.dismiss(more)
		*e, more = before, nil
		s.postpone(err)
		q.keep(e, s, now, o.err)
		err = q.write(context.WithoutCancel(ctx), e, nil)
	}
	q.logSettled(e, s, now)
	if e.Held != "" && len(e.Envelope.Recipients) > 0 {
		q.logHeld(e)
	}
	q.store(ctx, e, more, err)
}

// keep leaves in e those that are to be tried again, and says when. ours is what
// failed here, if something did.
func (q *Queue) keep(e *Entry, s *sorted, now time.Time, ours error) {
	q.reschedule(e, s, now)
	q.conclude(e, s, now)
	if e.Failures >= maxFailures {
		e.Held = ours.Error()
	}
}

// conclude leaves in e those that are to be tried again.
func (q *Queue) conclude(e *Entry, s *sorted, now time.Time) {
	e.Done += len(e.Envelope.Recipients) - len(s.keep)
	e.Last = e.Last[:0:0]
	rcpts := make([]mail.Recipient, 0, len(s.keep))
	for _, o := range s.keep {
		rcpts = append(rcpts, o.rcpt)
		e.Last = append(e.Last, o.last(now))
		if o.result.Hold != "" && e.Held == "" {
			e.Held = o.result.Hold
		}
	}
	e.Envelope.Recipients = rcpts
}

// originate makes entries of what plugins send. What cannot be stored is not
// sent: the plugin is asked again if the attempt is made again, and nobody was
// promised more.
func (q *Queue) originate(e *Entry, sends []*mail.Transaction) (all []*newcomer) {
	for _, tx := range sends {
		n, err := q.newcomer(newEntry(tx), tx.Content, "sent_by", tx.SentBy, "sent_for", e.ID)
		if err != nil {
			q.Log.Error("not sent", "queue_id", e.ID, "stage", tx.SentBy, "err", err)
			continue
		}
		all = append(all, n)
	}
	return all
}

// reschedule sets when e is due next: when the first of those that are kept is.
// That is by the schedule, unless a plugin said otherwise, and at the latest
// when it expires.
func (q *Queue) reschedule(e *Entry, s *sorted, now time.Time) {
	if len(s.keep) == 0 {
		return
	}
	regular := now.Add(jittered(q.Schedule.wait(e.Attempts), q.Random()))
	e.Due = time.Time{}
	for _, o := range s.keep {
		due := regular
		if o.rcpt.RetryAt.After(now) {
			due = o.rcpt.RetryAt
		}
		if e.Due.IsZero() || due.Before(e.Due) {
			e.Due = due
		}
	}
	if end := e.Received.Add(q.ExpireAfter); end.After(now) && e.Due.After(end) {
		e.Due = end
	}
}

// An outcome is a recipient and what the attempt said of it.
type outcome struct {
	rcpt   mail.Recipient
	result mail.Result // Outcome is one of the constants
	before *Attempt    // not nil: it was not due, and this is what the one before said
}

// at is when the attempt was that said it.
func (o *outcome) at(now time.Time) time.Time {
	if o.before != nil {
		return o.before.At
	}
	return now
}

func (o *outcome) last(now time.Time) Attempt {
	if o.before != nil {
		return *o.before
	}
	r := o.result
	a := Attempt{At: now, NextHop: r.NextHop, Code: r.Code, Enh: r.Enh, Text: r.Text, Peer: r.Peer}
	if r.Err != nil {
		a.Error = r.Err.Error()
	}
	return a
}

// sorted is what came of an attempt.
type sorted struct {
	done []outcome // delivered, relayed, expanded or discarded
	fail []outcome // bounced or expired
	keep []outcome // to be tried again
}

// sort gives every recipient of e its outcome. Whatever is not known to be
// final is deferred, and what is deferred too long is expired.
func sort(e *Entry, t trial, expired bool) *sorted {
	s := &sorted{}
	for i, rcpt := range e.Envelope.Recipients {
		o := outcome{rcpt: rcpt, result: mail.Result{Err: t.err}}
		switch {
		case t.idle[i]:
			o.before = &Attempt{}
			if last := e.last(i); last != nil {
				o.before, o.result = &e.Last[i], *last
			}
		case t.err == nil && i < len(t.results):
			o.result = t.results[i]
		}
		switch o.result.Outcome {
		case mail.Delivered, mail.Relayed, mail.Expanded, mail.Discarded:
			s.done = append(s.done, o)
		case mail.Bounced, mail.Expired:
			s.fail = append(s.fail, o)
		default:
			s.defers(o, expired)
		}
	}
	return s
}

func (s *sorted) defers(o outcome, expired bool) {
	o.result.Outcome = mail.Deferred
	if expired {
		o.result.Outcome = mail.Expired
		s.fail = append(s.fail, o)
		return
	}
	if o.before == nil {
		o.rcpt.RetryAt = o.result.RetryAt
	}
	s.keep = append(s.keep, o)
}
