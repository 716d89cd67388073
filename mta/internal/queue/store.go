package queue

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// A Store keeps entries and their contents on stable storage, and hands out
// leases, so that each entry has one attempt at a time even where several
// nodes share the store. Package queuetest has the tests that every store
// passes. All times come from the caller. Safe for concurrent use.
type Store interface {
	// Put keeps a new entry with its content. It returns nil only once both
	// are on stable storage; on error nothing of them remains, or may come
	// back. With an until that is not zero the entry is leased to the caller
	// and e.Lease says so; a store that knows of a reason not to attempt it yet
	// leaves e.Lease as it was, zero. An ID that is there already is [ErrExists].
	// It does not use e or content after it returned.
	Put(ctx context.Context, e *Entry, content mail.Content, until time.Time) error

	// PutAll puts several new entries as Put does: all of them, or, on error,
	// none, also when the process dies meanwhile. Their IDs have the same
	// [mail.QueueID.Shard]; else it is an error.
	PutAll(ctx context.Context, deposits []Deposit) error

	// Claim leases to the caller, until a time, up to max entries that are
	// waiting and due at now, of each lane the earliest first, and the lanes in
	// the order of their earliest. It asks pick once about each lane that it
	// comes to; a nil pick is one that bounds nothing. Of a lane that pick gave
	// no room nothing is claimed before the time that it said, by no node, and
	// pick is not asked until then; see Wake. How much there is of such lanes
	// costs nothing. An entry that it cannot read is held from then on, and not
	// among those returned.
	Claim(ctx context.Context, now, until time.Time, max int, pick Pick) ([]*Entry, error)

	// Wake undoes what pick said of a lane. It need not be durable.
	Wake(ctx context.Context, lane string) error

	// Take leases one entry to the caller, be it due or not, waiting or held.
	// It is [ErrNotFound] or [ErrActive] if that cannot be.
	Take(ctx context.Context, id mail.QueueID, now, until time.Time) (*Entry, error)

	// Extend moves the end of a lease; a zero until gives the entry back as it
	// is. [ErrLease] says that another has the entry by now, or that it is gone.
	Extend(ctx context.Context, id mail.QueueID, token uint64, until time.Time) error

	// Update replaces the entry by e and ends its lease. It returns nil only
	// once that is on stable storage. [ErrLease] says that e.Lease is not the
	// entry's last lease; then nothing is changed.
	Update(ctx context.Context, e *Entry) error

	// Replace replaces the entry by e and its content by another, and puts more
	// entries: all of that, durably, or, on error, nothing, also when the process
	// dies meanwhile. An entry without recipients is removed instead. The lease
	// goes on; it needs e.Lease as Update does, and IDs as PutAll does.
	Replace(ctx context.Context, e *Entry, content mail.Content, more []Deposit) error

	// Conclude does what Update does or, if e has no recipients left, what Remove
	// does, and puts more entries with it: all of that, durably, or, on error,
	// nothing, also when the process dies meanwhile. The content stays as it is.
	// It needs e.Lease as Update does, and IDs as PutAll; an entry that is gone is
	// [ErrLease], so that more is never put twice.
	Conclude(ctx context.Context, e *Entry, more []Deposit) error

	// Remove ends the entry and its content. It needs e.Lease as Update does.
	// Nobody sees the entry once it returned nil, but a crash soon after may
	// bring it back. An entry that is not there is removed already.
	Remove(ctx context.Context, e *Entry) error

	// Get returns an entry as it is, or [ErrNotFound].
	Get(ctx context.Context, id mail.QueueID) (*Entry, error)

	// Content returns the content of an entry, or [ErrNotFound]. It can be
	// opened until the entry is removed.
	Content(ctx context.Context, id mail.QueueID) (mail.Content, error)

	// List returns up to max entries that match f, with IDs after the one given,
	// in the order of their IDs. Less than max means that there are no more.
	List(ctx context.Context, now time.Time, f Filter, after mail.QueueID, max int) ([]*Entry, error)

	// NextDue is the earliest time at which there is something for Claim: an
	// entry that is waiting is due, and its lane may be looked at again. ok is
	// false if there is none.
	NextDue(ctx context.Context, now time.Time) (due time.Time, ok bool, err error)

	// Stats counts. It is cheap enough to be called every few seconds.
	Stats(ctx context.Context, now time.Time) (Stats, error)

	Close() error
}

// A Clocked store tells whether it counts due times by a clock of its own, which
// the clock of this node being set does not move.
type Clocked interface{ OwnClock() bool }

// A Parted store has parts that cannot be asked at times. Lacks says which cannot
// be now, for the operator; empty: none. List and Stats do without them.
type Parted interface{ Lacks() string }

// A Pick says how many entries of a lane, [Entry.Lane], may be claimed at once,
// and if that is none, before when nobody needs to ask again. It is quick.
type Pick func(lane string) (n int, notBefore time.Time)

// A Deposit is a new entry on its way into a store.
type Deposit struct {
	Entry   *Entry
	Content mail.Content
	Until   time.Time // of the caller's lease; zero: none
}

// Errors of a [Store].
var (
	ErrNotFound = errors.New("no such entry")
	ErrExists   = errors.New("the queue ID is in use")
	ErrActive   = errors.New("an attempt is under way")
	ErrLease    = errors.New("the lease has passed to another")
	ErrAway     = errors.New("the store is away") // it cannot be asked now; an error about one entry is not this
	ErrDamaged  = errors.New("the record of the entry is damaged")
)

// Stats is how many entries are in which state.
type Stats struct {
	Waiting int
	Active  int
	Held    int
	Oldest  time.Time // when the oldest of all was received; zero: there is none

	// Lanes are those with the most entries in any state, the fullest first,
	// [MaxLanes] of them at most.
	Lanes []LaneStats
}

// MaxLanes is how many lanes [Stats] names.
const MaxLanes = 100

// LaneStats is how many entries one lane has.
type LaneStats struct {
	Lane    string
	Entries int
}

// A Filter chooses entries. Each field that is set must match; the zero Filter
// chooses all. Texts are compared without regard to case; in To, From and
// Domain a `*` stands for any run of characters.
type Filter struct {
	IDs    []mail.QueueID // any of them
	From   string         // the reverse-path; `<>` is the null one
	To     string         // a recipient without an outcome
	Domain string         // the domain of one
	Lane   string         // the lane; `*` stands for any run of characters here too
	Reason string         // part of why it is held, or of what the last attempt said
	Before time.Time      // received before
	Larger int64          // octets that its content is over; 0: any size
	State  State
}

// Match tells whether f chooses e at a time.
func (f *Filter) Match(e *Entry, now time.Time) bool {
	return f.matchID(e.ID) &&
		(f.From == "" || glob(f.From, orNull(e.Envelope.ReversePath))) &&
		(f.Before.IsZero() || e.Received.Before(f.Before)) &&
		(f.Larger == 0 || e.Size > f.Larger) &&
		(f.State == "" || e.State(now) == f.State) &&
		(f.Lane == "" || glob(f.Lane, e.Lane)) &&
		f.matchRecipient(e) &&
		f.matchReason(e)
}

func (f *Filter) matchID(id mail.QueueID) bool {
	if len(f.IDs) == 0 {
		return true
	}
	for _, want := range f.IDs {
		if strings.EqualFold(string(want), string(id)) {
			return true
		}
	}
	return false
}

func (f *Filter) matchRecipient(e *Entry) bool {
	if f.To == "" && f.Domain == "" {
		return true
	}
	for _, rcpt := range e.Envelope.Recipients {
		if (f.To == "" || glob(f.To, rcpt.Path.String())) &&
			(f.Domain == "" || glob(f.Domain, rcpt.Path.Domain)) {
			return true
		}
	}
	return false
}

func (f *Filter) matchReason(e *Entry) bool {
	if f.Reason == "" || containsFold(e.Held, f.Reason) {
		return true
	}
	for i := range e.Last {
		if containsFold(e.Reply(i), f.Reason) {
			return true
		}
	}
	return false
}

func orNull(p mail.Path) string {
	if p.IsNull() {
		return "<>"
	}
	return p.String()
}

func containsFold(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

// glob tells whether s is what pattern says; `*` is any run of characters.
func glob(pattern, s string) bool {
	pattern, s = strings.ToLower(pattern), strings.ToLower(s)
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return s == pattern
	}
	s, ok := strings.CutPrefix(s, first)
	if !ok {
		return false
	}
	for {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(s, part)
		}
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s, rest = s[i+len(part):], after
	}
}
