package spool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// Put implements [queue.Store].
func (s *Store) Put(ctx context.Context, e *queue.Entry, content mail.Content, until time.Time) error {
	return s.together(nil, []queue.Deposit{{Entry: e, Content: content, Until: until}})
}

// PutAll implements [queue.Store]: one change has all of them.
func (s *Store) PutAll(ctx context.Context, deposits []queue.Deposit) error {
	if err := oneShard("", deposits); err != nil {
		return err
	}
	return s.together(nil, deposits)
}

// Update implements [queue.Store].
func (s *Store) Update(ctx context.Context, e *queue.Entry) error {
	return s.change(e, nil, s.addUpdate)
}

// Replace implements [queue.Store]. The new content never has the old one's
// place, so that whichever record is there after a crash has its own.
func (s *Store) Replace(ctx context.Context, e *queue.Entry, content mail.Content, more []queue.Deposit) error {
	return s.change(e, more, func(c *change, e *queue.Entry, slot uint32) ([]string, error) {
		return s.addReplace(c, e, slot, content)
	})
}

// Conclude implements [queue.Store].
func (s *Store) Conclude(ctx context.Context, e *queue.Entry, more []queue.Deposit) error {
	return s.change(e, more, func(c *change, e *queue.Entry, slot uint32) ([]string, error) {
		if len(e.Envelope.Recipients) == 0 {
			s.addRemove(c, e.ID, slot)
			return nil, nil
		}
		return s.addUpdate(c, e, slot)
	})
}

// An adder adds what is to become of an entry to a change. It returns the files
// that it wrote for that, also with an error.
type adder func(c *change, e *queue.Entry, slot uint32) (files []string, err error)

// change changes an entry that the caller has the lease of, and puts more.
func (s *Store) change(e *queue.Entry, more []queue.Deposit, add adder) error {
	if e.Damaged {
		return queue.ErrDamaged
	}
	if err := oneShard(e.ID, more); err != nil {
		return err
	}
	return s.together(func(c *change) (files []string, done func(error), err error) {
		slot := s.occupy(e)
		if slot == none {
			return nil, nil, queue.ErrLease
		}
		files, err = add(c, e, slot)
		return files, func(err error) {
			if err != nil || c.ops[0].keepLease {
				s.vacate(slot)
			}
		}, err
	}, more)
}

// together makes one change: what first adds to it, if that is not nil, and
// entries that are new. What first returns is called with the outcome.
func (s *Store) together(first func(*change) ([]string, func(error), error), deposits []queue.Deposit) (err error) {
	tokens, err := s.admit(deposits)
	if err != nil {
		return err
	}
	defer func() { s.admitted(deposits, tokens, err) }()
	c := &change{}
	var files []string
	if first != nil {
		var done func(error)
		files, done, err = first(c)
		if done != nil {
			defer func() { done(err) }()
		}
	}
	for i := 0; err == nil && i < len(deposits); i++ {
		var name string
		name, err = s.addPut(c, &deposits[i], tokens[i])
		if name != "" {
			files = append(files, name)
		}
	}
	if err == nil {
		err = s.commit(c)
	}
	if err != nil {
		s.undo(files)
	}
	return err
}

// admit takes the IDs of new entries, all or none, and returns the tokens of their
// leases.
func (s *Store) admit(deposits []queue.Deposit) ([]uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tokens := make([]uint64, len(deposits))
	for i, d := range deposits {
		err := s.admitOne(d.Entry.ID)
		if err != nil {
			for _, d := range deposits[:i] {
				delete(s.coming, toKey(d.Entry.ID))
			}
			return nil, err
		}
		s.token++
		tokens[i] = s.token
	}
	return tokens, nil
}

func (s *Store) admitOne(id mail.QueueID) error {
	if !validID(id) {
		return fmt.Errorf("%q is no queue ID", id)
	}
	k := toKey(id)
	if _, coming := s.coming[k]; coming || s.index.find(&k) != none {
		return queue.ErrExists
	}
	s.coming[k] = struct{}{}
	return nil
}

// admitted ends admit.
func (s *Store) admitted(deposits []queue.Deposit, tokens []uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, d := range deposits {
		delete(s.coming, toKey(d.Entry.ID))
		if err == nil && !d.Until.IsZero() {
			d.Entry.Lease = queue.Lease{Token: tokens[i], Until: d.Until}
		}
	}
}

// addPut adds a new entry. A large content is in its file then, whose name it
// returns.
func (s *Store) addPut(c *change, d *queue.Deposit, token uint64) (file string, err error) {
	o := newOp(kindPut, d.Entry, none)
	if !d.Until.IsZero() {
		o.leased = &lease{token: token, until: d.Until}
	}
	return s.addContent(c, o, d.Entry, d.Content)
}

// newOp is a change of an entry to what e is.
func newOp(k kind, e *queue.Entry, slot uint32) op {
	o := op{kind: k, id: toKey(e.ID), due: nanos(e.Due), lane: e.Lane, slot: slot}
	if e.Held != "" {
		o.flags |= flagHeld
	}
	return o
}

// addContent adds an op with its record and its content.
func (s *Store) addContent(c *change, o op, e *queue.Entry, content mail.Content) (file string, err error) {
	record, err := encode(e)
	if err != nil {
		return "", err
	}
	if content.Size() > maxInline {
		if err := s.settleDoubt(); err != nil {
			return "", err
		}
		o.flags |= flagFile
		name := fileName(e.ID, o.flags)
		if err := s.storeFile(name, content); err != nil {
			return "", fmt.Errorf("store content of %s: %w", e.ID, err)
		}
		c.add(o, record, nil)
		return name, nil
	}
	octets, err := mail.ReadAll(content)
	if err != nil {
		return "", fmt.Errorf("read content of %s: %w", e.ID, err)
	}
	c.add(o, record, octets)
	return "", nil
}

func (s *Store) addUpdate(c *change, e *queue.Entry, slot uint32) ([]string, error) {
	record, err := encode(e)
	if err != nil {
		return nil, err
	}
	c.add(newOp(kindUpdate, e, slot), record, nil) // memory knows where the content is
	return nil, nil
}

// addReplace adds another content of an entry, or its end.
func (s *Store) addReplace(c *change, e *queue.Entry, slot uint32, content mail.Content) ([]string, error) {
	if len(e.Envelope.Recipients) == 0 {
		s.addRemove(c, e.ID, slot)
		return nil, nil
	}
	o := newOp(kindPut, e, slot)
	o.keepLease = true
	s.mu.Lock()
	was := s.index.at(slot).flags
	s.mu.Unlock()
	o.file = fileName(e.ID, was)
	if was&flagsOfContent == flagFile && content.Size() > maxInline {
		o.flags |= flagSecond
	}
	file, err := s.addContent(c, o, e, content)
	if file == "" {
		return nil, err
	}
	return []string{file}, err
}

func (s *Store) addRemove(c *change, id mail.QueueID, slot uint32) {
	s.mu.Lock()
	flags := s.index.at(slot).flags
	s.mu.Unlock()
	c.add(op{kind: kindRemove, id: toKey(id), slot: slot, file: fileName(id, flags)}, nil, nil)
}

// Remove implements [queue.Store]. It waits for no sync unless a great many
// removals are pending, and does not fail where the log cannot be written: the
// removal stays in memory then, and is tried again.
func (s *Store) Remove(ctx context.Context, e *queue.Entry) error {
	s.mu.Lock()
	slot := s.slotOf(e.ID)
	if slot == none {
		s.mu.Unlock()
		return nil
	}
	l := s.leases[slot]
	if l == nil || l.token != e.Lease.Token || l.busy {
		s.mu.Unlock()
		return queue.ErrLease
	}
	c := &change{}
	c.add(op{kind: kindRemove, id: toKey(e.ID), slot: slot, file: fileName(e.ID, s.index.at(slot).flags)}, nil, nil)
	s.hide(slot)
	pending := s.commitLater(c) // with mu held: nothing with this ID may come before it
	s.mu.Unlock()
	if pending > maxLazy {
		s.commit(&change{}) // its error is that of others
	}
	return nil
}

// errShards says of entries that they cannot be stored in one step.
var errShards = errors.New("entries that are stored in one step have different shards")

// oneShard holds that all have the same shard; no ID counts as any.
func oneShard(id mail.QueueID, deposits []queue.Deposit) error {
	for _, d := range deposits {
		if id == "" {
			id = d.Entry.ID
		}
		if d.Entry.ID.Shard() != id.Shard() {
			return fmt.Errorf("%w: %s and %s", errShards, id, d.Entry.ID)
		}
	}
	return nil
}
