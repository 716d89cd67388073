package spool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// Claim implements [queue.Store]. It looks for candidates, takes leases of
// them, and reads them only then: what nobody has a lease of may have changed
// since the look.
func (s *Store) Claim(ctx context.Context, now, until time.Time, max int, pick queue.Pick) ([]*queue.Entry, error) {
	if pick == nil {
		pick = func(string) (int, time.Time) { return max, time.Time{} }
	}
	room := map[string]int{}
	var found []candidate
	err := s.db.View(func(tx *bbolt.Tx) error {
		s.eachDue(tx, now, func(due time.Time, id mail.QueueID) bool {
			if !due.After(now) {
				found = append(found, candidate{due, id})
			}
			return !due.After(now) && len(found) < 20*max
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	entries := make([]*queue.Entry, 0, len(found))
	for _, c := range found {
		if len(entries) == max {
			break
		}
		e, err := s.claim(c, now, until)
		if err != nil {
			if len(entries) == 0 {
				return nil, err
			}
			break // what is claimed already must not be forgotten
		}
		if e == nil {
			continue
		}
		if _, asked := room[e.Lane]; !asked {
			room[e.Lane], _ = pick(e.Lane)
		}
		if room[e.Lane] <= 0 {
			s.unlease(e.ID, e.Lease.Token)
			continue
		}
		room[e.Lane]--
		entries = append(entries, e)
	}
	return entries, nil
}

// A candidate is an entry that was due when somebody looked.
type candidate struct {
	due time.Time
	id  mail.QueueID
}

// claim leases a candidate; nil means that it is not to be had any more.
func (s *Store) claim(c candidate, now, until time.Time) (*queue.Entry, error) {
	l, ok := s.lease(c.id, now, until)
	if !ok {
		return nil, nil
	}
	e, err := s.read(c.id)
	switch {
	case err != nil && !errors.Is(err, queue.ErrNotFound):
		s.unlease(c.id, l.token)
		return nil, err
	case err != nil || e.Held != "" && !e.Damaged || e.Due.After(now): // it changed since
		s.unlease(c.id, l.token)
		return nil, nil
	case e.Damaged:
		s.log.Error("held", "queue_id", c.id, "reason", e.Held)
		s.commitLater(&change{kind: setAside, id: c.id, due: dueKey(c.due, c.id)})
		return nil, nil
	}
	e.Lease = queue.Lease{Token: l.token, Until: l.until}
	return e, nil
}

// lease takes a lease of an entry that nobody has.
func (s *Store) lease(id mail.QueueID, now, until time.Time) (lease, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken(id, now) {
		return lease{}, false
	}
	s.token++
	l := lease{token: s.token, until: until}
	s.leases[id] = l
	return l, true
}

// taken tells whether an entry is not to be had. Called with mu held.
func (s *Store) taken(id mail.QueueID, now time.Time) bool {
	if _, gone := s.removed[id]; gone {
		return true
	}
	l, leased := s.leases[id]
	return leased && (l.busy || l.until.After(now))
}

// unlease ends a lease.
func (s *Store) unlease(id mail.QueueID, token uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leases[id].token == token {
		delete(s.leases, id)
	}
}

// occupy keeps a lease from lapsing while a change is written; it is false for
// a token that is not the entry's last.
func (s *Store) occupy(id mail.QueueID, token uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.leases[id]
	if !ok || l.token != token || l.busy {
		return false
	}
	l.busy = true
	s.leases[id] = l
	return true
}

// vacate undoes occupy, the change having failed.
func (s *Store) vacate(id mail.QueueID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, ok := s.leases[id]; ok {
		l.busy = false
		s.leases[id] = l
	}
}

// Take implements [queue.Store].
func (s *Store) Take(ctx context.Context, id mail.QueueID, now, until time.Time) (*queue.Entry, error) {
	l, ok := s.lease(id, now, until)
	if !ok {
		if s.gone(id) {
			return nil, queue.ErrNotFound
		}
		return nil, queue.ErrActive
	}
	e, err := s.read(id)
	if err != nil {
		s.unlease(id, l.token)
		return nil, err
	}
	e.Lease = queue.Lease{Token: l.token, Until: l.until}
	return e, nil
}

// gone tells whether an entry is removed already, though not from the disk.
func (s *Store) gone(id mail.QueueID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, gone := s.removed[id]
	return gone
}

// Extend implements [queue.Store].
func (s *Store) Extend(ctx context.Context, id mail.QueueID, token uint64, until time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.leases[id]
	if !ok || l.token != token {
		return queue.ErrLease
	}
	if l.busy {
		return nil // it does not lapse, and ends with the change
	}
	if until.IsZero() {
		delete(s.leases, id)
		return nil
	}
	l.until = until
	s.leases[id] = l
	return nil
}

// eachDue calls f with what is not held and nobody has, the earliest first, until
// it returns false. It holds mu: f must be quick.
func (s *Store) eachDue(tx *bbolt.Tx, now time.Time, f func(due time.Time, id mail.QueueID) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := tx.Bucket(dueBucket).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		due, id := parseDueKey(k)
		if s.taken(id, now) {
			continue
		}
		if !f(due, id) {
			return
		}
	}
}

// NextDue implements [queue.Store].
func (s *Store) NextDue(ctx context.Context, now time.Time) (due time.Time, ok bool, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		s.eachDue(tx, now, func(d time.Time, _ mail.QueueID) bool {
			due, ok = d, true
			return false
		})
		return nil
	})
	return due, ok, err
}

// Stats implements [queue.Store].
func (s *Store) Stats(ctx context.Context, now time.Time) (queue.Stats, error) {
	var stats queue.Stats
	err := s.db.View(func(tx *bbolt.Tx) error {
		if id, r := tx.Bucket(entriesBucket).Cursor().First(); id != nil {
			stats.Oldest = record(r).entry(mail.QueueID(id)).Received
		}
		return nil
	})
	if err != nil {
		return stats, fmt.Errorf("count the queue: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, l := range s.leases {
		if _, gone := s.removed[id]; !gone && (l.busy || l.until.After(now)) {
			stats.Active++
		}
	}
	stats.Held = int(s.held)
	for _, wasHeld := range s.removed {
		if wasHeld {
			stats.Held--
		}
	}
	stats.Waiting = max(int(s.count)-len(s.removed)-stats.Held-stats.Active, 0)
	return stats, nil
}

// Wake implements [queue.Store].
func (s *Store) Wake(context.Context, string) error { return nil }
