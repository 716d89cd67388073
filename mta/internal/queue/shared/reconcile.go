package shared

import (
	"context"
	"fmt"

	"github.com/wasmta/wasmta/mta/internal/queue"
)

// Reconcile has a Redis decide what the spool does not know without it: what may
// be in both, and what attempts came to at entries that are in Redis. After that
// the two have nothing in common, and each can be moved by itself. left is how many
// entries are undecided still, because another node attempts them. The stores in o
// stay open; of the rest of o the limits and the log are used.
func Reconcile(ctx context.Context, o Options) (left int, err error) {
	o.Copies, o.Marks = nil, ""
	s, err := Open(ctx, o)
	if err != nil {
		return 0, err
	}
	if err := eachTwin(ctx, s.spool, s.correlate); err != nil {
		return 0, err
	}
	if s.pairs() == 0 {
		return 0, nil
	}
	if err := s.mend(ctx); err != nil {
		return s.pairs(), fmt.Errorf("ask redis about %d messages that the spool may have in common with it: %w", s.pairs(), err)
	}
	return s.pairs(), nil
}

// Pending is how many entries of a spool wait for a Redis to decide about them.
func Pending(ctx context.Context, spool queue.Store) (n int, err error) {
	err = eachTwin(ctx, spool, func(*queue.Entry) { n++ })
	return n, err
}

// eachTwin calls f with the entries of a spool about which only Redis can decide.
func eachTwin(ctx context.Context, spool queue.Store, f func(*queue.Entry)) error {
	return eachEntry(ctx, spool, queue.Filter{}, func(e *queue.Entry) error {
		if e.Twin != nil && e.Twin.Kind != stay {
			f(e)
		}
		return nil
	})
}
