package shared

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

const (
	// maxFinished is how many entries a node remembers to have finished: 4 MB.
	// It takes a minute until the other nodes have dropped their copies of one.
	maxFinished = 1 << 16

	// restoreGrace is how long a node goes on saying that it puts back entries
	// after it did: so that those that have not noticed yet do so, and nothing is
	// claimed that one of them knows better. Each asks Redis every second.
	restoreGrace = 5 * time.Second
)

// finished are the entries that this node finished last, with the tokens they
// had then.
type finished struct {
	mu   sync.Mutex
	ring []queue.Twin
	ids  []mail.QueueID
	next int
}

func (f *finished) add(id mail.QueueID, token uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.ids) < maxFinished {
		f.ids, f.ring = append(f.ids, id), append(f.ring, queue.Twin{Token: token})
		return
	}
	f.ids[f.next], f.ring[f.next].Token = id, token
	f.next = (f.next + 1) % maxFinished
}

// of are those of some shards.
func (f *finished) of(shards []int) map[mail.QueueID]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	tokens := map[mail.QueueID]uint64{}
	for i, id := range f.ids {
		if slices.Contains(shards, id.Shard()) {
			tokens[id] = f.ring[i].Token
		}
	}
	return tokens
}

// restore puts back what Redis lost, into those of its shards that are not what
// they were. Other nodes do the same with what they have: first what is finished
// is made known, then copies are put back, and of each the newest stays.
func (s *Store) restore(ctx context.Context) error {
	shards, err := s.lostShards(ctx)
	if err != nil || len(shards) == 0 {
		return err
	}
	began := time.Now()
	for _, shard := range shards {
		if err := s.ask(ctx, func(ctx context.Context) error { return s.redis.BeginRestore(ctx, shard) }); err != nil {
			return err
		}
	}
	if err := s.add(ctx, func(ctx context.Context) error { return s.redis.Bury(ctx, s.finished.of(shards)) }); err != nil {
		return err
	}
	if err := s.resultsIntoCopies(ctx, shards); err != nil {
		return err
	}
	n, err := s.putBack(ctx, shards)
	s.counts.PutBack.Add(int64(n))
	s.log.Warn("put back", "messages", n, "shards", len(shards), "took", time.Since(began).Round(time.Millisecond), "err", err)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(restoreGrace):
	}
	for _, shard := range shards {
		if err := s.ask(ctx, func(ctx context.Context) error { return s.redis.EndRestore(ctx, shard) }); err != nil {
			return err
		}
	}
	return nil
}

// lostShards are those that Redis says are not what they were.
func (s *Store) lostShards(ctx context.Context) ([]int, error) {
	var lost []int
	for shard := range mail.Shards {
		err := s.ask(ctx, func(ctx context.Context) error {
			_, err := s.redis.Present(ctx, []mail.QueueID{probeID(shard)})
			return err
		})
		if stateOf(err) == Emptied {
			lost = append(lost, shard)
		} else if err != nil {
			return nil, err
		}
	}
	return lost, nil
}

// resultsIntoCopies brings the copies up to date by what attempts came to while
// Redis was away, or was not what it was.
func (s *Store) resultsIntoCopies(ctx context.Context, shards []int) error {
	for _, id := range s.twinsOf(result, done) {
		if !slices.Contains(shards, id.Shard()) {
			continue
		}
		if err := s.withTwin(ctx, id, s.intoCopy); err != nil {
			return err
		}
	}
	return nil
}

// intoCopy makes a result that of the copy. Without one it is left: another node
// may have a copy, and the result is for what that puts back.
func (s *Store) intoCopy(ctx context.Context, r *queue.Entry) error {
	e := bare(r)
	e.Lease = queue.Lease{Token: r.Twin.Token}
	switch {
	case r.Twin.Kind == done:
		err := s.add(ctx, func(ctx context.Context) error {
			return s.redis.Bury(ctx, map[mail.QueueID]uint64{e.ID: e.Lease.Token})
		})
		if err != nil {
			return s.later(ctx, r, err)
		}
		s.dropCopy(ctx, e.ID)
	case !s.updateCopy(ctx, e):
		s.giveBackHere(ctx, r)
		return nil
	}
	s.counts.Applied.Add(1)
	s.dropHere(ctx, r)
	return nil
}

// putBack puts back all copies of some shards.
func (s *Store) putBack(ctx context.Context, shards []int) (n int, err error) {
	if s.o.Copies == nil {
		return 0, nil
	}
	err = eachEntry(ctx, s.o.Copies, queue.Filter{}, func(c *queue.Entry) error {
		if !slices.Contains(shards, c.ID.Shard()) || c.Damaged {
			return nil
		}
		content, err := s.o.Copies.Content(ctx, c.ID)
		if errors.Is(err, queue.ErrNotFound) {
			return nil // it was finished just now
		}
		if err != nil {
			s.failed(c.ID, err)
			return nil
		}
		e := *c
		e.Twin = nil
		if c.Twin != nil {
			e.Lease.Token = c.Twin.Token
		}
		restored := false
		err = s.add(ctx, func(ctx context.Context) (err error) {
			restored, err = s.redis.Restore(ctx, &e, content)
			return err
		})
		if restored {
			n++
		}
		return err
	})
	return n, err
}

// probeID is the ID of no entry, of a shard.
func probeID(shard int) mail.QueueID {
	for {
		if id := mail.NewQueueID(time.Now()); id.Shard() == shard {
			return id
		}
	}
}
