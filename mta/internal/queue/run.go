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
	q.setRunning(true)
	var workers, renewer sync.WaitGroup
	for range q.Concurrency {
		workers.Go(func() { q.work(ctx, attempts) })
	}
	renewed, stop := context.WithCancel(context.WithoutCancel(ctx))
	renewer.Go(func() { q.renew(renewed) })

	q.schedule(ctx)

	q.setRunning(false)
	grace := time.AfterFunc(q.Grace, cut)
	workers.Wait()
	grace.Stop()
	stop()
	renewer.Wait()
	q.giveAllBack(context.WithoutCancel(ctx))
}

func (q *Queue) setRunning(running bool) {
	q.mu.Lock()
	q.running = running
	q.mu.Unlock()
}

// work makes attempts, one after the other. Fresh and claimed entries have the
// same chance: select chooses at random.
func (q *Queue) work(ctx, attempts context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case t := <-q.fresh:
			q.unreserve(true)
			q.attempt(attempts, t)
		case t := <-q.claimed:
			q.attempt(attempts, t)
		}
	}
}

// schedule claims what is due and hands it to the workers, until ctx is done.
// It never has more than a channel full of entries in memory, however long the
// queue is.
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
		wait, err := q.claimDue(ctx)
		if err != nil {
			if ctx.Err() == nil {
				q.Log.Error("queue store", "err", err)
			}
			wait = storeRetry
		}
		timer.Reset(wait)
	}
}

// claimDue hands out all that is due, as fast as the workers take it, and
// returns how long to wait for the next.
func (q *Queue) claimDue(ctx context.Context) (time.Duration, error) {
	for {
		now := time.Now()
		entries, err := q.Store.Claim(ctx, now, now.Add(q.Lease), q.Concurrency, nil)
		if err != nil {
			return 0, err
		}
		q.adopt(entries)
		for i, e := range entries {
			select {
			case q.claimed <- task{entry: e}:
			case <-ctx.Done():
				for _, e := range entries[i:] {
					q.giveBack(context.WithoutCancel(ctx), e)
				}
				return 0, ctx.Err()
			}
		}
		if len(entries) < q.Concurrency {
			break
		}
	}
	due, ok, err := q.Store.NextDue(ctx, time.Now())
	if err != nil || !ok {
		return pollStore, err
	}
	return min(max(time.Until(due), time.Millisecond), pollStore), nil
}

// adopt notes that this process has the leases of entries.
func (q *Queue) adopt(entries []*Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range entries {
		q.active[e.ID] = handle{token: e.Lease.Token}
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
		err := q.Store.Extend(ctx, id, token, time.Now().Add(q.Lease))
		if errors.Is(err, ErrLease) {
			q.lost(id, token)
		}
	}
}

// lost cuts off the attempt at an entry that another has by now.
func (q *Queue) lost(id mail.QueueID, token uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	h, ok := q.active[id]
	if ok && h.token == token && h.cancel != nil {
		q.Log.Warn("lease lost", "queue_id", id)
		h.cancel()
	}
}

// begin notes that the attempt at e can be cut off with cancel.
func (q *Queue) begin(e *Entry, cancel context.CancelFunc) {
	q.mu.Lock()
	q.active[e.ID] = handle{e.Lease.Token, cancel}
	q.mu.Unlock()
}

// end notes that the lease of e is over.
func (q *Queue) end(e *Entry) {
	q.mu.Lock()
	delete(q.active, e.ID)
	q.mu.Unlock()
}

// giveBack ends the lease of an entry that no attempt was made at.
func (q *Queue) giveBack(ctx context.Context, e *Entry) {
	q.end(e)
	if err := q.Store.Extend(ctx, e.ID, e.Lease.Token, time.Time{}); err != nil {
		q.Log.Error("queue store", "queue_id", e.ID, "err", err)
		return
	}
	q.poke()
}

// giveAllBack empties both channels. No worker and no scheduler is left, and
// Enqueue adds nothing any more.
func (q *Queue) giveAllBack(ctx context.Context) {
	for {
		select {
		case t := <-q.fresh:
			q.unreserve(true)
			q.giveBack(ctx, t.entry)
		case t := <-q.claimed:
			q.giveBack(ctx, t.entry)
		default:
			return
		}
	}
}
