package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// maxRefused is how often what came of an attempt is written down before the
// refusal is taken to be of this entry: about a minute and a half. A store that
// is away or full is waited for, and so is one that takes nothing of others.
const maxRefused = 8

// refused ends the tries to write e down, if the store takes what is written of
// other entries. wrote is how many writes there had been when it refused e first.
// The entry is held as it can be, so that nothing attempts it again; if not even
// that is taken it is set aside: this process keeps its lease, without a goroutine
// or a place, until it ends.
func (q *Queue) refused(ctx context.Context, e *Entry, more []*newcomer, wrote uint64, why error) bool {
	if q.wrote.Load() == wrote {
		return false
	}
	ctx = context.WithoutCancel(ctx)
	reason := fmt.Sprintf("the store refuses what came of an attempt: %v", why)
	held, err := q.holdRefused(ctx, e, len(more) > 0, reason)
	if errors.Is(err, ErrLease) {
		return false // store says what that means
	}
	q.dismiss(more)
	if err == nil {
		q.logHeld(held)
		return true
	}
	q.mu.Lock()
	q.aside = append(q.aside, e.ID)
	q.mu.Unlock()
	q.Log.Error("set aside", "queue_id", e.ID, "reverse_path", orNull(e.Envelope.ReversePath), "rcpt", recipients(e), "reason", reason, "err", err)
	return true
}

// holdRefused holds e with those recipients that are to be tried again, without
// what the last attempts said of them. If there is a DSN to be sent, or nobody is
// left, it holds the entry as the store has it, with all of its recipients: to
// release it would deliver to some again, and the reason says so.
func (q *Queue) holdRefused(ctx context.Context, e *Entry, untold bool, reason string) (*Entry, error) {
	least := *e
	least.Held, least.Last, least.Notes = reason, nil, nil
	if untold || len(e.Envelope.Recipients) == 0 {
		stored, err := q.Store.Get(ctx, e.ID)
		if err != nil {
			return nil, err
		}
		least = *stored
		least.Lease = e.Lease
		least.Held = reason + "; some of the recipients may be done with"
	}
	return &least, q.Store.Update(ctx, &least)
}

// setAside tells whether an entry is. Called with mu held.
func (q *Queue) setAside(id mail.QueueID) bool { return slices.Contains(q.aside, id) }
