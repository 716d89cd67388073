package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// An entry that fails here again and again is held with its reason: it is
// neither tried for ever nor dropped, and nobody is told that it failed, for that
// is our doing.
const (
	// maxFailures is how often in a row an attempt may panic, or find its
	// content unreadable.
	maxFailures = 3

	// maxStageFailures is how often in a row a stage behind the queue may fail at
	// a message: by the default schedule two hours, in which a broken plugin is
	// put right.
	maxStageFailures = 8

	// maxBegun is how often in a row an attempt may begin of which the process
	// never tells how it ended. The one that is under way when it ends the process
	// for the first time is not counted, so that is the fourth time.
	maxBegun = 3

	// serialFrom is from how many of these on an entry is attempted alone: many
	// are under way when a process dies, and only one of them is to blame.
	serialFrom = 2

	// serialWait is when an entry comes back that has to be attempted alone while
	// another one is.
	serialWait = 15 * time.Second

	// markTime is longer than it takes to mark an entry.
	markTime = time.Second
)

// mark notes in the store that an attempt is about to begin, if the entry was
// due before this process began: then it may be what ended the one before. All
// other attempts need no write for that. It is false if there is no attempt: the
// entry is held, put off, or another's.
func (q *Queue) mark(ctx context.Context, t *task) (ok bool) {
	e := t.entry
	if t.fresh || e.Begun == 0 && !e.Due.Before(q.since) {
		return true
	}
	whole := context.WithoutCancel(ctx) // a step of the store is made whole, but not tried again for ever
	now := time.Now()
	switch {
	case e.Begun >= maxBegun:
		e.Held = fmt.Sprintf("the server ended %d times in a row while it attempted this message", e.Begun+1)
		q.logHeld(e)
		q.store(ctx, e, nil, q.write(whole, e, nil))
		return false
	case e.Begun >= serialFrom && !q.serial.TryLock():
		e.Due = now.Add(jittered(serialWait, q.Random()))
		q.store(ctx, e, nil, q.write(whole, e, nil))
		return false
	}
	t.alone = e.Begun >= serialFrom
	defer func() {
		if t.alone && !ok {
			q.serial.Unlock()
		}
	}()
	return q.remark(whole, e, now)
}

// remark writes the mark. That ends the lease, so it takes another one. Between
// the two nobody else is to claim the entry, who would mark it once more: it is
// due a moment later.
func (q *Queue) remark(ctx context.Context, e *Entry, now time.Time) bool {
	due := e.Due
	e.Begun++
	e.Due = now.Add(markTime)
	if err := q.Store.Update(ctx, e); err != nil {
		q.Log.Error("queue store", "queue_id", e.ID, "err", err)
		return false
	}
	until := now.Add(q.Lease)
	taken, err := q.Store.Take(ctx, e.ID, now, until)
	if err != nil {
		if !errors.Is(err, ErrActive) && !errors.Is(err, ErrNotFound) {
			q.Log.Error("queue store", "queue_id", e.ID, "err", err)
		}
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	h := q.active[e.ID]
	*e = *taken
	e.Due = due
	q.active[e.ID] = handle{token: e.Lease.Token, until: until, cancel: h.cancel}
	return true
}

// unmark gives back an entry whose attempt was cut off as this process ends in
// good order.
func (q *Queue) unmark(ctx context.Context, e *Entry) {
	if e.Begun == 0 {
		q.giveBack(ctx, e)
		return
	}
	e.Begun--
	if err := q.Store.Update(ctx, e); err != nil {
		q.Log.Error("queue store", "queue_id", e.ID, "err", err)
	}
}

// ours is what failed here and not at a next hop, and how often in a row that
// may be; nil: nothing did. That the store is away says nothing about the message.
func (o *trial) ours() (err error, most int) {
	switch {
	case errors.Is(o.err, ErrAway), errors.Is(o.unread, ErrAway):
		return nil, 0
	case o.err != nil:
		return o.err, maxFailures
	case o.unread != nil && !o.settled():
		return fmt.Errorf("read content: %w", o.unread), maxFailures
	}
	for _, r := range o.results {
		if r.Failed != "" && (r.Outcome == mail.Deferred || r.Outcome == "") {
			return fmt.Errorf("stage %s failed", r.Failed), maxStageFailures
		}
	}
	return nil, 0
}

// settled tells whether every recipient that was attempted has an end.
func (o *trial) settled() bool {
	for i, r := range o.results {
		if !o.idle[i] && (r.Outcome == mail.Deferred || r.Outcome == "") {
			return false
		}
	}
	return true
}
