package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// zero is for scripts that need no time of the caller.
var zero time.Time

// Update implements [queue.Store].
func (s *Store) Update(ctx context.Context, e *queue.Entry) error {
	if e.Damaged {
		return queue.ErrDamaged
	}
	record, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode %s: %w", e.ID, err)
	}
	_, err = s.run(ctx, updateScript, e.ID.Shard(), zero, "",
		string(e.ID), token(e.Lease.Token), record, s.due(e, time.Now()), yes(e.Held != ""), e.Lane)
	return err
}

// Replace implements [queue.Store].
func (s *Store) Replace(ctx context.Context, e *queue.Entry, content mail.Content, more []queue.Deposit) error {
	if e.Damaged {
		return queue.ErrDamaged
	}
	shard, err := group(e.ID, more)
	if err != nil {
		return err
	}
	now := time.Now()
	gone := len(e.Envelope.Recipients) == 0
	if gone {
		content = mail.Bytes(nil)
	}
	all := append([]queue.Deposit{{Entry: e, Content: content}}, more...)
	args, stored, err := s.pack(ctx, all, now)
	if err != nil {
		return err
	}
	own := []any{string(e.ID), token(e.Lease.Token), yes(gone), len(more)}
	return s.together(ctx, s.newOp(), replaceScript, shard, append(own, args...), more, stored)
}

// Conclude implements [queue.Store].
func (s *Store) Conclude(ctx context.Context, e *queue.Entry, more []queue.Deposit) error {
	if e.Damaged {
		return queue.ErrDamaged
	}
	gone := len(e.Envelope.Recipients) == 0
	if len(more) == 0 && !gone {
		return s.Update(ctx, e)
	}
	shard, err := group(e.ID, more)
	if err != nil {
		return err
	}
	record, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode %s: %w", e.ID, err)
	}
	now := time.Now()
	args, stored, err := s.pack(ctx, more, now)
	if err != nil {
		return err
	}
	own := []any{string(e.ID), token(e.Lease.Token), record, s.due(e, now), yes(e.Held != ""), e.Lane, yes(gone), len(more)}
	return s.together(ctx, s.newOp(), concludeScript, shard, append(own, args...), more, stored)
}

// together runs a script that puts deposits beside what else it does.
func (s *Store) together(ctx context.Context, op string, sc *script, shard int, args []any, more []queue.Deposit, stored []parcel) error {
	a, err := s.run(ctx, sc, shard, zero, op, args...)
	if err != nil {
		s.notStored(more, stored, op, err)
		return err
	}
	leased(more, a.rest)
	return nil
}

// Remove implements [queue.Store].
func (s *Store) Remove(ctx context.Context, e *queue.Entry) error {
	_, err := s.run(ctx, removeScript, e.ID.Shard(), zero, "", string(e.ID), token(e.Lease.Token))
	return err
}

// Extend implements [queue.Store].
func (s *Store) Extend(ctx context.Context, id mail.QueueID, t uint64, until time.Time) error {
	_, err := s.run(ctx, extendScript, id.Shard(), zero, "", string(id), token(t), s.from(until, time.Now()))
	return err
}

// Take implements [queue.Store].
func (s *Store) Take(ctx context.Context, id mail.QueueID, now, until time.Time) (*queue.Entry, error) {
	a, err := s.run(ctx, takeScript, id.Shard(), now, "", string(id), s.from(until, now))
	if err != nil {
		return nil, err
	}
	if len(a.rest) == 0 {
		return nil, queue.ErrNotFound
	}
	return s.entry(a, a.rest[0])
}

func token(t uint64) string { return strconv.FormatUint(t, 10) }
