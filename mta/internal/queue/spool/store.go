package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// listPage is how many entries one transaction reads for List: a long one keeps
// pages from being used again.
const listPage = 1000

// Put implements [queue.Store].
func (s *Store) Put(ctx context.Context, e *queue.Entry, content mail.Content, until time.Time) error {
	if !validID(e.ID) {
		return fmt.Errorf("%q is no queue ID", e.ID)
	}
	if !s.admit(e.ID, until) {
		return queue.ErrExists
	}
	err := s.put(e, content)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settlePut(e, until, err)
	return err
}

// settlePut ends what admit began. Called with mu held.
func (s *Store) settlePut(e *queue.Entry, until time.Time, err error) {
	l := s.leases[e.ID]
	l.busy = false
	if err != nil || until.IsZero() {
		delete(s.leases, e.ID)
		return
	}
	s.leases[e.ID] = l
	e.Lease = queue.Lease{Token: l.token, Until: l.until}
}

// admit occupies a new ID, whether or not its entry is to have a lease; it is
// false for one in use. That of an entry on disk is found by the commit.
func (s *Store) admit(id mail.QueueID, until time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, leased := s.leases[id]; leased {
		return false
	}
	s.token++
	s.leases[id] = lease{token: s.token, until: until, busy: true}
	return true
}

func (s *Store) put(e *queue.Entry, content mail.Content) error {
	c, err := s.prepare(e, content)
	if err != nil {
		return err
	}
	if err := s.commit(c); err != nil {
		s.undo(c)
		return err
	}
	return nil
}

// prepare makes the change that puts an entry. A large content is in its file
// then, which undo removes.
func (s *Store) prepare(e *queue.Entry, content mail.Content) (*change, error) {
	large := content.Size() > maxInline
	r, err := newRecord(e, large)
	if err != nil {
		return nil, err
	}
	if large {
		if _, err := s.read(e.ID); !errors.Is(err, queue.ErrNotFound) {
			return nil, cmp.Or(err, queue.ErrExists) // before its file is written over
		}
	}
	return s.withContent(&change{kind: putEntry, id: e.ID, record: r}, content)
}

// withContent gives c its content, in the file that its record names if it
// does.
func (s *Store) withContent(c *change, content mail.Content) (*change, error) {
	if name := c.record.file(c.id); name != "" {
		if err := s.storeFile(name, content); err != nil {
			return nil, fmt.Errorf("store content of %s: %w", c.id, err)
		}
		return c, nil
	}
	octets, err := mail.ReadAll(content)
	if err != nil {
		return nil, fmt.Errorf("read content of %s: %w", c.id, err)
	}
	c.content = append([]byte{}, octets...) // not nil, and not the caller's after an error
	return c, nil
}

// undo removes what prepare left beside the index.
func (s *Store) undo(c *change) {
	if name := c.record.file(c.id); name != "" {
		s.unlink(name)
	}
}

// Update implements [queue.Store].
func (s *Store) Update(ctx context.Context, e *queue.Entry) error {
	if e.Damaged {
		return queue.ErrDamaged
	}
	r, err := newRecord(e, false) // the commit knows where the content is
	if err != nil {
		return err
	}
	if !s.occupy(e.ID, e.Lease.Token) {
		return queue.ErrLease
	}
	if err := s.commit(&change{kind: updateEntry, id: e.ID, record: r}); err != nil {
		s.vacate(e.ID)
		return err
	}
	return nil
}

// Remove implements [queue.Store]. It waits for no sync unless a great many
// removals are pending.
func (s *Store) Remove(ctx context.Context, e *queue.Entry) error {
	if !s.occupy(e.ID, e.Lease.Token) {
		if _, err := s.read(e.ID); err != nil {
			return notFound(err)
		}
		return queue.ErrLease
	}
	c := &change{kind: removeEntry, id: e.ID}
	s.mu.Lock()
	s.removed[e.ID] = e.Held != ""
	lazy := len(s.removed) <= maxLazy && !s.closed
	s.mu.Unlock()
	if lazy {
		s.commitLater(c)
		return nil
	}
	err := s.commit(c)
	if err != nil {
		s.mu.Lock()
		delete(s.removed, e.ID)
		s.mu.Unlock()
		s.vacate(e.ID)
	}
	return err
}

// Get implements [queue.Store].
func (s *Store) Get(ctx context.Context, id mail.QueueID) (*queue.Entry, error) {
	e, err := s.read(id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fillLease(e)
	return e, nil
}

// read returns an entry without its lease, or [queue.ErrNotFound].
func (s *Store) read(id mail.QueueID) (*queue.Entry, error) {
	r, err := s.record(id)
	if err != nil {
		return nil, err
	}
	return r.entry(id), nil
}

// record returns what the index has of an entry, or [queue.ErrNotFound].
func (s *Store) record(id mail.QueueID) (r record, err error) {
	if s.gone(id) {
		return nil, queue.ErrNotFound
	}
	err = s.db.View(func(tx *bbolt.Tx) error {
		there := tx.Bucket(entriesBucket).Get([]byte(id))
		if there == nil {
			return queue.ErrNotFound
		}
		r = append(record{}, there...)
		return nil
	})
	return r, err
}

// fillLease tells e who has it. Called with mu held.
func (s *Store) fillLease(e *queue.Entry) {
	if l, ok := s.leases[e.ID]; ok {
		e.Lease = queue.Lease{Token: l.token, Until: l.until}
	}
}

// Content implements [queue.Store].
func (s *Store) Content(ctx context.Context, id mail.QueueID) (content mail.Content, err error) {
	if s.gone(id) {
		return nil, queue.ErrNotFound
	}
	err = s.db.View(func(tx *bbolt.Tx) error {
		r := record(tx.Bucket(entriesBucket).Get([]byte(id)))
		if r == nil {
			return queue.ErrNotFound
		}
		if name := r.file(id); name != "" {
			content, err = s.openFile(name)
			return err
		}
		octets := tx.Bucket(contentBucket).Get([]byte(id))
		if octets == nil {
			return fmt.Errorf("content of %s: %w", id, queue.ErrNotFound)
		}
		content = mail.Bytes(append([]byte(nil), octets...))
		return nil
	})
	return content, err
}

// List implements [queue.Store].
func (s *Store) List(ctx context.Context, now time.Time, f queue.Filter, after mail.QueueID, max int) ([]*queue.Entry, error) {
	if len(f.IDs) > 0 {
		return s.listIDs(now, f, after, max), nil
	}
	var out []*queue.Entry
	for len(out) < max {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		gone := s.goneNow()
		page, more, err := s.page(after)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		for _, e := range page {
			after = e.ID
			_, since := s.removed[e.ID]
			s.fillLease(e)
			if !gone[e.ID] && !since && f.Match(e, now) && len(out) < max {
				out = append(out, e)
			}
		}
		s.mu.Unlock()
		if !more {
			break
		}
	}
	return out, nil
}

// goneNow are the entries that are removed, though not from the disk. It has to
// be asked before the disk is: once they are gone from there it does not tell.
func (s *Store) goneNow() map[mail.QueueID]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := make(map[mail.QueueID]bool, len(s.removed))
	for id := range s.removed {
		gone[id] = true
	}
	return gone
}

// page reads the entries after an ID; more is false at the end.
func (s *Store) page(after mail.QueueID) (page []*queue.Entry, more bool, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(entriesBucket).Cursor()
		k, r := c.Seek([]byte(after))
		if k != nil && mail.QueueID(k) == after {
			k, r = c.Next()
		}
		for ; k != nil && len(page) < listPage; k, r = c.Next() {
			page = append(page, record(r).entry(mail.QueueID(k)))
		}
		more = k != nil
		return nil
	})
	return page, more, err
}

// notFound is nil for ErrNotFound, else err.
func notFound(err error) error {
	if errors.Is(err, queue.ErrNotFound) {
		return nil
	}
	return err
}

// validID tells whether an ID can be a key and the name of a file.
func validID(id mail.QueueID) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
