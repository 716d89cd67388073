package shared

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

const (
	// compareEvery is how long copies are left alone before Redis is asked which
	// of their entries are finished, unless the last answer made many go.
	compareEvery = time.Minute

	// compareBatch is how many are asked about at once.
	compareBatch = 500
)

// A copy carries the token of the lease under which Redis has the same state:
// the newest of several nodes' copies is put back. Copies are a second net: what
// cannot be copied is logged and counted, and nobody waits for it.

// keepCopy copies an entry that Redis has just got.
func (s *Store) keepCopy(ctx context.Context, e *queue.Entry, content mail.Content) {
	if s.o.Copies == nil {
		return
	}
	err := s.o.Copies.Put(ctx, asCopy(e), content, time.Time{})
	if errors.Is(err, queue.ErrExists) {
		s.replaceCopy(ctx, e, content)
		return
	}
	s.copyFailed(e.ID, err)
}

func asCopy(e *queue.Entry) *queue.Entry {
	c := *e
	c.Twin = &queue.Twin{Kind: copied, Token: e.Lease.Token}
	c.Lease = queue.Lease{}
	return &c
}

// takeCopy leases a copy for one change.
func (s *Store) takeCopy(ctx context.Context, id mail.QueueID) (*queue.Entry, error) {
	now := time.Now()
	return s.o.Copies.Take(ctx, id, now, now.Add(s.o.Limit))
}

// changeCopy brings a copy up to date. What was accepted by another node is
// copied now that this one has changed it.
func (s *Store) changeCopy(ctx context.Context, e *queue.Entry) {
	if s.o.Copies == nil || s.updateCopy(ctx, e) {
		return
	}
	var content mail.Content
	err := s.askUp(ctx, func(ctx context.Context) (err error) {
		content, err = s.redis.Content(ctx, e.ID)
		return err
	})
	if err == nil {
		s.keepCopy(ctx, e, content)
	}
}

// updateCopy is false if there is no copy.
func (s *Store) updateCopy(ctx context.Context, e *queue.Entry) bool {
	if s.o.Copies == nil {
		return false
	}
	old, err := s.takeCopy(ctx, e.ID)
	if errors.Is(err, queue.ErrNotFound) {
		return false
	}
	if err == nil {
		c := asCopy(e)
		c.Lease = old.Lease
		err = s.o.Copies.Update(ctx, c)
	}
	s.copyFailed(e.ID, err)
	return true
}

// replaceCopy gives a copy another content, too.
func (s *Store) replaceCopy(ctx context.Context, e *queue.Entry, content mail.Content) {
	if s.o.Copies == nil {
		return
	}
	old, err := s.takeCopy(ctx, e.ID)
	if errors.Is(err, queue.ErrNotFound) {
		s.copyFailed(e.ID, s.o.Copies.Put(ctx, asCopy(e), content, time.Time{}))
		return
	}
	if err == nil {
		c := asCopy(e)
		c.Lease = old.Lease
		if err = s.o.Copies.Replace(ctx, c, content, nil); err == nil {
			err = s.o.Copies.Extend(ctx, c.ID, c.Lease.Token, time.Time{})
		}
	}
	s.copyFailed(e.ID, err)
}

// dropCopy removes the copy of an entry that is finished.
func (s *Store) dropCopy(ctx context.Context, id mail.QueueID) {
	if s.o.Copies == nil {
		return
	}
	old, err := s.takeCopy(ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		return
	}
	if err == nil {
		err = s.o.Copies.Remove(ctx, old)
	}
	s.copyFailed(id, err)
}

func (s *Store) copyFailed(id mail.QueueID, err error) {
	if err == nil || errors.Is(err, queue.ErrActive) {
		return // another call changes it
	}
	if s.counts.CopiesFailed.Add(1)%1000 == 1 { // a full disk fails each time
		s.log.Warn("no copy", "queue_id", id, "err", err)
	}
}

// compare drops the copies of entries that other nodes have finished. Redis
// answers only while it is the one that the entries were put into.
func (s *Store) compare(ctx context.Context) {
	for s.compareAll(ctx) && ctx.Err() == nil {
	}
}

// compareAll asks about all copies once, and tells whether so many went that it
// should be done again.
func (s *Store) compareAll(ctx context.Context) (again bool) {
	asked, gone := 0, 0
	after := mail.QueueID("")
	for ctx.Err() == nil && s.link.up() {
		batch, err := s.o.Copies.List(ctx, time.Now(), queue.Filter{}, after, compareBatch)
		if err != nil {
			s.log.Error("queue store", "err", fmt.Errorf("list copies: %w", err))
			return false
		}
		if len(batch) == 0 {
			break
		}
		ids := make([]mail.QueueID, len(batch))
		for i, e := range batch {
			ids[i] = e.ID
		}
		after = ids[len(ids)-1]
		var present []bool
		err = s.ask(ctx, func(ctx context.Context) (err error) {
			present, err = s.redis.Present(ctx, ids)
			return err
		})
		if err != nil {
			return false
		}
		for i, there := range present {
			if !there {
				s.dropCopy(ctx, ids[i])
				gone++
			}
		}
		asked += len(ids)
	}
	return gone > asked/2 && gone > compareBatch
}
