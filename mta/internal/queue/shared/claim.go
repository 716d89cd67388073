package shared

import (
	"context"
	"errors"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// Claim implements [queue.Store]. Half of the room is for the spool, so that
// neither waits for the other to run dry.
func (s *Store) Claim(ctx context.Context, now, until time.Time, max int, pick queue.Pick) ([]*queue.Entry, error) {
	rooms := newRooms(pick, now)
	if !s.link.up() {
		return s.claimHere(ctx, now, until, max, rooms)
	}
	half := s.half(max)
	entries, err := s.claimHere(ctx, now, until, half, rooms)
	if err != nil || len(entries) == max {
		return entries, err
	}
	there, err := s.claimThere(ctx, now, until, max-len(entries), rooms)
	if err != nil && stateOf(err) == OK && len(entries) == 0 {
		return nil, err
	}
	all := append(entries, there...)
	if len(entries) < half || len(all) == max {
		return all, nil
	}
	rest, err := s.claimHere(ctx, now, until, max-len(all), rooms)
	if err != nil {
		s.log.Error("queue store", "err", err) // what is claimed must not be forgotten
	}
	return append(all, rest...), nil
}

// half of an odd number is once the smaller part, once the larger.
func (s *Store) half(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.odd = 1 - s.odd
	return (n + s.odd) / 2
}

func (s *Store) claimHere(ctx context.Context, now, until time.Time, max int, rooms *rooms) ([]*queue.Entry, error) {
	if max == 0 {
		return nil, nil
	}
	entries, err := s.spool.Claim(ctx, now, until, max, rooms.pick())
	rooms.used(entries)
	for _, e := range entries {
		s.remember(e)
	}
	return entries, err
}

// remember notes an entry of the spool that is late since before this process.
func (s *Store) remember(e *queue.Entry) {
	if e != nil && e.Twin != nil && e.Twin.Kind == late && s.kind(e.ID) == "" {
		s.correlate(e)
	}
}

func (s *Store) claimThere(ctx context.Context, now, until time.Time, max int, rooms *rooms) ([]*queue.Entry, error) {
	var entries []*queue.Entry
	err := s.ask(ctx, func(ctx context.Context) (err error) {
		entries, err = s.redis.Claim(ctx, now, until, max, rooms.pick())
		return err
	})
	if err != nil {
		return nil, err
	}
	rooms.used(entries)
	free := entries[:0]
	for _, e := range entries {
		s.leased(e.ID, until)
		if s.kind(e.ID) == "" || s.reunite(ctx, e) {
			free = append(free, e)
		}
	}
	return free, nil
}

// reunite deals with an entry of Redis that this node has got the lease of,
// though it has one with the same ID in the spool. It tells whether the one of
// Redis is to be attempted.
func (s *Store) reunite(ctx context.Context, e *queue.Entry) bool {
	here, err := s.takeHere(ctx, e.ID)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		s.forgetTwin(e.ID)
		return true
	case err != nil: // it is being attempted from here: it is late
		s.giveBackThere(ctx, e.ID, e.Lease.Token)
		return false
	}
	switch kind := here.Twin.Kind; {
	case kind == result || kind == done:
		here.Twin.Token = e.Lease.Token // newer than the one it was kept under
		s.apply(ctx, here)
		return false
	case kind == doubt || kind == late && here.Attempts == 0:
		s.counts.SettledThere.Add(1)
		return s.dropHere(ctx, here) == nil
	}
	s.counts.Doubled.Add(1)
	if err := s.ask(ctx, func(ctx context.Context) error { return s.redis.Remove(ctx, e) }); err != nil {
		s.giveBackHere(ctx, here)
		return false
	}
	s.unleased(e.ID)
	s.settled(ctx, here)
	return false
}

func (s *Store) giveBackThere(ctx context.Context, id mail.QueueID, token uint64) {
	s.unleased(id)
	err := s.ask(ctx, func(ctx context.Context) error { return s.redis.Extend(ctx, id, token, time.Time{}) })
	if err != nil {
		s.log.Debug("queue store", "queue_id", id, "err", err) // it lapses by itself
	}
}

// rooms share what pick gives to a lane between two claims that ask for the
// same lanes.
type rooms struct {
	ask  queue.Pick
	now  time.Time
	left map[string]int
}

func newRooms(pick queue.Pick, now time.Time) *rooms {
	return &rooms{pick, now, map[string]int{}}
}

// pick is nil if it bounds nothing.
func (r *rooms) pick() queue.Pick {
	if r.ask == nil {
		return nil
	}
	return func(lane string) (int, time.Time) {
		if n, asked := r.left[lane]; asked {
			return n, r.now // none may be left: it can be asked for at once
		}
		n, notBefore := r.ask(lane)
		r.left[lane] = n
		return n, notBefore
	}
}

func (r *rooms) used(entries []*queue.Entry) {
	for _, e := range entries {
		if _, asked := r.left[e.Lane]; asked {
			r.left[e.Lane]--
		}
	}
}

// Wake implements [queue.Store].
func (s *Store) Wake(ctx context.Context, lane string) error {
	err := s.spool.Wake(ctx, lane)
	if s.link.up() {
		err = errors.Join(err, s.ask(ctx, func(ctx context.Context) error { return s.redis.Wake(ctx, lane) }))
	}
	return err
}

// Announce tells the other nodes that a lane is to be tried again.
func (s *Store) Announce(ctx context.Context, lane string) error {
	return s.askUp(ctx, func(ctx context.Context) error { return s.redis.Announce(ctx, lane) })
}

// Take implements [queue.Store]. What is in doubt is not to be had.
func (s *Store) Take(ctx context.Context, id mail.QueueID, now, until time.Time) (*queue.Entry, error) {
	switch kind := s.kind(id); {
	case kind == doubt:
		return nil, queue.ErrActive
	case !absent[kind]:
		e, err := s.spool.Take(ctx, id, now, until)
		if !errors.Is(err, queue.ErrNotFound) {
			s.remember(e)
			return e, err
		}
	}
	var e *queue.Entry
	err := s.askUp(ctx, func(ctx context.Context) (err error) {
		e, err = s.redis.Take(ctx, id, now, until)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.leased(id, until)
	if s.kind(id) != "" && !s.reunite(ctx, e) {
		return nil, queue.ErrActive
	}
	return e, nil
}
