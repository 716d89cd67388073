// Package shared is the queue that nodes share in Redis, together with what
// each node has on its own disk so that it needs no Redis to answer for mail.
//
// # Places
//
// A node has two stores beside Redis: its spool, which is durable, and copies,
// which are written without waiting for the disk. Where an entry is, and which
// kind of [queue.Twin] it has there, is its state:
//
//	place   twin       what it means                        moved by, to
//	------  ---------  -----------------------------------  ------------------------------------
//	Redis   -          any node attempts it                 any node: as package queue has it
//	spool   none       Redis was never asked to take it;    the attempt: gone, waiting
//	                   this node attempts it                hand-over: doubt
//	spool   doubt      Redis was asked to take it, and      Settle: Redis (it is there), or stay
//	                   nobody saw the answer; nobody here   [Options.Doubt] passed: late
//	                   attempts it
//	spool   stay       Redis refuses it for good; this      the attempt: gone, waiting
//	                   node attempts it
//	spool   late       in doubt for too long; this node     the attempt: gone if it is not in Redis,
//	                   attempts it, and Redis may have it   else withdrawn
//	                                                        Redis is back: stay, or Redis
//	spool   withdrawn  it was late and is finished here;    Redis is back: gone, in both
//	                   Redis may have it
//	spool   result     what an attempt came to, at an       Redis is back: the entry in Redis is
//	        done       entry that is in Redis: changed, or  changed or removed, unless another node
//	                   finished                             has its lease by now; then gone
//	copies  copy       as this node last wrote the entry    the entry is finished: gone
//	                   to Redis                             Redis lost it: put back there
//
// A twin but none, stay, late and copy is held in the spool, so that no claim
// finds it, also after a restart and also by a server that knows nothing of
// Redis.
//
// # Nothing is lost
//
// A message is answered 250 once Redis or the spool has it durably. It leaves
// the spool only after Redis acknowledged that it has it (Put or Settle), or
// after an attempt that finished it. It leaves Redis only with the token of its
// last lease, by whoever finished it. If Redis itself loses it, the copy is put
// back; a copy is given up only once Redis, being the same as when it got the
// entry, says that the entry is finished.
//
// # Nothing is doubled but where an answer was never seen
//
// An entry can be attempted from one place at a time: in the spool only what
// Redis was never asked to take, or refuses for good. So two nodes can deliver
// the same message only if
//
//   - a put had no answer, and Redis could not be asked about it for
//     [Options.Doubt] (late);
//   - a node was cut off from Redis, in the middle of an attempt, for longer
//     than its lease, while others were not (overtaken);
//   - Redis lost entries, and with them who had finished what in the last
//     seconds (put back).
//
// Each of these is counted; [Counts] has the names.
package shared

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/redis"
)

// Defaults of the fields of [Options] that are zero.
const (
	DefaultPutLimit = 3 * time.Second  // a client waits for 250 meanwhile; Redis answers within milliseconds
	DefaultLimit    = 10 * time.Second // for everything that no client waits for
	DefaultDoubt    = 5 * time.Minute  // a restart of Redis, or a pause, is over by then
	DefaultProbe    = time.Second      // between two questions whether Redis is back; grows
	DefaultRate     = 500              // entries a second that are handed over; so that Redis has time for its clients
)

// Options are what a [Store] is made of.
type Options struct {
	Redis  Redis
	Spool  queue.Store // on this node's disk, durable
	Copies queue.Store // on this node's disk; need not be synced; nil: none are kept
	Log    *slog.Logger

	// Marks is a file for what this node knows of Redis, so that it notices also
	// after a restart that Redis lost something; empty: it does not. Place names
	// this Redis, without a password: marks of another say nothing.
	Marks, Place string

	PutLimit time.Duration // then the outcome of a put is unknown
	Limit    time.Duration // then that of any other call is
	Doubt    time.Duration // then a message whose put has no known outcome is attempted from here
	Probe    time.Duration // the first wait before Redis is asked whether it is back
	Rate     int           // entries a second that are handed over
}

// Redis is the store that nodes share, which may be away. Its errors are those
// of package redis.
type Redis interface {
	queue.Store

	// Run keeps this node one of those that share Redis.
	Run(ctx context.Context)

	// PutAs is Put as an operation with a name, which is like no other.
	PutAs(ctx context.Context, op string, e *queue.Entry, content mail.Content) error

	// Announce tells the other nodes that a lane is to be tried again.
	Announce(ctx context.Context, lane string) error

	// Settle tells, after a put without an answer, whether the entry is there, or
	// was and is finished. If neither, it will never be: a put that comes late is
	// refused. The operation is that of PutAs; empty: it was another put.
	Settle(ctx context.Context, id mail.QueueID, op string) (there bool, err error)

	// Ready is nil if nothing that Redis acknowledges is lost, by its settings, or
	// if that does not matter; else it is [redis.ErrUnsafe].
	Ready(ctx context.Context) error

	// Present tells which entries are there.
	Present(ctx context.Context, ids []mail.QueueID) ([]bool, error)

	// What follows is for a shard that was emptied or set back, for which all else
	// is [redis.ErrEmptied] until BeginRestore. Until EndRestore nobody claims of
	// it. Bury ends entries that are finished, given the tokens of their last
	// leases; Restore puts back another, as it was under the token of e.Lease,
	// unless Redis knows better.
	BeginRestore(ctx context.Context, shard int) error
	Bury(ctx context.Context, leases map[mail.QueueID]uint64) error
	Restore(ctx context.Context, e *queue.Entry, content mail.Content) (restored bool, err error)
	EndRestore(ctx context.Context, shard int) error

	// Marks are what this node knows of the shards, and Recall has it know what
	// an earlier process did.
	Marks() [mail.Shards]redis.Mark
	Recall(marks [mail.Shards]redis.Mark)
}

// A Store implements [queue.Store] over Redis and a spool. Safe for concurrent
// use.
type Store struct {
	o      Options
	redis  Redis
	spool  queue.Store
	log    *slog.Logger
	counts Counts
	link   link

	finished finished // by this node
	saved    marked   // what the file of marks has; of Open and Run alone

	mu     sync.Mutex                    // guards what follows; not held during I/O
	leases map[mail.QueueID]time.Time    // of entries in Redis: when those that this process has end
	twins  map[mail.QueueID]*correlation // of entries in the spool: those that have one
	odd    int                           // 0 or 1, by turns
}

// A correlation is what this process knows of an entry with a twin.
type correlation struct {
	kind  string
	held  bool      // the entry itself is held, by whoever wants it to be
	since time.Time // by this process's clock
	ends  time.Time // the lease in Redis under which a result was kept; zero: not known
}

// Kinds of twins; the package comment says what they mean.
const (
	doubt     = "doubt"
	stay      = "stay"
	late      = "late"
	withdrawn = "withdrawn"
	result    = "result"
	done      = "done"
	copied    = "copy"
)

// waits is why an entry with a twin is held in the spool.
var waits = map[string]string{
	doubt:     "it may be in Redis too: Redis did not answer, and is asked again",
	withdrawn: "it is finished, and may be in Redis too: it is removed there once that is back",
	result:    "what an attempt came to: it is written to Redis once that is back",
	done:      "it is finished: it is removed from Redis once that is back",
}

var _ queue.Store = (*Store)(nil)

// Open makes a store; it does not need Redis to be there. Run has to be called.
// It owns the stores in o, and Close closes them.
func Open(ctx context.Context, o Options) (*Store, error) {
	o.PutLimit = or(o.PutLimit, DefaultPutLimit)
	o.Limit = or(o.Limit, DefaultLimit)
	o.Doubt = or(o.Doubt, DefaultDoubt)
	o.Probe = or(o.Probe, DefaultProbe)
	o.Rate = or(o.Rate, DefaultRate)
	s := &Store{
		o: o, redis: o.Redis, spool: o.Spool, log: o.Log,
		leases: map[mail.QueueID]time.Time{},
		twins:  map[mail.QueueID]*correlation{},
	}
	s.link.init(o.Log)
	if err := s.recall(); err != nil {
		return nil, fmt.Errorf("open queue: %w", err)
	}
	if err := s.loadTwins(ctx); err != nil {
		return nil, fmt.Errorf("open queue: %w", err)
	}
	return s, nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Close closes the stores. Run must have returned.
func (s *Store) Close() error {
	err := errors.Join(s.redis.Close(), s.spool.Close())
	if s.o.Copies != nil {
		err = errors.Join(err, s.o.Copies.Close())
	}
	return err
}

// page is how many entries are read at once.
const page = 200

// loadTwins finds what a process before this one left half done. Nearly always
// nothing is held in the spool, and nothing is read.
func (s *Store) loadTwins(ctx context.Context) error {
	now := time.Now()
	stats, err := s.spool.Stats(ctx, now)
	if err != nil || stats.Held == 0 {
		return err
	}
	return eachEntry(ctx, s.spool, queue.Filter{State: queue.Held}, func(e *queue.Entry) error {
		if e.Twin != nil {
			s.correlate(e)
		}
		return nil
	})
}

// eachEntry calls f with the entries of a store that match, in the order of
// their IDs, which is that of their age.
func eachEntry(ctx context.Context, store queue.Store, filter queue.Filter, f func(*queue.Entry) error) error {
	after := mail.QueueID("")
	for {
		entries, err := store.List(ctx, time.Now(), filter, after, page)
		if err != nil {
			return err
		}
		for _, e := range entries {
			after = e.ID
			if err := f(e); err != nil {
				return err
			}
		}
		if len(entries) < page {
			return nil
		}
	}
}

// correlate notes the twin of an entry in the spool, or that it has none.
func (s *Store) correlate(e *queue.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Twin == nil || e.Twin.Kind == stay {
		delete(s.twins, e.ID)
		return
	}
	held := e.Held != ""
	if _, kept := waits[e.Twin.Kind]; kept {
		held = e.Twin.Held != ""
	}
	s.twins[e.ID] = &correlation{e.Twin.Kind, held, time.Now(), s.leases[e.ID]}
}

// kind is that of the twin of an entry in the spool; empty: it has none that
// matters.
func (s *Store) kind(id mail.QueueID) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.twins[id]; c != nil {
		return c.kind
	}
	return ""
}

func (s *Store) forgetTwin(id mail.QueueID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.twins, id)
}

// paired is e as it stands in the spool with a twin of that kind. It shares
// slices with e.
func paired(e *queue.Entry, kind string) *queue.Entry {
	c := bare(e)
	c.Twin = &queue.Twin{Kind: kind}
	if e.Twin != nil {
		c.Twin.Put = e.Twin.Put
	}
	if why, kept := waits[kind]; kept {
		c.Twin.Held, c.Held = c.Held, why
	}
	return c
}

// bare is e without a twin, held only if it is meant to be.
func bare(e *queue.Entry) *queue.Entry {
	c := *e
	if e.Twin != nil {
		if _, kept := waits[e.Twin.Kind]; kept {
			c.Held = e.Twin.Held
		}
		c.Twin = nil
	}
	return &c
}
