package shared

import (
	"context"
	"errors"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// mend brings the spool and Redis together as far as it can: results first,
// which end what others may repeat, then doubts. The error is one of Redis, which
// ends it.
func (s *Store) mend(ctx context.Context) error {
	for _, id := range s.twinsOf(result, done) {
		if err := s.withTwin(ctx, id, s.apply); err != nil {
			return err
		}
	}
	for _, id := range s.twinsOf(doubt, late, withdrawn) {
		if err := s.withTwin(ctx, id, s.settle); err != nil {
			return err
		}
	}
	return nil
}

// twinsOf are the entries of the spool that have a twin of one of these kinds.
func (s *Store) twinsOf(kinds ...string) []mail.QueueID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []mail.QueueID
	for _, kind := range kinds {
		for id, c := range s.twins {
			if c.kind == kind {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// withTwin leases an entry of the spool and has f deal with it. One that is
// being attempted is left for later. The error is one of Redis, from f.
func (s *Store) withTwin(ctx context.Context, id mail.QueueID, f func(context.Context, *queue.Entry) error) error {
	e, err := s.takeHere(ctx, id)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		s.forgetTwin(id)
	case errors.Is(err, queue.ErrActive):
	case err != nil:
		s.failed(id, err)
	case e.Twin == nil || e.Twin.Kind == stay:
		s.forgetTwin(id)
		s.giveBackHere(ctx, e)
	default:
		return f(ctx, e)
	}
	return nil
}

// later gives back an entry of the spool that Redis did not want to decide, and
// passes on the error if it says that Redis is away.
func (s *Store) later(ctx context.Context, e *queue.Entry, err error) error {
	s.giveBackHere(ctx, e)
	if stateOf(err) == OK {
		s.failed(e.ID, err)
		return nil
	}
	return err
}

// failed logs an error of a store of this node. What was to be done is tried
// again.
func (s *Store) failed(id mail.QueueID, err error) {
	s.log.Error("queue store", "queue_id", id, "err", err)
}

// apply writes to Redis what an attempt came to. r is leased, and gone from the
// spool once that is done, or is never to be done.
func (s *Store) apply(ctx context.Context, r *queue.Entry) error {
	e := bare(r)
	e.Lease = queue.Lease{Token: r.Twin.Token}
	finish := r.Twin.Kind == done
	gone := false
	err := s.ask(ctx, func(ctx context.Context) error {
		if !finish {
			return s.redis.Update(ctx, e)
		}
		_, err := s.redis.Get(ctx, e.ID)
		if gone = errors.Is(err, queue.ErrNotFound); gone {
			return nil
		}
		return s.redis.Remove(ctx, e)
	})
	switch {
	case errors.Is(err, queue.ErrLease):
		err = s.applyAnew(ctx, e, finish)
	case gone && s.lapsed(e.ID):
		s.overtaken(e.ID)
	case err == nil:
		s.applied(ctx, e, finish)
	}
	if err != nil {
		return s.later(ctx, r, err)
	}
	s.unleased(r.ID)
	s.dropHere(ctx, r)
	return nil
}

func (s *Store) applied(ctx context.Context, e *queue.Entry, finish bool) {
	s.counts.Applied.Add(1)
	kind := result
	if finish {
		kind = done
	}
	s.wrote(ctx, e, kind)
}

// lapsed tells whether another node may have had the lease under which a result
// was kept. After a restart of this one nobody knows.
func (s *Store) lapsed(id mail.QueueID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.twins[id]
	return c == nil || !time.Now().Before(c.ends)
}

// overtaken counts a result that comes too late: another node may have come to
// one of its own.
func (s *Store) overtaken(id mail.QueueID) {
	s.counts.Overtaken.Add(1)
	s.log.Warn("lease lost", "queue_id", id, "err", "another node may have attempted it while redis was away from this one")
}

// applyAnew writes a result under a new lease, the old one having passed to
// another, or ended with this very result. What is finished is finished whatever
// others did with it; what is changed is only if they came to nothing.
func (s *Store) applyAnew(ctx context.Context, e *queue.Entry, finish bool) error {
	var now *queue.Entry
	err := s.ask(ctx, func(ctx context.Context) (err error) {
		at := time.Now()
		now, err = s.redis.Take(ctx, e.ID, at, at.Add(s.o.Limit))
		return err
	})
	switch {
	case errors.Is(err, queue.ErrNotFound) || errors.Is(err, queue.ErrActive):
		s.overtaken(e.ID)
		return nil
	case err != nil:
		return err
	case !finish && now.Attempts == e.Attempts && now.Due.Equal(e.Due):
		s.giveBackThere(ctx, e.ID, now.Lease.Token) // Redis has it, and only the answer was lost
		s.applied(ctx, e, finish)
		return nil
	case !finish && now.Attempts >= e.Attempts:
		s.giveBackThere(ctx, e.ID, now.Lease.Token)
		s.overtaken(e.ID)
		return nil
	}
	e.Lease = now.Lease
	err = s.ask(ctx, func(ctx context.Context) error {
		if finish {
			return s.redis.Remove(ctx, e)
		}
		return s.redis.Update(ctx, e)
	})
	if err == nil {
		s.applied(ctx, e, finish)
	}
	return err
}

// settle asks Redis about an entry that it may have. e is leased.
func (s *Store) settle(ctx context.Context, e *queue.Entry) error {
	var there bool
	err := s.add(ctx, func(ctx context.Context) (err error) {
		there, err = s.redis.Settle(ctx, e.ID, e.Twin.Put)
		return err
	})
	switch {
	case err != nil:
		return s.later(ctx, e, err)
	case !there:
		s.counts.SettledHere.Add(1)
		s.settled(ctx, e)
	case e.Twin.Kind == doubt || e.Twin.Kind == late && e.Attempts == 0:
		s.counts.SettledThere.Add(1)
		if content, err := s.spool.Content(ctx, e.ID); err == nil {
			s.keepCopy(ctx, bare(e), content)
		}
		s.dropHere(ctx, e)
	default:
		return s.removeThere(ctx, e)
	}
	return nil
}

// removeThere removes from Redis what this node has attempted since, or
// finished.
func (s *Store) removeThere(ctx context.Context, e *queue.Entry) error {
	err := s.ask(ctx, func(ctx context.Context) error {
		now := time.Now()
		twin, err := s.redis.Take(ctx, e.ID, now, now.Add(s.o.Limit))
		if err != nil {
			return err
		}
		return s.redis.Remove(ctx, twin)
	})
	switch {
	case err == nil:
		s.settled(ctx, e)
	case errors.Is(err, queue.ErrNotFound) || errors.Is(err, queue.ErrLease):
		s.counts.Doubled.Add(1) // another node finished it, too
		s.log.Warn("doubled", "queue_id", e.ID)
		s.settled(ctx, e)
	case errors.Is(err, queue.ErrActive): // another node attempts it
		s.giveBackHere(ctx, e)
	default:
		return s.later(ctx, e, err)
	}
	return nil
}

// settled makes an entry one that Redis does not have and never will, or ends
// it if it was finished. e is leased.
func (s *Store) settled(ctx context.Context, e *queue.Entry) {
	if e.Twin.Kind == withdrawn {
		s.dropHere(ctx, e)
		return
	}
	s.rewrite(ctx, e, stay)
}

// rewrite gives an entry of the spool, which is leased, another twin.
func (s *Store) rewrite(ctx context.Context, e *queue.Entry, kind string) {
	n := bare(e)
	if kind != "" {
		n = paired(e, kind)
	}
	if err := s.spool.Update(ctx, n); err != nil {
		s.failed(e.ID, err)
		s.giveBackHere(ctx, e)
		return
	}
	s.correlate(n)
}

// dropHere removes an entry from the spool, which is leased.
func (s *Store) dropHere(ctx context.Context, e *queue.Entry) error {
	if err := s.spool.Remove(ctx, e); err != nil {
		s.failed(e.ID, err)
		s.giveBackHere(ctx, e)
		return err
	}
	s.forgetTwin(e.ID)
	return nil
}

func (s *Store) giveBackHere(ctx context.Context, e *queue.Entry) {
	if err := s.spool.Extend(ctx, e.ID, e.Lease.Token, time.Time{}); err != nil && !errors.Is(err, queue.ErrLease) {
		s.failed(e.ID, err)
	}
}

// expireDoubts has those attempted from here that Redis could not be asked about
// for too long.
func (s *Store) expireDoubts(ctx context.Context) {
	s.mu.Lock()
	var ids []mail.QueueID
	for id, c := range s.twins {
		if c.kind == doubt && time.Since(c.since) >= s.o.Doubt {
			ids = append(ids, id)
		}
	}
	s.mu.Unlock()
	for _, id := range ids {
		s.withTwin(ctx, id, func(ctx context.Context, e *queue.Entry) error {
			s.counts.Late.Add(1)
			s.log.Warn("doubt expired", "queue_id", id, "cure", "none: if redis has the message too, it is delivered twice")
			s.rewrite(ctx, e, late)
			return nil
		})
	}
}
