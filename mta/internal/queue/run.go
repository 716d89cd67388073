package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

const (
	// pollStore is how long the scheduler sleeps at most: another node may have
	// put something into the store, or died with a lease.
	pollStore = time.Minute

	// minPause is how long it sleeps at least between two looks: what is due and
	// was not claimed will not be claimed a moment later.
	minPause = 10 * time.Millisecond

	// storeRetry is the wait after the store failed.
	storeRetry = 5 * time.Second
)

// Run attempts what is due until ctx is cancelled. Attempts in flight then have
// q.Grace to finish; those that do not are cut off and stay in the queue. When
// Run returns none of its goroutines is left. It must not be called twice at
// the same time.
func (q *Queue) Run(ctx context.Context) {
	q.setup()
	attempts, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	q.begun(attempts)
	helped, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var helpers sync.WaitGroup
	helpers.Go(func() { q.renew(helped) })
	helpers.Go(func() { q.sweepAll(ctx) })
	if q.Limits != nil {
		for range grantAsks {
			helpers.Go(func() { q.negotiate(helped) })
		}
	}

	q.schedule(ctx)

	q.mu.Lock()
	q.running = false // nothing begins from here on
	q.mu.Unlock()
	grace := time.AfterFunc(q.Grace, cut)
	q.flight.Wait()
	grace.Stop()
	stop()
	helpers.Wait()
	q.giveAllBack(context.WithoutCancel(ctx))
	q.giveUp(context.WithoutCancel(ctx))
}

// begun lets attempts begin.
func (q *Queue) begun(attempts context.Context) {
	q.mu.Lock()
	q.running, q.attempts, q.since = true, attempts, time.Now()
	q.mu.Unlock()
}

// work makes one attempt.
func (q *Queue) work(ctx context.Context, t task) {
	defer q.flight.Done()
	defer func() {
		q.mu.Lock()
		q.finished(time.Now())
		q.mu.Unlock()
	}()
	q.attempt(ctx, t)
}

// schedule claims what is due and hands it to the lanes, until ctx is done. It
// never has more than maxClaimed entries in memory, however long the queue is.
func (q *Queue) schedule(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		case <-timer.C:
		}
		q.look()
		q.sleep(time.Time{})
		wait, err := q.claimDue(ctx)
		if err != nil {
			if ctx.Err() == nil {
				q.Log.Error("queue store", "err", err)
			}
			wait = storeRetry
		}
		wait = min(wait, q.turnTimed())
		q.sleep(time.Now().Add(wait))
		timer.Reset(wait)
	}
}

// sleep notes until when the scheduler sleeps; zero: it is awake.
func (q *Queue) sleep(until time.Time) {
	q.mu.Lock()
	q.asleep = until
	q.mu.Unlock()
}

// due has the scheduler look at the store in time for something that is due
// then.
func (q *Queue) due(at time.Time) {
	q.mu.Lock()
	early := q.asleep.IsZero() || at.Before(q.asleep)
	q.mu.Unlock()
	if early {
		q.poke()
	}
}

// claimDue claims all that is due and has room, and returns how long to wait for
// the next.
func (q *Queue) claimDue(ctx context.Context) (time.Duration, error) {
	if err := q.wakeLanes(ctx); err != nil {
		return 0, err
	}
	for {
		room := q.claimable()
		if room == 0 {
			return fullPause, nil // finished attempts end this earlier
		}
		now := time.Now()
		entries, err := q.Store.Claim(ctx, now, now.Add(q.Lease), room, q.pick)
		if err != nil {
			return 0, err
		}
		q.adopt(ctx, entries)
		due, ok, err := q.Store.NextDue(ctx, now)
		switch {
		case err != nil || !ok:
			return pollStore, err
		case len(entries) == 0 || due.After(now):
			return min(max(time.Until(due), minPause), pollStore), nil
		}
	}
}

// claimable is how many more claimed entries may be in memory.
func (q *Queue) claimable() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return max(maxClaimed-q.claimed, 0)
}

// adopt hands entries that this process has the leases of to their lanes.
func (q *Queue) adopt(ctx context.Context, entries []*Entry) {
	var back []*Entry
	q.mu.Lock()
	now := time.Now()
	for _, e := range entries {
		l := q.laneAt(e.Lane, now)
		if !q.running || l.closed(now) { // it went down since it was picked
			back = append(back, e)
			continue
		}
		q.active[e.ID] = handle{token: e.Lease.Token, until: now.Add(q.Lease)}
		l.push(task{entry: e})
		q.claimed++
		q.turn(l, now)
	}
	q.mu.Unlock()
	for _, e := range back {
		q.giveBack(context.WithoutCancel(ctx), e)
	}
}

// renew keeps the leases of this process from ending while it lives.
func (q *Queue) renew(ctx context.Context) {
	ticker := time.NewTicker(max(q.Lease/3, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			q.renewAll(ctx)
		}
	}
}

func (q *Queue) renewAll(ctx context.Context) {
	q.mu.Lock()
	tokens := make(map[mail.QueueID]uint64, len(q.active))
	for id, h := range q.active {
		tokens[id] = h.token
	}
	q.mu.Unlock()
	for id, token := range tokens {
		q.renewOne(ctx, id, token)
	}
}

// renewOne moves the end of a lease, and cuts off the attempt at an entry that
// another has by now. It tells whether the lease is this process's still.
func (q *Queue) renewOne(ctx context.Context, id mail.QueueID, token uint64) bool {
	until := time.Now().Add(q.Lease)
	err := q.Store.Extend(ctx, id, token, until)
	q.mu.Lock()
	defer q.mu.Unlock()
	h, ok := q.active[id]
	if !ok || h.token != token {
		return false
	}
	switch {
	case err == nil:
		h.until = until
		q.active[id] = h
	case errors.Is(err, ErrLease):
		q.Log.Warn("lease lost", "queue_id", id)
		if h.cancel != nil {
			h.cancel()
		}
		delete(q.active, id)
		return false
	}
	return true
}

// begin notes that the attempt at e can be cut off with cancel. It is false if
// the lease was lost while e waited. A process that stood still for a while asks
// the store whether it was.
func (q *Queue) begin(ctx context.Context, e *Entry, cancel context.CancelFunc) bool {
	q.mu.Lock()
	h, ok := q.active[e.ID]
	ok = ok && h.token == e.Lease.Token
	if ok {
		h.cancel = cancel
		q.active[e.ID] = h
	}
	late := ok && !time.Now().Before(h.until)
	q.mu.Unlock()
	return ok && (!late || q.renewOne(ctx, e.ID, e.Lease.Token))
}

// end notes that the lease of e is over.
func (q *Queue) end(e *Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.active[e.ID].token == e.Lease.Token && !q.setAside(e.ID) {
		delete(q.active, e.ID)
	}
}

// giveBack ends the lease of an entry that no attempt was made at.
func (q *Queue) giveBack(ctx context.Context, e *Entry) {
	q.end(e)
	if err := q.Store.Extend(ctx, e.ID, e.Lease.Token, time.Time{}); err != nil {
		q.Log.Error("queue store", "queue_id", e.ID, "err", err)
		return
	}
	if !q.shut(e.Lane) {
		q.poke()
	}
}

// giveAllBack gives back what waits in the lanes. Nothing begins any more, and
// Enqueue adds nothing.
func (q *Queue) giveAllBack(ctx context.Context) {
	var back []task
	q.mu.Lock()
	for _, l := range q.lanes {
		back = append(back, l.drain()...)
		l.ready = false
	}
	for i := range back {
		q.started(&back[i])
	}
	q.ready = nil
	clear(q.timed)
	q.mu.Unlock()
	for _, t := range back {
		q.giveBack(ctx, t.entry)
	}
}
