package shared

import (
	"context"
	"sync/atomic"
	"time"
)

// Counts is what happened between Redis and the spool since the start. Those
// that speak of messages being delivered twice are Late, Overtaken, Doubled and
// PutBack: the first two may, the third did, and of the last those did that were
// finished in the last moment.
type Counts struct {
	PutShared atomic.Int64 // new entries that Redis took
	PutSpool  atomic.Int64 // those that the spool took, Redis being away

	Doubts       atomic.Int64 // puts without an answer
	SettledThere atomic.Int64 // of these, Redis had it
	SettledHere  atomic.Int64 // it had not, and never will
	Late         atomic.Int64 // Redis could not be asked for too long
	Doubled      atomic.Int64 // so they were attempted here, and by another node, too

	Results   atomic.Int64 // results of attempts that Redis could not be told
	Applied   atomic.Int64 // of these, it has been told since
	Overtaken atomic.Int64 // another node has had the lease since

	HandedOver   atomic.Int64 // entries of the spool that Redis took
	PutBack      atomic.Int64 // entries that Redis had lost
	CopiesFailed atomic.Int64 // copies that could not be written
}

// A Status is how things stand.
type Status struct {
	State  State
	Since  time.Time
	Spool  int // entries in the spool, of all kinds
	Doubts int // of these, in doubt
	Copies int
}

// Status tells how things stand.
func (s *Store) Status(ctx context.Context) (st Status, err error) {
	st.State, st.Since = s.link.now()
	now := time.Now()
	here, err := s.spool.Stats(ctx, now)
	if err != nil {
		return st, err
	}
	st.Spool = here.Waiting + here.Active + here.Held
	st.Doubts = len(s.twinsOf(doubt))
	if s.o.Copies != nil {
		copies, err := s.o.Copies.Stats(ctx, now)
		if err != nil {
			return st, err
		}
		st.Copies = copies.Waiting + copies.Active + copies.Held
	}
	return st, nil
}

// Counts is what happened so far.
func (s *Store) Counts() *Counts { return &s.counts }
