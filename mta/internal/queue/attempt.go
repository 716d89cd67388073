package queue

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

const (
	// maxAttempt is how long one attempt may take in all: 50 MiB at 14 kB/s.
	maxAttempt = time.Hour
)

// attempt makes one try at an entry, for all recipients that are due, and
// settles what comes of it.
func (q *Queue) attempt(ctx context.Context, t task) {
	e := t.entry
	tried, cancel := context.WithTimeout(ctx, maxAttempt)
	defer cancel()
	place := &visit{lane: t.lane, began: t.began, started: true}
	defer q.leave(ctx, []*visit{place}, nil)
	if !q.begin(ctx, e, cancel) {
		return
	}
	defer q.end(e)
	if !q.mark(ctx, &t) {
		return
	}
	if t.alone {
		defer q.serial.Unlock()
	}
	o := q.try(tried, t, place)
	switch {
	case o.over:
	case ctx.Err() != nil && o.err == nil && undone(o.results):
		q.unmark(context.WithoutCancel(ctx), e) // cut off: not the peer's fault, so no attempt
	default:
		q.settle(ctx, e, o)
	}
}

// A trial is what came of an attempt.
type trial struct {
	content mail.Content
	results []mail.Result       // one for each recipient of the entry
	idle    []bool              // those that were not attempted
	parked  map[int]parking     // those of them that were due: their lane had no place
	sends   []*mail.Transaction // what plugins send because of it
	err     error               // ours: content that cannot be read, or a panic; it says nothing about the recipients
	unread  error               // the content could not be read to its end; what arrived all the same is in the results
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
func (q *Queue) try(ctx context.Context, t task, place *visit) (o trial) {
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
		q.deliver(ctx, e, &o, place)
	}
	return o
}

// deliver calls the deliverer for the recipients that are due and whose lane has
// a place.
func (q *Queue) deliver(ctx context.Context, e *Entry, o *trial, place *visit) {
	q.suppress(e)
	n := len(e.Envelope.Recipients)
	o.idle = make([]bool, n)
	now := time.Now()
	inTurn(e, now)
	var due []int
	for i, rcpt := range e.Envelope.Recipients {
		if o.idle[i] = rcpt.RetryAt.After(now) && !q.expired(e, now); !o.idle[i] {
			due = append(due, i)
		}
	}
	var visits []*visit
	visits, o.parked = q.enter(e, place, due)
	defer func() { q.leave(ctx, visits, o.results) }()
	due = slices.DeleteFunc(due, func(i int) bool {
		_, o.idle[i] = o.parked[i]
		return o.idle[i]
	})
	results := make([]mail.Result, n)
	if len(due) > 0 {
		content, failed := watch(o.content)
		m := e.message(content, due)
		for k, r := range q.carry(ctx, m, q.progress(ctx, e, o.content, due)) {
			if k < len(due) {
				results[due[k]] = r
			}
		}
		e.Notes, o.sends, o.unread = m.Notes, m.Sends, failed()
		q.observe(visits, results, now)
	}
	o.results = results
}

// carry calls the deliverer. Once it returns, or panics, the entry is no more read
// by what writes down its progress.
func (q *Queue) carry(ctx context.Context, m *mail.Message, p *progress) []mail.Result {
	defer p.stop()
	m.Progress = p.told()
	return q.Deliverer.Deliver(ctx, m)
}

// observe counts what the recipients of an attempt came to, by their lanes.
func (q *Queue) observe(visits []*visit, results []mail.Result, began time.Time) {
	if q.Observer == nil {
		return
	}
	took := time.Since(began)
	for _, v := range visits {
		for _, i := range v.rcpts {
			q.Observer.Tried(v.lane.name, results[i].Outcome, took)
		}
	}
}

func (q *Queue) expired(e *Entry, now time.Time) bool {
	q.look()
	return q.clock.age(e.Received, now) >= q.ExpireAfter
}

// settle draws the consequences of an attempt: what becomes of the entry, its
// DSNs and what plugins send because of it are one step of the store.
func (q *Queue) settle(ctx context.Context, e *Entry, o trial) {
	now := time.Now()
	if o.err != nil || slices.Contains(o.idle, false) {
		e.Attempts++
	}
	ours, most := o.ours()
	if ours == nil {
		e.Failures = 0
	} else {
		e.Failures++
	}
	e.Begun = 0
	// A message is not returned because our own disk cannot be read: it is held
	// in the end.
	s := sort(e, o, q.expired(e, now) && o.err == nil && o.unread == nil)
	before := *e
	more := append(q.notify(context.WithoutCancel(ctx), e, o.content, s, now), q.originate(e, o.sends)...)
	q.keep(e, s, now, ours, most)
	err := q.write(context.WithoutCancel(ctx), e, more)
	if unstorable(err, more) {
		q.Log.Error("queue store", "queue_id", e.ID, "err", err, "not_queued", len(more))
		q.dismiss(more)
		*e, more = before, nil
		s.postpone(err)
		q.keep(e, s, now, ours, most)
		err = q.write(context.WithoutCancel(ctx), e, nil)
	}
	q.logSettled(e, s, now)
	if e.Held != "" && len(e.Envelope.Recipients) > 0 {
		q.logHeld(e)
	}
	q.store(ctx, e, more, err)
}

// keep leaves in e those that are to be tried again, and says when. ours is what
// failed here, if something did, and most how often it may.
func (q *Queue) keep(e *Entry, s *sorted, now time.Time, ours error, most int) {
	q.reschedule(e, s, now)
	q.conclude(e, s, now)
	if ours != nil && e.Failures >= most && e.Held == "" {
		e.Held = fmt.Sprintf("%v, %d times in a row", ours, e.Failures)
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
	e.Lane = q.laneOf(e)
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
// That is by the schedule of why it was deferred, unless a plugin or its lane
// said otherwise, and at the latest when it expires. The others come later.
func (q *Queue) reschedule(e *Entry, s *sorted, now time.Time) {
	if len(s.keep) == 0 {
		return
	}
	random := q.Random()
	dues := make([]time.Time, len(s.keep))
	for i := range s.keep {
		dues[i] = q.dueAt(e, &s.keep[i], now, random)
	}
	e.Due = slices.MinFunc(dues, time.Time.Compare)
	for i, due := range dues {
		if due.After(e.Due) {
			s.keep[i].rcpt.RetryAt = due
		}
	}
	if end := e.Received.Add(q.ExpireAfter); end.After(now) && e.Due.After(end) {
		e.Due = end
	}
}

// dueAt is when one recipient is to be tried again.
func (q *Queue) dueAt(e *Entry, o *outcome, now time.Time, random float64) time.Time {
	switch {
	case o.rcpt.RetryAt.After(now):
		return o.rcpt.RetryAt
	case o.before != nil: // it was not its turn
		return maxTime(now, e.Due)
	}
	lane := ""
	if q.Lane != nil {
		lane = q.Lane(&o.rcpt)
	}
	s := q.scheduleOf(q.hopOf(lane), reasonOf(&o.result))
	return now.Add(jittered(s.wait(e.Attempts), random))
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
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

// park says of a recipient that its lane has no place for it.
func (o *outcome) park(p parking) {
	if !p.until.IsZero() {
		o.rcpt.RetryAt = p.until
	}
	if p.at.IsZero() {
		return
	}
	o.result = p.why
	a := attemptOf(&p.why, p.at)
	o.before = &a
}

func (o *outcome) last(now time.Time) Attempt {
	if o.before != nil {
		return *o.before
	}
	return attemptOf(&o.result, now)
}

// attemptOf is what an entry remembers of a result.
func attemptOf(r *mail.Result, at time.Time) Attempt {
	a := Attempt{At: at, NextHop: r.NextHop, Code: r.Code, Enh: r.Enh, Text: r.Text, Peer: r.Peer}
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
			o.park(t.parked[i])
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
