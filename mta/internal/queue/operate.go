package queue

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// Limits of what an operator's command does at once.
const (
	operatorPage  = 500              // entries listed at a time
	operatorWrite = 64               // changes in flight: they share the store's syncs
	operatorLease = 30 * time.Second // of an entry that is being changed
)

// errSkip says of an entry that there is nothing to do.
var errSkip = errors.New("nothing to do")

// List returns up to max entries that match f, with IDs after the one given, in
// the order of their IDs, which is that of their age. Less than max means that
// there are no more.
func (q *Queue) List(ctx context.Context, f Filter, after mail.QueueID, max int) ([]*Entry, error) {
	return q.Store.List(ctx, time.Now(), f, after, max)
}

// Show returns one entry, or [ErrNotFound].
func (q *Queue) Show(ctx context.Context, id mail.QueueID) (*Entry, error) {
	return q.Store.Get(ctx, id)
}

// Content returns the content of an entry, or [ErrNotFound].
func (q *Queue) Content(ctx context.Context, id mail.QueueID) (mail.Content, error) {
	return q.Store.Content(ctx, id)
}

// Stats counts entries by their state.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	return q.Store.Stats(ctx, time.Now())
}

// Retry makes what f chooses due now and releases what is held. It returns how
// many entries it changed; those that an attempt has are left alone. As in all
// that follow, who is the operator, for the log; and the error is of the first
// entry that could not be changed, after which no other is.
func (q *Queue) Retry(ctx context.Context, who string, f Filter) (int, error) {
	return q.operate(ctx, f, func(e *Entry) error {
		if e.Damaged {
			return errSkip
		}
		e.Held, e.Failures, e.Due = "", 0, time.Now()
		for i := range e.Envelope.Recipients {
			e.Envelope.Recipients[i].RetryAt = time.Time{}
		}
		return q.change(ctx, "retried", who, e)
	})
}

// Hold keeps what f chooses from being attempted until it is released.
func (q *Queue) Hold(ctx context.Context, who, reason string, f Filter) (int, error) {
	return q.operate(ctx, f, func(e *Entry) error {
		if e.Damaged || e.Held != "" {
			return errSkip
		}
		e.Held = or(reason, "held by "+who)
		return q.change(ctx, "held", who, e)
	})
}

// Release makes due now what f chooses among what is held.
func (q *Queue) Release(ctx context.Context, who string, f Filter) (int, error) {
	f.State = Held
	return q.Retry(ctx, who, f)
}

// Drop removes what f chooses, and tells nobody but the log.
func (q *Queue) Drop(ctx context.Context, who string, f Filter) (int, error) {
	return q.operate(ctx, f, func(e *Entry) error {
		if err := q.Store.Remove(ctx, e); err != nil {
			return err
		}
		q.logOperated("dropped", who, e)
		return nil
	})
}

// change stores what an operator changed.
func (q *Queue) change(ctx context.Context, event, who string, e *Entry) error {
	if err := q.Store.Update(ctx, e); err != nil {
		return err
	}
	q.logOperated(event, who, e)
	q.poke()
	return nil
}

// operate does a thing to each entry that f chooses and nobody has.
func (q *Queue) operate(ctx context.Context, f Filter, do func(*Entry) error) (int, error) {
	q.setup()
	var done atomic.Int64
	var after mail.QueueID
	for {
		page, err := q.List(ctx, f, after, operatorPage)
		if err != nil {
			return int(done.Load()), err
		}
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(operatorWrite)
		for _, e := range page {
			g.Go(func() error { return q.operateOn(gctx, e.ID, f, do, &done) })
		}
		if err := g.Wait(); err != nil {
			return int(done.Load()), err
		}
		if len(page) < operatorPage {
			return int(done.Load()), nil
		}
		after = page[len(page)-1].ID
	}
}

func (q *Queue) operateOn(ctx context.Context, id mail.QueueID, f Filter, do func(*Entry) error, done *atomic.Int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := time.Now()
	e, err := q.Store.Take(ctx, id, now, now.Add(operatorLease))
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrActive) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("take %s: %w", id, err)
	}
	lease := e.Lease
	e.Lease.Until = time.Time{} // for the filter: its state before we took it
	if !f.Match(e, now) {       // it changed since it was listed
		return q.Store.Extend(ctx, id, lease.Token, time.Time{})
	}
	e.Lease = lease
	err = do(e)
	if err == nil {
		done.Add(1)
		return nil
	}
	back := q.Store.Extend(context.WithoutCancel(ctx), id, lease.Token, time.Time{})
	if errors.Is(err, errSkip) {
		return back
	}
	return fmt.Errorf("change %s: %w", id, err) // of the two errors this one matters
}
