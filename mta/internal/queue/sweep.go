package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

const (
	// sweepEvery is how often the sweep looks for entries that are to be warned of
	// or expire while nothing attempts them.
	sweepEvery = time.Minute

	// sweepPage is how many it lists at a time, and sweepers how many it deals
	// with at once.
	sweepPage = 200
	sweepers  = 16
)

// waited is what is said of a recipient that was not attempted in time, and
// whose next hop is not known to be down.
var waited = mail.Result{Outcome: mail.Deferred, Code: 451, Enh: "4.4.5", Text: "too much mail waits for the next hop"}

// sweepAll sees to it that entries that no attempt is made at are warned of and
// expire in time: because their lane is down, or has so much to do that they have
// no turn, or because they are put off for long. Held entries are left alone: they
// are an operator's.
func (q *Queue) sweepAll(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.stepped:
		case <-timer.C:
		}
		q.catchUp(ctx)
		if err := q.sweep(ctx); err != nil && ctx.Err() == nil {
			q.Log.Error("queue store", "err", err)
		}
		q.mu.Lock()
		q.forget(time.Now(), laneMemory)
		q.mu.Unlock()
		timer.Reset(jittered(sweepEvery, q.Random()))
	}
}

// sweep goes through what is old enough. What expires goes away, so that it is
// looked for from the beginning; what is to be warned of stays, so that it is
// looked for behind where the last sweep came to.
func (q *Queue) sweep(ctx context.Context) error {
	now := time.Now()
	if _, err := q.sweepBefore(ctx, now.Add(-q.ExpireAfter-sweepEvery), ""); err != nil {
		return err
	}
	if q.WarnAfter <= 0 || q.WarnAfter >= q.ExpireAfter {
		return nil
	}
	to, err := q.sweepBefore(ctx, now.Add(-q.WarnAfter), q.warned)
	q.warned = to
	return err
}

// sweepBefore deals with the entries that were received before a time, with IDs
// after the one given, and returns the last ID up to which all were. IDs sort by
// age, give or take what an hour of divided mail or a clock set right makes of
// it, so that a page on which all entries are younger is the end: a long queue
// costs no more than a short one.
func (q *Queue) sweepBefore(ctx context.Context, before time.Time, after mail.QueueID) (mail.QueueID, error) {
	to, all := after, true
	err := q.eachPage(ctx, after, func(page []*Entry) (bool, error) {
		var g errgroup.Group
		g.SetLimit(sweepers)
		old := false
		for _, e := range page {
			if !e.Received.Before(before) {
				all = false
				continue
			}
			old = true
			if all {
				to = e.ID
			}
			if q.sweeps(e) {
				g.Go(func() error { return q.sweepOne(ctx, e.ID) })
			}
		}
		return old, g.Wait()
	})
	return to, err
}

// eachPage lists the entries with IDs after the one given, until f wants no more.
func (q *Queue) eachPage(ctx context.Context, after mail.QueueID, f func([]*Entry) (more bool, err error)) error {
	for {
		page, err := q.Store.List(ctx, time.Now(), Filter{}, after, sweepPage)
		if err != nil {
			return err
		}
		if more, err := f(page); err != nil || !more || len(page) < sweepPage {
			return err
		}
		after = page[len(page)-1].ID
	}
}

// sweeps tells whether there is something to do about e, which nobody attempts.
func (q *Queue) sweeps(e *Entry) bool {
	now := time.Now()
	return !e.Damaged && e.State(now) == Waiting && (q.expired(e, now) || q.warnable(e, now))
}

// warnable tells whether the sender of e is to hear now that it is delayed.
func (q *Queue) warnable(e *Entry, now time.Time) bool {
	return q.WarnAfter > 0 && !e.Warned && now.Sub(e.Received) >= q.WarnAfter
}

// sweepOne settles an entry without an attempt at it.
func (q *Queue) sweepOne(ctx context.Context, id mail.QueueID) error {
	now := time.Now()
	e, err := q.Store.Take(ctx, id, now, now.Add(q.Lease))
	switch {
	case errors.Is(err, ErrActive) || errors.Is(err, ErrNotFound):
		return nil // its attempt does what is to be done
	case err != nil:
		return fmt.Errorf("take %s: %w", id, err)
	}
	q.sweepTaken(ctx, e)
	return nil
}

// sweepTaken is sweepOne for an entry that this process has the lease of. One
// that is neither expired nor to be warned of is given back.
func (q *Queue) sweepTaken(ctx context.Context, e *Entry) {
	q.mu.Lock()
	q.active[e.ID] = handle{token: e.Lease.Token, until: time.Now().Add(q.Lease)}
	q.mu.Unlock()
	defer q.end(e)
	now := time.Now()
	expired := q.expired(e, now)
	if e.Held != "" || !expired && !q.warnable(e, now) {
		q.giveBack(context.WithoutCancel(ctx), e)
		return
	}
	o := q.untried(ctx, e, expired)
	if o.over {
		return
	}
	q.settle(ctx, e, o)
}

// untried is an attempt at e that attempts nothing. Stages that are asked before
// the first attempt are asked before a message is returned, too: they may want
// nobody to hear of it.
func (q *Queue) untried(ctx context.Context, e *Entry, expired bool) (o trial) {
	n := len(e.Envelope.Recipients)
	o.idle = make([]bool, n)
	if o.content, o.err = q.Store.Content(ctx, e.ID); o.err != nil {
		o.err = fmt.Errorf("read content: %w", o.err)
		return o
	}
	if expired {
		r := q.review(ctx, e, o.content)
		if o.content, o.results, o.over = r.content, r.results, r.over; o.over || o.results != nil {
			return o
		}
		n = len(e.Envelope.Recipients)
	}
	o.idle, o.parked = make([]bool, n), map[int]parking{}
	for i := range o.idle {
		o.idle[i] = true
		o.parked[i] = q.standing(e, i)
	}
	return o
}

// standing is why a recipient is not attempted: how its lane stands.
func (q *Queue) standing(e *Entry, i int) parking {
	rcpt := &e.Envelope.Recipients[i]
	p := parking{until: rcpt.RetryAt}
	name := ""
	if q.Lane != nil {
		name = q.Lane(rcpt)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch l := q.lanes[name]; {
	case l != nil && l.down != nil:
		p.at, p.why = l.down.began, l.down.result
	case e.last(i) == nil:
		p.at, p.why = time.Now(), waited
	}
	return p
}
