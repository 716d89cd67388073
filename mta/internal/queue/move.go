package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// moveLease is for how long an entry that has arrived is not attempted, unless it
// is gone where it came from. A Move that was cut off is to be run again in this
// time.
const moveLease = time.Hour

// A Moved is what [Move] did.
type Moved struct {
	Entries int
	Octets  int64
	Active  int // left where they are: an attempt is under way
	Damaged int // left where they are: their records cannot be read
}

// Move carries all entries of one store into another, with their IDs, schedules
// and all that is known of them. Each is in the other, durably and leased, before
// it is removed from the first; only then can it be attempted there. So a Move
// that is cut off loses nothing, and one that is run again within an hour goes on
// where it was, and has nothing attempted twice. Whoever attempts what the first
// store has should have stopped, and have nothing left that only another store can
// decide: it is as if entries had no Twin. done is called after each entry; it may be nil.
func Move(ctx context.Context, from, to Store, done func(Moved)) (m Moved, err error) {
	after := mail.QueueID("")
	for {
		page, err := from.List(ctx, time.Now(), Filter{}, after, operatorPage)
		if err != nil {
			return m, err
		}
		for _, e := range page {
			after = e.ID
			if err := m.move(ctx, from, to, e); err != nil {
				return m, fmt.Errorf("%s: %w", e.ID, err)
			}
			if done != nil {
				done(m)
			}
		}
		if len(page) < operatorPage {
			return m, nil
		}
	}
}

// move moves one entry. It is leased where it comes from only for as long as a
// change takes: a Move that is cut off leaves it as it was.
func (m *Moved) move(ctx context.Context, from, to Store, listed *Entry) error {
	if listed.Damaged {
		m.Damaged++
		return nil
	}
	now := time.Now()
	e, err := from.Take(ctx, listed.ID, now, now.Add(operatorLease))
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case errors.Is(err, ErrActive):
		m.Active++
		return nil
	case err != nil:
		return err
	}
	token, err := put(ctx, from, to, e)
	if err != nil {
		return errors.Join(err, from.Extend(context.WithoutCancel(ctx), e.ID, e.Lease.Token, time.Time{}))
	}
	if err := from.Remove(ctx, e); err != nil {
		return err
	}
	m.Entries++
	m.Octets += e.Size
	if token == 0 {
		return nil
	}
	return to.Extend(ctx, e.ID, token, time.Time{})
}

// put puts e into the other store, and returns the token of its lease there. One
// that a Move before this one put there is left to that lease, which lapses: it may
// be another's by now.
func put(ctx context.Context, from, to Store, e *Entry) (token uint64, err error) {
	content, err := from.Content(ctx, e.ID)
	if err != nil {
		return 0, fmt.Errorf("read content: %w", err)
	}
	c := *e
	c.Lease, c.Twin = Lease{}, nil
	err = to.Put(ctx, &c, content, time.Now().Add(moveLease))
	if !errors.Is(err, ErrExists) {
		return c.Lease.Token, err
	}
	if _, found := to.Get(ctx, e.ID); found != nil {
		return 0, fmt.Errorf("%w, and is gone there: it was finished, or was given up", err)
	}
	return 0, nil
}
