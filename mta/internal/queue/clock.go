package queue

import (
	"context"
	"errors"
	"sync"
	"time"
)

// leastStep is by how much the wall clock must be off to count as set: clocks are
// set right by less all the time.
const leastStep = 2 * time.Second

// A clock notices that the wall clock is set while the process runs: it holds it
// against the monotonic one. What entries say of time is by the wall clock, since
// it is there after a restart. Its zero value is ready. Safe for concurrent use.
type clock struct {
	wall func(time.Time) time.Time // for tests: what the wall clock says at a time; nil: that time

	mu      sync.Mutex
	seen    time.Time     // when it was last looked at, by the monotonic clock
	read    time.Time     // and what the wall clock said
	ahead   time.Duration // by how much what is older than stepped seems older than it is
	stepped time.Time     // the wall clock after it was last set forward
	behind  time.Duration // by how much what waits is due too late
}

// look looks at the clocks, and returns how far the wall clock was set, if it was.
func (c *clock) look() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	read := now.Round(0)
	if c.wall != nil {
		read = c.wall(now).Round(0)
	}
	var step time.Duration
	if !c.seen.IsZero() {
		step = read.Sub(c.read) - now.Sub(c.seen)
	}
	c.seen, c.read = now, read
	switch {
	case step >= leastStep:
		c.stepped = now.Round(0)
	case step > -leastStep:
		return 0
	}
	c.ahead = max(c.ahead+step, 0)
	c.behind = max(c.behind-step, 0)
	return step
}

// age is how long ago something was, without the time that the wall clock has
// jumped over since.
func (c *clock) age(then, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	age := now.Round(0).Sub(then.Round(0))
	if then.Before(c.stepped) {
		age -= c.ahead
	}
	return age
}

// late takes the time by which what waits is due too late.
func (c *clock) late() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	by := c.behind
	c.behind = 0
	return by
}

// look notices that the wall clock was set, and has the sweep see to it.
func (q *Queue) look() {
	step := q.clock.look()
	if step == 0 {
		return
	}
	q.Log.Warn("clock set", "by", step.Round(time.Second))
	select {
	case q.stepped <- struct{}{}:
	default:
	}
}

// catchUp has what waits be due as much earlier as the wall clock was set back.
// What would have been due later than by as much is left alone: its wait at most
// doubles, and a long queue is not written anew. So is all that a store with a
// clock of its own has.
func (q *Queue) catchUp(ctx context.Context) {
	by := q.clock.late()
	if c, ok := q.Store.(Clocked); by == 0 || ok && c.OwnClock() {
		return
	}
	err := q.eachPage(ctx, "", func(page []*Entry) (bool, error) {
		now := time.Now()
		for _, e := range page {
			if e.Damaged || e.State(now) != Waiting || !e.Due.After(now) || !e.Due.Before(now.Add(2*by)) {
				continue
			}
			if err := q.advance(ctx, e, by); err != nil {
				q.Log.Error("queue store", "queue_id", e.ID, "err", err)
			}
		}
		return true, nil
	})
	if err != nil && ctx.Err() == nil {
		q.Log.Error("queue store", "err", err)
	}
}

// advance makes an entry due earlier.
func (q *Queue) advance(ctx context.Context, e *Entry, by time.Duration) error {
	now := time.Now()
	due := e.Due
	e, err := q.Store.Take(ctx, e.ID, now, now.Add(q.Lease))
	switch {
	case errors.Is(err, ErrActive) || errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	case e.Held != "" || !e.Due.Equal(due): // it has moved since
		q.giveBack(context.WithoutCancel(ctx), e)
		return nil
	}
	e.Due = due.Add(-by)
	for i := range e.Envelope.Recipients {
		if at := &e.Envelope.Recipients[i].RetryAt; at.After(now) {
			*at = at.Add(-by)
		}
	}
	if err := q.Store.Update(context.WithoutCancel(ctx), e); err != nil {
		q.giveBack(context.WithoutCancel(ctx), e)
		return err
	}
	q.due(e.Due)
	return nil
}

// inTurn has the first of e's recipients be due now. An entry is due when the
// first of them is; if none is, another clock said when: this one has been set
// back since, or it was another node's.
func inTurn(e *Entry, now time.Time) {
	rcpts := e.Envelope.Recipients
	if len(rcpts) == 0 {
		return
	}
	ahead := rcpts[0].RetryAt.Sub(now)
	for _, rcpt := range rcpts[1:] {
		ahead = min(ahead, rcpt.RetryAt.Sub(now))
	}
	if ahead <= 0 {
		return
	}
	for i := range rcpts {
		rcpts[i].RetryAt = rcpts[i].RetryAt.Add(-ahead)
	}
}
