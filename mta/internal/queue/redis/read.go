package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// damaged is why an entry is held whose record cannot be read.
const damaged = "the record of the entry is damaged"

// clockSlack is how far apart the due time in a record and the one in the
// schedule may be: what it takes to store an entry. More is a clock that jumped.
const clockSlack = 2 * time.Second

// Get implements [queue.Store].
func (s *Store) Get(ctx context.Context, id mail.QueueID) (*queue.Entry, error) {
	a, err := s.run(ctx, readScript, id.Shard(), zero, "", string(id))
	if err != nil {
		return nil, err
	}
	if len(a.rest) == 0 {
		return nil, queue.ErrNotFound
	}
	return s.entry(a, a.rest[0])
}

// entry reads what a script shows of an entry.
func (s *Store) entry(a answer, shown any) (*queue.Entry, error) {
	f, ok := shown.([]any)
	if !ok || len(f) < 9 {
		return nil, wrap(fmt.Errorf("an entry of %d fields in a reply", len(f)), ErrAway)
	}
	id := mail.QueueID(text(f[0]))
	e := &queue.Entry{}
	due := s.local(a, number(f[2]))
	if err := json.Unmarshal([]byte(text(f[1])), e); err != nil || e.ID != id {
		e = &queue.Entry{ID: id, Due: due, Size: number(f[6]), Held: damaged, Damaged: true}
	}
	if off := e.Due.Sub(due).Abs(); off > clockSlack && !s.o.CallersClock {
		e.Due = due
	}
	if t := number(f[3]); t > 0 {
		e.Lease = queue.Lease{Token: uint64(t), Until: s.local(a, number(f[4]))}
	}
	return e, nil
}
