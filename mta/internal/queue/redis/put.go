package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// maxGiven is of how many entries whose outcome is unknown the operation is kept.
const maxGiven = 100_000

// Put implements [queue.Store]. An [UnknownError] says that the entry may be
// there, or come yet; [Store.Settle] decides it.
func (s *Store) Put(ctx context.Context, e *queue.Entry, content mail.Content, until time.Time) error {
	return s.PutAll(ctx, []queue.Deposit{{Entry: e, Content: content, Until: until}})
}

// PutAs is Put, without a lease, as an operation that the caller has a name for,
// which is to be like no other: with it, [Store.Settle] knows this very put, also in
// another process.
func (s *Store) PutAs(ctx context.Context, op string, e *queue.Entry, content mail.Content) error {
	return s.putAll(ctx, op, []queue.Deposit{{Entry: e, Content: content}})
}

// PutAll implements [queue.Store]. Each ID of an [UnknownError] can be settled.
func (s *Store) PutAll(ctx context.Context, deposits []queue.Deposit) error {
	return s.putAll(ctx, s.newOp(), deposits)
}

func (s *Store) putAll(ctx context.Context, op string, deposits []queue.Deposit) error {
	if len(deposits) == 0 {
		return nil
	}
	shard, err := group(deposits[0].Entry.ID, deposits)
	if err != nil {
		return err
	}
	now := time.Now()
	args, stored, err := s.pack(ctx, deposits, now)
	if err != nil {
		return err
	}
	if len(deposits) == 1 && stored[0].kind != inChunks {
		return s.together(ctx, op, putScript, shard, args, deposits, stored)
	}
	return s.together(ctx, op, putAllScript, shard, append([]any{len(deposits)}, args...), deposits, stored)
}

// notStored removes what is left of deposits that are not in the queue, and
// notes those that may be.
func (s *Store) notStored(deposits []queue.Deposit, stored []parcel, op string, err error) {
	if _, unknown := errors.AsType[*UnknownError](err); !unknown {
		s.undo(stored)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.given) > maxGiven {
		clear(s.given) // Settle knows less without
	}
	for _, d := range deposits {
		s.given[d.Entry.ID] = op
	}
}

// leased tells deposits which leases they got.
func leased(deposits []queue.Deposit, tokens []any) {
	for i, d := range deposits {
		if i < len(tokens) && !d.Until.IsZero() {
			d.Entry.Lease = queue.Lease{Token: uint64(number(tokens[i])), Until: d.Until}
		}
	}
}

// group checks IDs that belong together and returns their shard.
func group(first mail.QueueID, deposits []queue.Deposit) (int, error) {
	shard, ok := shardOf(first, deposits)
	if !ok {
		return 0, fmt.Errorf("entries put together with %s have several shards", first)
	}
	seen := map[mail.QueueID]bool{}
	for _, d := range deposits {
		if !validID(d.Entry.ID) {
			return 0, fmt.Errorf("%q is no queue ID", d.Entry.ID)
		}
		if seen[d.Entry.ID] {
			return 0, queue.ErrExists
		}
		seen[d.Entry.ID] = true
	}
	return shard, nil
}

// pack stores the contents of deposits that do not go with their entries, and
// makes the arguments for them. On error nothing of them is left.
func (s *Store) pack(ctx context.Context, deposits []queue.Deposit, now time.Time) (args []any, stored []parcel, err error) {
	for _, d := range deposits {
		p, err := s.store(ctx, d.Entry.ID, d.Content)
		if err != nil {
			s.undo(stored)
			return nil, nil, err
		}
		stored = append(stored, p)
		fields, err := s.fields(d.Entry, p, d.Until, now, 0)
		if err != nil {
			s.undo(stored)
			return nil, nil, err
		}
		args = append(args, fields...)
	}
	return args, stored, nil
}

// fields are the arguments for one entry, as lua/lib.lua has them.
func (s *Store) fields(e *queue.Entry, p parcel, until, now time.Time, version uint64) ([]any, error) {
	record, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", e.ID, err)
	}
	v := ""
	if version > 0 {
		v = fmt.Sprint(version)
	}
	return []any{
		string(e.ID), record, s.due(e, now), yes(e.Held != ""), e.Lane, s.from(until, now),
		p.size, p.kind, p.body, p.chunks, v,
	}, nil
}

// due is when e is due, as an argument. One without a time is due now.
func (s *Store) due(e *queue.Entry, now time.Time) string {
	if e.Due.IsZero() {
		return "0"
	}
	return s.from(e.Due, now)
}

func yes(b bool) string {
	if b {
		return "1"
	}
	return ""
}

// validID tells whether an ID can be part of a key and of the name of a file.
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
