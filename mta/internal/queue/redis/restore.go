package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

const (
	// tombstoneLife is how long an entry that must never be there is remembered:
	// longer than a server is paused that still executes what it had been sent.
	tombstoneLife = time.Hour

	// restoreLife is how long a shard waits for a node that puts back entries,
	// from the last that it put.
	restoreLife = 30 * time.Second

	// maxIDs is how many entries one script is asked about.
	maxIDs = 1000
)

var (
	settleScript  = newScript("settle", true)
	presentScript = newScript("present", false)
	beginScript   = newScript("begin", false)
	finishScript  = newScript("finish", false)
	restoreScript = newScript("restore", true)
	buryScript    = newScript("bury", true)
)

// Settle decides an entry whose Put had an [UnknownError]. There says that the
// entry is in the queue, or was and is finished by now; if not it never will be:
// a Put of it that is still under way somewhere is refused. It can be asked again
// and again.
//
// The operation is that of PutAs. If it is empty, it is that of a put of this
// process; and if there was none, any end of such an entry, of the last two minutes,
// is taken for the one of this put.
func (s *Store) Settle(ctx context.Context, id mail.QueueID, op string) (there bool, err error) {
	if op == "" {
		s.mu.Lock()
		op = s.given[id]
		s.mu.Unlock()
	}
	a, err := s.run(ctx, settleScript, id.Shard(), zero, "", string(id), op, tombstoneLife.Milliseconds())
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	delete(s.given, id)
	s.mu.Unlock()
	return len(a.rest) > 0 && text(a.rest[0]) == "1", nil
}

// Present tells of each ID whether its entry is in the queue now.
func (s *Store) Present(ctx context.Context, ids []mail.QueueID) ([]bool, error) {
	there := make([]bool, len(ids))
	return there, s.eachShard(ids, maxIDs, func(shard int, places []int) error {
		args := make([]any, len(places))
		for k, i := range places {
			args[k] = string(ids[i])
		}
		a, err := s.run(ctx, presentScript, shard, zero, "", args...)
		if err != nil {
			return err
		}
		for k, i := range places {
			there[i] = k < len(a.rest) && number(a.rest[k]) == 1
		}
		return nil
	})
}

// eachShard calls f with the places of IDs of one shard, not too many at once.
func (s *Store) eachShard(ids []mail.QueueID, most int, f func(shard int, places []int) error) error {
	var places [mail.Shards][]int
	for i, id := range ids {
		places[id.Shard()] = append(places[id.Shard()], i)
	}
	for shard, all := range places {
		for len(all) > 0 {
			n := min(len(all), most)
			if err := f(shard, all[:n]); err != nil {
				return err
			}
			all = all[n:]
		}
	}
	return nil
}

// BeginRestore is what a node calls that was told [ErrEmptied]: it takes the
// shard for what it is now, and keeps all nodes from claiming anything there until
// EndRestore, or until it has put nothing back for 30 s. Until it is called, all
// that this node does with the shard is ErrEmptied.
func (s *Store) BeginRestore(ctx context.Context, shard int) error {
	s.mu.Lock()
	s.shards[shard] = view{}
	s.mu.Unlock()
	_, err := s.run(ctx, beginScript, shard, zero, "", restoreLife.Microseconds())
	return err
}

// EndRestore says that this node has put back what it had.
func (s *Store) EndRestore(ctx context.Context, shard int) error {
	_, err := s.run(ctx, finishScript, shard, zero, "")
	return err
}

// Restore puts back an entry as this node knew it; e.Lease.Token is that of the
// last lease it knew of. Nothing happens if the entry is there in a state that is
// as new, or newer, or if it is known to be finished: restored is false then. It
// has no lease after that.
func (s *Store) Restore(ctx context.Context, e *queue.Entry, content mail.Content) (restored bool, err error) {
	if !validID(e.ID) {
		return false, fmt.Errorf("%q is no queue ID", e.ID)
	}
	p, err := s.store(ctx, e.ID, content)
	if err != nil {
		return false, err
	}
	args, err := s.fields(e, p, zero, time.Now(), e.Lease.Token)
	if err != nil {
		s.undo([]parcel{p})
		return false, err
	}
	a, err := s.run(ctx, restoreScript, e.ID.Shard(), zero, "", append([]any{restoreLife.Microseconds()}, args...)...)
	restored = err == nil && len(a.rest) > 0 && text(a.rest[0]) == "1"
	if err == nil && !restored {
		s.undo([]parcel{p})
	}
	return restored, err
}

// Bury ends entries that this node knows to be finished, in a shard that was set
// back to a time when they were not, and keeps other nodes from putting them back
// for an hour. Leases has the tokens of their last leases: an entry that somebody
// got a later one of is left alone.
func (s *Store) Bury(ctx context.Context, leases map[mail.QueueID]uint64) error {
	ids := make([]mail.QueueID, 0, len(leases))
	for id := range leases {
		ids = append(ids, id)
	}
	return s.eachShard(ids, maxIDs, func(shard int, places []int) error {
		args := []any{tombstoneLife.Milliseconds()}
		for _, i := range places {
			args = append(args, string(ids[i]), token(leases[ids[i]]))
		}
		_, err := s.run(ctx, buryScript, shard, zero, "", args...)
		return err
	})
}
