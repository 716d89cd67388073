package spool

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// A view is an entry as it was at one moment, with what it takes to read it after.
type view struct {
	item
	slot    uint32
	lease   queue.Lease
	segment *segment // kept for it
}

// view looks at an entry. Called with mu held; the view must be read.
func (s *Store) view(slot uint32) view {
	v := view{item: *s.index.at(slot), slot: slot}
	if l := s.leases[slot]; l != nil {
		v.lease = queue.Lease{Token: l.token, Until: l.until}
	}
	v.segment = s.acquire(v.record.segment)
	return v
}

// readOne reads what was looked at. An entry that cannot be read is a damaged one.
func (s *Store) readOne(v view) *queue.Entry {
	defer s.letGo(v.segment)
	o, record, _, err := v.segment.readFrame(v.id, v.record.offset, v.size)
	var e *queue.Entry
	if err != nil {
		e = damaged(v.id.id(), err)
	} else {
		e = decode(&o, record)
	}
	if v.flags&flagAside != 0 && e.Held == "" {
		e.Held = "its record could not be read" // and can now
	}
	e.Lease = v.lease
	return e
}

// Get implements [queue.Store].
func (s *Store) Get(ctx context.Context, id mail.QueueID) (*queue.Entry, error) {
	s.mu.Lock()
	slot := s.slotOf(id)
	if slot == none {
		s.mu.Unlock()
		return nil, queue.ErrNotFound
	}
	v := s.view(slot)
	s.mu.Unlock()
	return s.readOne(v), nil
}

// Content implements [queue.Store].
func (s *Store) Content(ctx context.Context, id mail.QueueID) (mail.Content, error) {
	s.mu.Lock()
	slot := s.slotOf(id)
	if slot == none {
		s.mu.Unlock()
		return nil, queue.ErrNotFound
	}
	it := *s.index.at(slot)
	if it.flags&flagFile != 0 {
		s.mu.Unlock()
		return s.openFile(fileName(id, it.flags))
	}
	g := s.acquire(it.content.segment)
	s.mu.Unlock()
	defer s.letGo(g)
	o, _, content, err := g.readFrame(it.id, it.content.offset, it.whole)
	if err == nil && o.bad&badContent != 0 {
		err = fmt.Errorf("%s at %d: %w", segmentName(g.number), it.content.offset, errChecksum)
	}
	if err != nil {
		return nil, fmt.Errorf("content of %s: %w", id, err)
	}
	return mail.Bytes(content), nil
}

// listPage is how many entries List looks at before it reads them.
const listPage = 1000

// List implements [queue.Store].
func (s *Store) List(ctx context.Context, now time.Time, f queue.Filter, after mail.QueueID, max int) ([]*queue.Entry, error) {
	if len(f.IDs) > 0 {
		return s.listIDs(now, f, after, max), nil
	}
	if len(after) > len(key{}) {
		after = after[:len(key{})] // which sorts before it, and is no entry's
	}
	var out []*queue.Entry
	for from := toKey(after); len(out) < max; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		page, last := s.page(from, now, &f, min(listPage, max-len(out)))
		for _, v := range page {
			if e := s.readOne(v); f.Match(e, now) {
				out = append(out, e)
			}
		}
		if last == nil {
			break
		}
		from = *last
	}
	return out, nil
}

// page looks at up to max entries behind an ID that f may choose; last is the one
// that it came to, nil at the end.
func (s *Store) page(from key, now time.Time, f *queue.Filter, max int) (page []view, last *key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lanes := map[uint32]bool{}
	looked := 0
	s.index.after(from, func(slot uint32) bool {
		it := s.index.at(slot)
		looked++
		if s.mayMatch(it, slot, now, f, lanes) {
			page = append(page, s.view(slot))
		}
		if len(page) == max || looked == 20*listPage {
			id := it.id
			last = &id
			return false
		}
		return true
	})
	return page, last
}

// mayMatch tells, without reading, what f does not choose for sure. lanes is what
// it found out about them. Called with mu held.
func (s *Store) mayMatch(it *item, slot uint32, now time.Time, f *queue.Filter, lanes map[uint32]bool) bool {
	if f.State == queue.Active && !s.taken(slot, now) {
		return false
	}
	if f.Lane == "" || it.flags&flagAside != 0 {
		return true
	}
	match, known := lanes[it.lane]
	if !known {
		only := queue.Filter{Lane: f.Lane}
		match = only.Match(&queue.Entry{Lane: s.index.lanes.all[it.lane].name}, now)
		lanes[it.lane] = match
	}
	return match
}

// listIDs is List where the filter names IDs: nothing else is read.
func (s *Store) listIDs(now time.Time, f queue.Filter, after mail.QueueID, max int) []*queue.Entry {
	ids := make([]mail.QueueID, 0, len(f.IDs))
	for _, id := range f.IDs {
		ids = append(ids, mail.QueueID(strings.ToUpper(string(id))))
	}
	slices.Sort(ids)
	var out []*queue.Entry
	for _, id := range slices.Compact(ids) {
		if id <= after || len(out) == max {
			continue
		}
		e, err := s.Get(context.Background(), id)
		if err == nil && f.Match(e, now) {
			out = append(out, e)
		}
	}
	return out
}
