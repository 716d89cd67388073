package spool

import (
	"context"
	"fmt"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// PutAll implements [queue.Store]: one transaction of the index has all of
// them. Contents in files are there before it, and removed if it fails; after a
// crash in between they are files without a record, which Open removes.
func (s *Store) PutAll(ctx context.Context, deposits []queue.Deposit) error {
	if err := s.admitAll(deposits); err != nil {
		return err
	}
	err := s.commitAll(nil, deposits)
	s.settleAll(deposits, err)
	return err
}

// Replace implements [queue.Store]. The new content never has the old one's
// place, so that whichever record is there after a crash has its own.
func (s *Store) Replace(ctx context.Context, e *queue.Entry, content mail.Content, more []queue.Deposit) error {
	if e.Damaged {
		return queue.ErrDamaged
	}
	if err := s.admitAll(more); err != nil {
		return err
	}
	err := queue.ErrLease
	if s.occupy(e.ID, e.Lease.Token) {
		var c *change
		if c, err = s.replacement(e, content); err == nil {
			err = s.commitAll([]*change{c}, more)
		}
		s.vacate(e.ID)
	}
	s.settleAll(more, err)
	return err
}

// Conclude implements [queue.Store].
func (s *Store) Conclude(ctx context.Context, e *queue.Entry, more []queue.Deposit) error {
	if e.Damaged {
		return queue.ErrDamaged
	}
	if err := s.admitAll(more); err != nil {
		return err
	}
	err := queue.ErrLease
	if s.occupy(e.ID, e.Lease.Token) {
		var c *change
		if c, err = conclusion(e); err == nil {
			err = s.commitAll([]*change{c}, more)
		}
		s.vacate(e.ID)
	}
	s.settleAll(more, err)
	return err
}

// conclusion makes the change that updates an entry or, if nobody is left of
// it, removes it.
func conclusion(e *queue.Entry) (*change, error) {
	if len(e.Envelope.Recipients) == 0 {
		return &change{kind: removeEntry, id: e.ID}, nil
	}
	r, err := newRecord(e, false) // the commit knows where the content is
	return &change{kind: updateEntry, id: e.ID, record: r}, err
}

// replacement makes the change that gives an entry another content, or removes
// it. A large content is in its file then, which undo removes.
func (s *Store) replacement(e *queue.Entry, content mail.Content) (*change, error) {
	if len(e.Envelope.Recipients) == 0 {
		return &change{kind: removeEntry, id: e.ID}, nil
	}
	old, err := s.record(e.ID)
	if err != nil {
		return nil, err
	}
	r, err := newRecord(e, content.Size() > maxInline)
	if err != nil {
		return nil, err
	}
	if r.inFile() && old.file(e.ID) == r.file(e.ID) {
		r[0] |= flagSecond
	}
	return s.withContent(&change{kind: replaceEntry, id: e.ID, record: r}, content)
}

// admitAll is admit for several, or for none of them.
func (s *Store) admitAll(deposits []queue.Deposit) error {
	for i, d := range deposits {
		err := error(nil)
		if !validID(d.Entry.ID) {
			err = fmt.Errorf("%q is no queue ID", d.Entry.ID)
		} else if !s.admit(d.Entry.ID, d.Until) {
			err = queue.ErrExists
		}
		if err != nil {
			s.settleAll(deposits[:i], err)
			return err
		}
	}
	return nil
}

func (s *Store) settleAll(deposits []queue.Deposit, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range deposits {
		s.settlePut(d.Entry, d.Until, err)
	}
}

// commitAll makes the changes of a group and puts the deposits, or does
// nothing.
func (s *Store) commitAll(group []*change, deposits []queue.Deposit) (err error) {
	all := &change{kind: together, group: group}
	defer func() {
		if err != nil {
			for _, c := range all.group {
				s.undo(c)
			}
		}
	}()
	for _, d := range deposits {
		c, err := s.prepare(d.Entry, d.Content)
		if err != nil {
			return err
		}
		all.group = append(all.group, c)
	}
	return s.commit(all)
}

// together makes the changes of a group, or none if an ID to be put is in use
// or an entry to be changed is gone.
func (b *buckets) together(all *change) error {
	for _, c := range all.group {
		there := b.entries.Get([]byte(c.id)) != nil
		switch {
		case c.kind == putEntry && there:
			all.err = queue.ErrExists
			return nil
		case c.kind != putEntry && !there:
			all.err = queue.ErrLease
			return nil
		}
	}
	for _, c := range all.group {
		if err := b.apply(c); err != nil {
			return err
		}
	}
	return nil
}
