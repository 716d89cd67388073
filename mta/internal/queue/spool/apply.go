package spool

import "errors"

// applyAll brings a batch that is durable into memory. Called with the queue's
// applying held.
func (s *Store) applyAll(batch []*change, w written) {
	s.mu.Lock()
	at := w.first
	for _, c := range batch {
		for i := range c.ops {
			s.apply(&c.ops[i], at)
			at.offset += c.ops[i].whole
		}
	}
	if w.end.segment != 0 {
		s.applied = w.end
		s.logged += w.octets
	}
	s.mu.Unlock()
	for _, c := range batch {
		for i := range c.ops {
			if name := c.ops[i].file; name != "" {
				s.unlink(name)
			}
		}
	}
	s.tend(w.begun)
}

// apply makes one change in memory; its frame is at a place in the log. It does
// the same whether it is new or read from the log, and whether or not what is in
// memory has it already: a checkpoint is written while changes go on. Called
// with mu held.
func (s *Store) apply(o *op, at place) {
	slot := o.slot
	if slot == none {
		slot = s.index.find(&o.id)
	}
	switch o.kind {
	case kindPut:
		s.applyPut(slot, o, at)
	case kindUpdate:
		if slot != none {
			s.applyUpdate(slot, o, at)
		}
	case kindRemove:
		if slot != none {
			s.applyRemove(slot)
		}
	case kindAside:
		if slot != none && s.index.at(slot).flags&flagAside == 0 {
			s.aside(slot)
		}
	case kindMove:
		if slot != none && s.index.at(slot).record == o.from {
			s.moveTo(s.index.at(slot), o, at)
		}
	}
}

// applyPut brings a new entry, or another content of one that is there.
func (s *Store) applyPut(slot uint32, o *op, at place) {
	if slot == none {
		slot = s.index.add(o.id)
	} else {
		s.account(s.index.at(slot), -1)
	}
	it := s.index.at(slot)
	it.flags = it.flags&flagHeld | o.flags&flagsOfContent
	it.record, it.content, it.size, it.whole = at, at, o.size, o.whole
	if it.flags&flagFile != 0 {
		it.content, it.whole = place{}, 0
	}
	s.account(it, 1)
	s.state(slot, o)
	switch {
	case o.leased != nil:
		s.lend(slot, o.leased)
	case !o.keepLease:
		s.endLease(slot)
	}
}

// applyUpdate brings another record of an entry, and ends its lease.
func (s *Store) applyUpdate(slot uint32, o *op, at place) {
	it := s.index.at(slot)
	s.account(it, -1)
	it.record, it.size = at, o.size
	s.account(it, 1)
	it.flags &^= flagAside
	s.state(slot, o)
	s.endLease(slot)
}

// state takes over when an entry is due, and whether it is held, and its lane.
func (s *Store) state(slot uint32, o *op) {
	s.index.unschedule(slot)
	it := s.index.at(slot)
	it.due = o.due
	s.index.setHeld(slot, o.flags&flagHeld != 0)
	s.index.enter(slot, s.index.lanes.named(o.lane))
	if o.bad&badRecord != 0 {
		s.aside(slot)
	}
}

func (s *Store) applyRemove(slot uint32) {
	it := s.index.at(slot)
	if it.flags&flagGone == 0 {
		s.hide(slot)
	}
	s.account(it, -1)
	s.index.release(slot)
}

// hide ends an entry for everybody.
func (s *Store) hide(slot uint32) {
	s.stop(s.leases[slot])
	delete(s.leases, slot)
	s.index.hide(slot)
}

// moveTo notes the other place of a record and its content.
func (s *Store) moveTo(it *item, o *op, at place) {
	s.account(it, -1)
	it.record, it.size = at, o.size
	if it.flags&flagFile == 0 {
		it.content, it.whole = at, o.whole
	}
	s.account(it, 1)
}

// settleDoubt sees to it that it is known what became of a batch whose sync
// failed. As long as that is not so, nothing that its changes name may be
// touched.
func (s *Store) settleDoubt() error {
	if s.journal.inDoubt() == nil {
		return nil
	}
	return s.commit(&change{})
}

// undo removes the files of a change that was not made, unless it may have been.
func (s *Store) undo(files []string) {
	if len(files) == 0 || s.settleDoubt() != nil {
		return // what is left goes when the store is opened
	}
	for _, name := range files {
		s.unlink(name)
	}
}

// unlink removes a file of the content folder. What stays goes when the store is
// opened next.
func (s *Store) unlink(name string) {
	err := s.fs.Remove(s.contentPath(name))
	if err != nil && !errors.Is(err, errNotExist) {
		s.log.Warn("queue store", "err", err)
	}
}
