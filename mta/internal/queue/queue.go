// Package queue is accepted mail until every recipient has an outcome. It
// decides when a message is attempted, what becomes of it after, and whom to
// tell. How entries are kept is the store's part, how they travel the
// deliverer's, and what a notification looks like package dsn's.
//
// # States
//
// An entry is in one of these states, and only these may move it:
//
//	state    what it means                     moved by, to
//	-------  --------------------------------  ---------------------------------------------
//	waiting  due at a time, nobody has it      Run: active, once it is due and its lane has
//	                                           room, or once it is to be warned of or expires
//	                                           operator: held, gone, or due now
//	active   leased; one attempt has it, or    the attempt: waiting (some recipient is
//	         it is next in line for one        deferred), gone (none is left), held (it
//	                                           fails here again and again)
//	                                           its lane going down: waiting
//	                                           its lease ending, the process dying: waiting
//	held     kept until an operator decides    operator: waiting (released), gone
//	gone     not in the store any more         nobody
//
// Enqueue puts a new entry down as active where there is room for it in memory,
// so that the first attempt needs no reading; else as waiting; and as held if
// the pipeline quarantined it. A store never changes a state on its own: it
// hands out leases and takes changes from those who have one.
//
// # Lanes
//
// Entries are attempted by the lane of their next hop: see lane.go for what a
// lane may do at once, dispatch.go for what all of them may. Nothing waits for a
// place while it has one of [Queue.Concurrency]: it waits in memory, of which
// there is little, or in the store, which is asked lane by lane and leaves out
// those that have no room. A next hop that is down is probed by one message at a
// time. What an attempt finds out about its recipients, it finds out about their
// lane as well; what is out of an attempt's hands (an entry whose lane stays
// down, or that has no turn for days) the sweep warns of and returns in time.
//
// Before its first attempt an active entry is reviewed once, if there are
// [Hooks]: what they leave takes the entry's place in the store, together with
// what else comes of it, before it is attempted. They may also hold it, end it,
// or have it wait.
//
// # What is promised
//
// A message is answered 250 only after [Store.Put]. From then on each of its
// recipients is delivered, relayed, reported in a DSN, held, or still in the
// store. The DSN comes into the store in the step in which the entry that it
// speaks of loses the recipient, so that a crash neither loses it nor sends it
// twice; and one that cannot be delivered itself goes to the postmaster, or is
// held.
package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// Defaults of the fields of [Queue] that are zero.
const (
	DefaultConcurrency = 500                // attempts at once: enough to hide hundreds of slow next hops, and half of 1,024 file handles
	DefaultExpireAfter = 5 * 24 * time.Hour // RFC 5321 §4.5.4.1: at least 4 to 5 days
	DefaultWindow      = 1000               // fresh messages in memory, next in line
	DefaultWindowSize  = 64 << 20           // octets of their contents
	DefaultLease       = 2 * time.Minute    // then another node takes over from one that died
	DefaultGrace       = 20 * time.Second   // for attempts in flight, when the server stops
)

// maxInMemory is the largest content, in octets, that goes to its first attempt
// from memory. Larger ones are read back from the store.
const maxInMemory = 128 << 10

// A Queue keeps messages until they are done with. Its fields do not change
// once it is used. Safe for concurrent use.
type Queue struct {
	Store     Store
	Deliverer mail.Deliverer
	Hostname  string // in DSNs
	Log       *slog.Logger

	Schedule    Schedule
	RetryOn     map[Reason]Schedule // instead of Schedule, by why a recipient was deferred; what is left out is as in DefaultRetryOn
	NextHops    []NextHop           // what is different for some next hops; the first that matches counts
	WarnAfter   time.Duration       // then the sender hears of the delay, once; zero: never
	ExpireAfter time.Duration       // then the message is returned
	Concurrency int                 // attempts at once
	LaneLimit   int                 // attempts at one next hop at once, at most
	Window      int                 // fresh messages in memory, waiting for their first attempt; negative: none
	WindowSize  int64               // octets of their contents; what is over is read back from the store
	Lease       time.Duration       // of an active entry; renewed while this process lives
	Grace       time.Duration       // for attempts in flight once Run is cancelled
	Postmaster  mail.Path           // is told of DSNs that cannot be delivered; null: those are held
	Observer    Observer            // may be nil
	Hooks       Hooks               // nil: nobody is asked
	Standing    Standing            // nil: there are no standing orders
	Random      func() float64      // in [0, 1), for jitter; nil: math/rand/v2

	// Lane is the next hop of a recipient, without passwords; empty for the
	// message store. Attempts at one lane share limits. Nil: always empty.
	Lane func(rcpt *mail.Recipient) string
	// Limits is what all nodes of the queue may do together; nil: this is the only one.
	Limits Limits
	// Announce tells the other nodes of the queue that an operator has a lane tried
	// again; each then calls Opened. Nil: there are none.
	Announce func(ctx context.Context, lane string) error

	once sync.Once
	wake chan struct{} // capacity 1: something is due earlier than the scheduler knows
	ask  chan struct{} // capacity 1: asking is not empty

	warnings warnings
	clock    clock
	stepped  chan struct{} // capacity 1: the wall clock was set
	wrote    atomic.Uint64 // what the store took
	serial   sync.Mutex    // held during an attempt at an entry that may have killed the process

	mu       sync.Mutex              // guards what follows; never held during I/O
	running  bool                    // Run begins attempts
	since    time.Time               // when Run began
	attempts context.Context         // of all attempts
	flight   sync.WaitGroup          // attempts under way; added to while running only
	active   map[mail.QueueID]handle // what this process has the lease of
	lanes    map[string]*lane        // what is known of them
	asleep   time.Time               // until then the scheduler sleeps; zero: it is awake
	total    int                     // attempts under way
	slow     int                     // those of them that the dispatcher began in slow lanes
	mixed    int                     // those that have places in several lanes
	reserved int                     // fresh tasks that wait, or will
	octets   int64                   // of their contents
	claimed  int                     // claimed tasks that wait
	ready    []*lane                 // those that wait for total or slow to fall
	timed    map[*lane]time.Time     // those that have their turn at a time
	wakes    []string                // those that the store is to be told of
	asking   []*lane                 // those that want more of what all nodes have
	aside    []mail.QueueID          // what the store refuses to write down or to hold
	alone    time.Time               // Limits gave no answer: until then it is not asked
	warned   mail.QueueID            // the sweep has looked for those to be warned of up to here
}

// An Observer counts. Safe for concurrent use.
type Observer interface {
	Queued(size int64)                                                   // one message accepted; DSNs too
	Attempted(nextHop string, outcome mail.Outcome, delay time.Duration) // one recipient; delay since the message was received
	Tried(lane string, outcome mail.Outcome, took time.Duration)         // the same, with how long the attempt at its lane took
	Notified(kind string)                                                // one DSN put into the queue: a [NoticeKind]
}

// A handle is a lease that this process has.
type handle struct {
	token  uint64
	until  time.Time          // when it ends, as far as is known
	cancel context.CancelFunc // ends the attempt; nil while there is none
}

func (q *Queue) setup() {
	q.once.Do(func() {
		q.Schedule = q.Schedule.withDefaults()
		q.ExpireAfter = or(q.ExpireAfter, DefaultExpireAfter)
		q.Concurrency = or(q.Concurrency, DefaultConcurrency)
		q.Window = max(or(q.Window, DefaultWindow), 0)
		q.Lease = or(q.Lease, DefaultLease)
		q.Grace = or(q.Grace, DefaultGrace)
		q.Random = orRandom(q.Random)
		q.LaneLimit = or(q.LaneLimit, DefaultLaneLimit)
		q.WindowSize = or(q.WindowSize, DefaultWindowSize)
		q.wake, q.ask = make(chan struct{}, 1), make(chan struct{}, 1)
		q.stepped = make(chan struct{}, 1)
		q.active, q.lanes, q.timed = map[mail.QueueID]handle{}, map[string]*lane{}, map[*lane]time.Time{}
	})
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Replies of Enqueue.
var (
	errNoSpace = &smtp.Reply{Code: 452, Enh: smtp.Enh{4, 3, 1}, Text: "Insufficient system storage"} // RFC 5321 §4.3.2
	errNobody  = &smtp.Reply{Code: 554, Enh: smtp.Enh{5, 5, 1}, Text: "No recipients are left"}
)

// Enqueue takes responsibility for tx and for all of tx.More. It returns nil
// only once they are on stable storage, all of them, and does not use them or
// their contents after it returned; on error none is stored, and the caller
// still owns tx. A transaction that has no recipients is not stored. It needs no
// Run: without one the messages wait. Safe for concurrent use.
func (q *Queue) Enqueue(ctx context.Context, tx *mail.Transaction) error {
	q.setup()
	if all := q.parts(tx); len(all) > 1 {
		return q.enqueueAll(ctx, tx, all)
	}
	if len(tx.Envelope.Recipients) == 0 {
		return errNobody
	}
	return q.put(ctx, newEntry(tx), tx.Content)
}

// put stores e, and sees to it that it is attempted. It has e to itself until
// then; once it returned a worker may have e. more is for the log.
func (q *Queue) put(ctx context.Context, e *Entry, content mail.Content, more ...any) error {
	n, err := q.newcomer(e, content, more...)
	if err != nil {
		return err
	}
	if err := q.Store.Put(ctx, e, n.content, n.until); err != nil {
		q.unreserve(n)
		return storeError(err)
	}
	q.welcome(ctx, n)
	return nil
}

// A newcomer is an entry that is about to be stored.
type newcomer struct {
	task
	content  mail.Content
	until    time.Time // of the lease; zero: none
	straight bool      // it has a place among the fresh tasks
	more     []any     // for the log
}

// date makes a newcomer due now, and its lease last from now.
func (q *Queue) date(n *newcomer) {
	n.entry.Due = time.Now()
	if n.straight {
		n.until = n.entry.Due.Add(q.Lease)
	}
}

// newcomer reads small content into memory and reserves a place, which is the
// caller's to give back if the entry is not stored.
func (q *Queue) newcomer(e *Entry, content mail.Content, more ...any) (*newcomer, error) {
	n := &newcomer{task: task{entry: e}, content: content, more: more}
	q.obey(e)
	if content.Size() <= maxInMemory {
		octets, err := mail.ReadAll(content)
		if err != nil {
			return nil, fmt.Errorf("read content of %s: %w", e.ID, err)
		}
		n.content = mail.Bytes(octets)
		n.task.content = n.content
	}
	e.Size = content.Size()
	e.Lane = q.laneOf(e)
	if e.Held == "" {
		q.reserve(n)
	}
	q.date(n)
	return n, nil
}

// welcome sees to it that a stored entry is attempted.
func (q *Queue) welcome(ctx context.Context, n *newcomer) {
	q.wrote.Add(1)
	q.logQueued(n.entry, n.more...)
	if q.Observer != nil {
		q.Observer.Queued(n.entry.Size)
		if n.entry.Notice != "" {
			q.Observer.Notified(string(n.entry.Notice))
		}
	}
	switch {
	case n.straight && n.entry.Lease.Token == 0: // the store keeps it back
		q.unreserve(n)
		q.poke()
	case n.straight:
		q.hand(ctx, n)
	case n.entry.Held == "" && !q.shut(n.entry.Lane):
		q.poke()
	}
}

// storeError gives a full disk the reply that says so; any other error is
// answered 451.
func storeError(err error) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS} {
		if errors.Is(err, full) {
			return fmt.Errorf("%w: %w", err, errNoSpace)
		}
	}
	return err
}

// poke has the scheduler look at the store again.
func (q *Queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
