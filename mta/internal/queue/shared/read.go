package shared

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/redis"
)

// askUp is ask while Redis is there, else its error.
func (s *Store) askUp(ctx context.Context, f func(context.Context) error) error {
	if !s.link.up() {
		return redis.ErrAway
	}
	return s.ask(ctx, f)
}

// Get implements [queue.Store].
func (s *Store) Get(ctx context.Context, id mail.QueueID) (*queue.Entry, error) {
	if !absent[s.kind(id)] {
		e, err := s.spool.Get(ctx, id)
		if err == nil {
			return shown(e), nil
		}
		if !errors.Is(err, queue.ErrNotFound) {
			return nil, err
		}
	}
	var e *queue.Entry
	err := s.askUp(ctx, func(ctx context.Context) (err error) {
		e, err = s.redis.Get(ctx, id)
		return err
	})
	return e, err
}

// shown is an entry of the spool as others see it.
func shown(e *queue.Entry) *queue.Entry {
	if e.Twin == nil {
		return e
	}
	b := bare(e)
	b.Twin = e.Twin // goes with it through an attempt
	if _, kept := waits[e.Twin.Kind]; kept {
		b.Twin = nil // it can only be looked at
	}
	return b
}

// Content implements [queue.Store].
func (s *Store) Content(ctx context.Context, id mail.QueueID) (mail.Content, error) {
	if !absent[s.kind(id)] {
		c, err := s.spool.Content(ctx, id)
		if !errors.Is(err, queue.ErrNotFound) {
			return c, err
		}
	}
	var c mail.Content
	err := s.askUp(ctx, func(ctx context.Context) (err error) {
		c, err = s.redis.Content(ctx, id)
		return err
	})
	return c, err
}

// List implements [queue.Store]. While Redis is away it has what is in the
// spool.
func (s *Store) List(ctx context.Context, now time.Time, f queue.Filter, after mail.QueueID, max int) ([]*queue.Entry, error) {
	all, err := s.listHere(ctx, now, f, after, max)
	if err != nil {
		return nil, err
	}
	var there []*queue.Entry
	err = s.askUp(ctx, func(ctx context.Context) (err error) {
		there, err = s.redis.List(ctx, now, f, after, max)
		return err
	})
	if err != nil && stateOf(err) == OK {
		return nil, err
	}
	all = append(all, there...)
	slices.SortStableFunc(all, func(a, b *queue.Entry) int { return cmp.Compare(a.ID, b.ID) })
	all = slices.CompactFunc(all, func(a, b *queue.Entry) bool { return a.ID == b.ID })
	return all[:min(len(all), max)], nil
}

// Lacks implements [queue.Parted].
func (s *Store) Lacks() string {
	state, since := s.link.now()
	if s.link.up() {
		return ""
	}
	return fmt.Sprintf("what is in Redis (%s since %s)", state, since.UTC().Format(time.RFC3339))
}

// listHere lists the spool. Those that wait for Redis are held in it, which says
// nothing of the entries themselves: what a filter says of that is compared
// here.
func (s *Store) listHere(ctx context.Context, now time.Time, f queue.Filter, after mail.QueueID, max int) ([]*queue.Entry, error) {
	wide := f
	wide.State, wide.Reason = "", ""
	var out []*queue.Entry
	for {
		entries, err := s.spool.List(ctx, now, wide, after, max)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			after = e.ID
			if e.Twin != nil && absent[e.Twin.Kind] {
				continue
			}
			if e = shown(e); f.Match(e, now) {
				out = append(out, e)
			}
		}
		if len(entries) < max || len(out) >= max {
			return out, nil
		}
	}
}

// lookAgain is how long an entry waits at most that can be claimed once Redis is
// back, or once a doubt is settled: no store tells of that.
const lookAgain = 5 * time.Second

// NextDue implements [queue.Store].
func (s *Store) NextDue(ctx context.Context, now time.Time) (time.Time, bool, error) {
	due, ok, err := s.spool.NextDue(ctx, now)
	if err != nil {
		return due, ok, err
	}
	earlier := func(at time.Time) {
		if !ok || at.Before(due) {
			due, ok = at, true
		}
	}
	err = s.askUp(ctx, func(ctx context.Context) error {
		at, more, err := s.redis.NextDue(ctx, now)
		if err == nil && more {
			earlier(at)
		}
		return err
	})
	if err != nil && stateOf(err) == OK {
		return time.Time{}, false, err
	}
	if err != nil || s.pairs() > 0 {
		earlier(now.Add(lookAgain))
	}
	return due, ok, nil
}

// pairs is how many entries of the spool have a twin.
func (s *Store) pairs() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.twins)
}

// Stats implements [queue.Store].
func (s *Store) Stats(ctx context.Context, now time.Time) (queue.Stats, error) {
	here, err := s.spool.Stats(ctx, now)
	if err != nil {
		return here, err
	}
	s.mu.Lock()
	for _, c := range s.twins {
		if waits[c.kind] == "" {
			continue
		}
		here.Held--
		switch {
		case absent[c.kind]:
		case c.held:
			here.Held++
		default:
			here.Waiting++
		}
	}
	s.mu.Unlock()
	var there queue.Stats
	err = s.askUp(ctx, func(ctx context.Context) (err error) {
		there, err = s.redis.Stats(ctx, now)
		return err
	})
	if err != nil && stateOf(err) == OK {
		return there, err
	}
	return sum(here, there), nil
}

func sum(a, b queue.Stats) queue.Stats {
	a.Waiting += b.Waiting
	a.Active += b.Active
	a.Held = max(a.Held, 0) + b.Held
	if a.Oldest.IsZero() || !b.Oldest.IsZero() && b.Oldest.Before(a.Oldest) {
		a.Oldest = b.Oldest
	}
	if len(a.Lanes) == 0 || len(b.Lanes) == 0 {
		a.Lanes = append(a.Lanes, b.Lanes...)
		return a
	}
	lanes := map[string]int{}
	for _, l := range append(a.Lanes, b.Lanes...) {
		lanes[l.Lane] += l.Entries
	}
	a.Lanes = nil
	for lane, n := range lanes {
		a.Lanes = append(a.Lanes, queue.LaneStats{Lane: lane, Entries: n})
	}
	slices.SortFunc(a.Lanes, func(x, y queue.LaneStats) int {
		return cmp.Or(cmp.Compare(y.Entries, x.Entries), cmp.Compare(x.Lane, y.Lane))
	})
	a.Lanes = a.Lanes[:min(len(a.Lanes), queue.MaxLanes)]
	return a
}
