package shared

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/redis"
)

// there tells whether the entry that somebody has a lease of is in Redis. A lease
// that this process does not know of is not one of Redis' while that is away.
func (s *Store) there(ctx context.Context, id mail.QueueID) (bool, error) {
	if s.hasLease(id) {
		return true, nil
	}
	_, err := s.spool.Get(ctx, id)
	switch {
	case err == nil:
		return absent[s.kind(id)] && s.link.up(), nil
	case errors.Is(err, queue.ErrNotFound):
		return s.link.up(), nil
	}
	return false, err
}

func (s *Store) hasLease(id mail.QueueID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, leased := s.leases[id]
	return leased
}

// leaseOver tells whether a lease in Redis has ended by this node's clock.
func (s *Store) leaseOver(id mail.QueueID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ends, leased := s.leases[id]
	return leased && !time.Now().Before(ends)
}

// absent are the kinds of twins whose entry itself is in Redis, if anywhere.
var absent = map[string]bool{withdrawn: true, result: true, done: true}

// Update implements [queue.Store]. What cannot be written to Redis is written
// into the spool, and to Redis once that is back.
func (s *Store) Update(ctx context.Context, e *queue.Entry) error {
	there, err := s.there(ctx, e.ID)
	switch {
	case err != nil:
		return err
	case !there:
		return s.spool.Update(ctx, e)
	}
	return s.write(ctx, e, result, nil, func(ctx context.Context) error { return s.redis.Update(ctx, e) })
}

// Remove implements [queue.Store].
func (s *Store) Remove(ctx context.Context, e *queue.Entry) error {
	there, err := s.there(ctx, e.ID)
	switch {
	case err != nil:
		return err
	case !there && s.kind(e.ID) == late:
		return s.withdraw(ctx, e, nil)
	case !there:
		return s.spool.Remove(ctx, e)
	}
	return s.write(ctx, e, done, nil, func(ctx context.Context) error { return s.redis.Remove(ctx, e) })
}

// Conclude implements [queue.Store].
func (s *Store) Conclude(ctx context.Context, e *queue.Entry, more []queue.Deposit) error {
	there, err := s.there(ctx, e.ID)
	over := len(e.Envelope.Recipients) == 0
	switch {
	case err != nil:
		return err
	case !there && over && s.kind(e.ID) == late:
		return s.withdraw(ctx, e, more)
	case !there:
		return s.spool.Conclude(ctx, e, more)
	}
	kind := result
	if over {
		kind = done
	}
	return s.write(ctx, e, kind, more, func(ctx context.Context) error { return s.redis.Conclude(ctx, e, more) })
}

// withdraw ends an entry of the spool that Redis may have, too.
func (s *Store) withdraw(ctx context.Context, e *queue.Entry, more []queue.Deposit) error {
	w := paired(e, withdrawn)
	w.Envelope.Recipients = []mail.Recipient{{}} // an entry with none is removed
	if err := s.spool.Conclude(ctx, w, more); err != nil {
		return err
	}
	s.correlate(w)
	return nil
}

// write makes a change to an entry that is in Redis, and puts more with it. If
// Redis cannot, or may have, the spool keeps it: an attempt is over once its
// result is somewhere.
func (s *Store) write(ctx context.Context, e *queue.Entry, kind string, more []queue.Deposit, change func(context.Context) error) error {
	usable := s.link.up() && (len(more) == 0 || s.link.takes())
	err := error(redis.ErrAway)
	if usable {
		err = s.offerIf(ctx, len(more) > 0, change)
	}
	switch {
	case err == nil:
		s.unleased(e.ID)
		s.wrote(ctx, e, kind)
		s.arrived(ctx, more)
		return nil
	case errors.Is(err, queue.ErrLease):
		s.unleased(e.ID)
		return err
	case stateOf(err) == OK || !s.hasLease(e.ID):
		return err
	case len(more) > 0 && s.leaseOver(e.ID):
		// This process stood still. Whoever has the lease now comes to the same end,
		// and brings what comes with it, such as a DSN; there must not be two.
		s.unleased(e.ID)
		return fmt.Errorf("%w: it is over, and %w", queue.ErrLease, err)
	}
	if err := s.keepResult(ctx, e, kind, more, unknown(err)); err != nil {
		return fmt.Errorf("redis is away, and the spool: %w", err)
	}
	s.unleased(e.ID)
	return nil
}

func (s *Store) offerIf(ctx context.Context, brings bool, change func(context.Context) error) error {
	if brings {
		return s.offer(ctx, change)
	}
	return s.ask(ctx, change)
}

// wrote brings the copy up to date.
func (s *Store) wrote(ctx context.Context, e *queue.Entry, kind string) {
	if kind == done {
		s.finished.add(e.ID, e.Lease.Token)
		s.dropCopy(ctx, e.ID)
	} else {
		s.changeCopy(ctx, e)
	}
}

// keepResult keeps in the spool, in one step, what an attempt at an entry in
// Redis came to and what it brought; that is in doubt if the result is.
func (s *Store) keepResult(ctx context.Context, e *queue.Entry, kind string, more []queue.Deposit, unclear bool) error {
	r := paired(e, kind)
	r.Twin.Token = e.Lease.Token
	r.Lease = queue.Lease{}
	if unclear {
		waiting := inDoubt(more)
		if err := s.putResult(ctx, r, waiting); err != nil {
			return err
		}
		s.doubted(waiting, errConclude)
	} else if err := s.putResult(ctx, r, more); err != nil {
		return err
	}
	s.correlate(r)
	s.counts.Results.Add(1)
	return nil
}

var errConclude = errors.New("the end of an attempt, and what came with it, had no answer")

// putResult puts a result into the spool. What the spool has with the same ID
// speaks of an older state of the same entry.
func (s *Store) putResult(ctx context.Context, r *queue.Entry, more []queue.Deposit) error {
	own := queue.Deposit{Entry: r, Content: mail.Bytes(nil)}
	err := s.spool.PutAll(ctx, append([]queue.Deposit{own}, more...))
	if !errors.Is(err, queue.ErrExists) {
		return err
	}
	old, err := s.takeHere(ctx, r.ID)
	if err != nil {
		return err
	}
	r.Lease = old.Lease
	if len(r.Envelope.Recipients) == 0 {
		r.Envelope.Recipients = []mail.Recipient{{}} // an entry with none is removed
	}
	return s.spool.Conclude(ctx, r, more)
}

// takeHere leases an entry of the spool to the background work.
func (s *Store) takeHere(ctx context.Context, id mail.QueueID) (*queue.Entry, error) {
	now := time.Now()
	return s.spool.Take(ctx, id, now, now.Add(s.o.Limit))
}

// Replace implements [queue.Store]. While Redis is away nothing is replaced
// there: what is in the spool is only what came of attempts.
func (s *Store) Replace(ctx context.Context, e *queue.Entry, content mail.Content, more []queue.Deposit) error {
	there, err := s.there(ctx, e.ID)
	switch {
	case err != nil:
		return err
	case !there && len(e.Envelope.Recipients) == 0 && s.kind(e.ID) == late:
		return s.withdraw(ctx, e, more)
	case !there:
		return s.spool.Replace(ctx, e, content, more)
	case !s.link.takes():
		return redis.ErrAway
	}
	err = s.offer(ctx, func(ctx context.Context) error { return s.redis.Replace(ctx, e, content, more) })
	switch {
	case err == nil && len(e.Envelope.Recipients) == 0:
		s.unleased(e.ID)
		s.dropCopy(ctx, e.ID)
		s.arrived(ctx, more)
	case err == nil:
		s.replaceCopy(ctx, e, content)
		s.arrived(ctx, more)
	case errors.Is(err, queue.ErrLease):
		s.unleased(e.ID)
	case unknown(err):
		// Whichever of the two it is now, it is attempted as that once the lease
		// has lapsed. Nobody must write over it until then.
		s.unleased(e.ID)
		return fmt.Errorf("%w: %w", queue.ErrLease, err)
	}
	return err
}

// Extend implements [queue.Store]. A lease in Redis that cannot be renewed
// while Redis is away is over when most of it has passed: by this node's clock,
// and before another node can have it.
func (s *Store) Extend(ctx context.Context, id mail.QueueID, token uint64, until time.Time) error {
	s.mu.Lock()
	ends, leased := s.leases[id]
	s.mu.Unlock()
	if !leased {
		there, err := s.there(ctx, id)
		switch {
		case err != nil:
			return err
		case !there:
			return s.spool.Extend(ctx, id, token, until)
		}
	}
	err := error(redis.ErrAway)
	if s.link.up() {
		err = s.ask(ctx, func(ctx context.Context) error { return s.redis.Extend(ctx, id, token, until) })
	}
	now := time.Now()
	switch {
	case errors.Is(err, queue.ErrLease):
		s.unleased(id)
	case until.IsZero():
		s.unleased(id)
		if stateOf(err) != OK {
			return nil // it lapses by itself
		}
	case err == nil:
		s.leased(id, until)
	case leased && ends.Sub(now) < until.Sub(now)/3:
		return fmt.Errorf("%w: it cannot be renewed: %w", queue.ErrLease, err)
	}
	return err
}
