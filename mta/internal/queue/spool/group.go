package spool

import (
	"context"
	"fmt"

	"github.com/wasmta/wasmta/mta/internal/queue"
)

// PutAll implements [queue.Store]: one transaction of the index has all of
// them. Contents in files are there before it, and removed if it fails; after a
// crash in between they are files without a record, which Open removes.
func (s *Store) PutAll(ctx context.Context, deposits []queue.Deposit) error {
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
	err := s.putAll(deposits)
	s.settleAll(deposits, err)
	return err
}

func (s *Store) settleAll(deposits []queue.Deposit, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range deposits {
		s.settlePut(d.Entry, d.Until, err)
	}
}

func (s *Store) putAll(deposits []queue.Deposit) (err error) {
	all := &change{kind: putEntries}
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

// putAll makes the puts of a group, or none if an ID is in use.
func (b *buckets) putAll(all *change) error {
	for _, c := range all.group {
		if b.entries.Get([]byte(c.id)) != nil {
			all.err = queue.ErrExists
			return nil
		}
	}
	for _, c := range all.group {
		if err := b.put(c); err != nil {
			return err
		}
	}
	return nil
}
