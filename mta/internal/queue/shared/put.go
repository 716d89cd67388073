package shared

import (
	"context"
	"fmt"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// Put implements [queue.Store]: the entry is in Redis, or in the spool.
func (s *Store) Put(ctx context.Context, e *queue.Entry, content mail.Content, until time.Time) error {
	return s.PutAll(ctx, []queue.Deposit{{Entry: e, Content: content, Until: until}})
}

// PutAll implements [queue.Store]: all entries are in Redis, or all in the
// spool. Of those in doubt e.Lease says that they are not to be attempted.
func (s *Store) PutAll(ctx context.Context, deposits []queue.Deposit) error {
	if len(deposits) == 0 {
		return nil
	}
	if !s.link.takes() {
		return s.putHere(ctx, deposits)
	}
	err := s.offer(ctx, func(ctx context.Context) error {
		if len(deposits) == 1 {
			d := deposits[0]
			return s.redis.Put(ctx, d.Entry, d.Content, d.Until)
		}
		return s.redis.PutAll(ctx, deposits)
	})
	switch {
	case err == nil:
		s.arrived(ctx, deposits)
		s.counts.PutShared.Add(int64(len(deposits)))
		return nil
	case unknown(err):
		return s.putInDoubt(ctx, deposits, err)
	case elsewhere(err):
		return s.putHere(ctx, deposits)
	}
	return err
}

// arrived notes entries that Redis took from this node.
func (s *Store) arrived(ctx context.Context, deposits []queue.Deposit) {
	for _, d := range deposits {
		if !d.Until.IsZero() {
			s.leased(d.Entry.ID, d.Until)
		}
		s.keepCopy(ctx, d.Entry, d.Content)
	}
}

func (s *Store) putHere(ctx context.Context, deposits []queue.Deposit) error {
	if err := s.spool.PutAll(ctx, deposits); err != nil {
		return fmt.Errorf("redis is away, and the spool: %w", err)
	}
	s.counts.PutSpool.Add(int64(len(deposits)))
	return nil
}

// putInDoubt puts into the spool what may be in Redis. If it cannot, nobody is
// promised anything, and if Redis has it after all its sender's next try makes
// two of it.
func (s *Store) putInDoubt(ctx context.Context, deposits []queue.Deposit, why error) error {
	waiting := inDoubt(deposits)
	if err := s.spool.PutAll(ctx, waiting); err != nil {
		return fmt.Errorf("%w, and the spool: %w", why, err)
	}
	s.doubted(waiting, why)
	return nil
}

// inDoubt are deposits as they are put into the spool. Nobody has their leases.
func inDoubt(deposits []queue.Deposit) []queue.Deposit {
	waiting := make([]queue.Deposit, len(deposits))
	for i, d := range deposits {
		waiting[i] = queue.Deposit{Entry: paired(d.Entry, doubt), Content: d.Content}
		waiting[i].Entry.Lease = queue.Lease{}
	}
	return waiting
}

func (s *Store) doubted(deposits []queue.Deposit, why error) {
	for _, d := range deposits {
		s.correlate(d.Entry)
		s.counts.Doubts.Add(1)
		s.log.Warn("in doubt", "queue_id", d.Entry.ID, "err", why)
	}
}

// leased notes that this process has the lease of an entry in Redis.
func (s *Store) leased(id mail.QueueID, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases[id] = until
}

func (s *Store) unleased(id mail.QueueID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.leases, id)
}
