// Package standing keeps an operator's standing orders: hold rules, and the
// list of recipients that nothing goes to any more. What they do to a message is
// the queue's matter; where they are kept durably is that of whoever hands in
// the [KV].
package standing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// Space is the name of the space of a store of plugins that has the orders. No
// stage sees it: names of plugins have no blank.
const Space = "standing orders"

const (
	// refreshEvery is how old what this node goes by may be: another node's
	// order holds here after it.
	refreshEvery = 2 * time.Second

	// reloadEvery is how often all is read, changed or not: a node that died
	// between writing an order and telling of it is no matter after it.
	reloadEvery = time.Minute
)

// A KV keeps values by keys; [host.KV] has these methods, and says what they
// promise.
//
// [host.KV]: https://pkg.go.dev/github.com/wasmta/wasmta/sdk/host#KV
type KV interface {
	Get(ctx context.Context, key string) ([]byte, error)
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	Add(ctx context.Context, key string, delta int64, ttl time.Duration) (int64, error)
	CompareAndSwap(ctx context.Context, key string, old, new []byte, ttl time.Duration) error
}

// Orders are the standing orders of all nodes that share KV. The first fields
// do not change once Load was called. Safe for concurrent use.
type Orders struct {
	KV   KV                  // shared by all nodes
	Copy KV                  // this node's own, for a start while KV cannot be read; nil: none
	Sync func() error        // returns once what was written to KV is on stable storage; nil: it is at once
	Log  *slog.Logger        //
	Now  func() time.Time    // nil: time.Now
	now  atomic.Pointer[all] // what is gone by; replaced as a whole

	suppressed atomic.Int64 // recipients that were refused

	mu     sync.Mutex // one reading at a time; guards what follows
	failed bool       // the last one
}

// Load reads the orders. Where that is not possible it goes by this node's
// copy, and Run reads them as soon as it can.
func (o *Orders) Load(ctx context.Context) error {
	err := o.reload(ctx)
	if err == nil || o.Copy == nil {
		return err
	}
	kept, copyErr := read(ctx, o.Copy)
	if copyErr != nil {
		return errors.Join(err, copyErr)
	}
	o.now.Store(kept)
	o.Log.Warn("standing orders cannot be read, going by those that this node knew", "rules", len(kept.rules), "suppressed", len(kept.suppressed), "err", err)
	return nil
}

// Run keeps what this node goes by at most some seconds old, until ctx ends.
func (o *Orders) Run(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		o.noteFailure(ctx, o.refresh(ctx))
	}
}

// refresh reads all if something changed, or if that is long ago.
func (o *Orders) refresh(ctx context.Context) error {
	at := o.now.Load()
	if at != nil && o.clock().Sub(at.read) < reloadEvery {
		version, err := readVersion(ctx, o.KV)
		if err != nil || version == at.version {
			return err
		}
	}
	return o.reload(ctx)
}

// noteFailure logs the first of several failures, and their end.
func (o *Orders) noteFailure(ctx context.Context, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return
	case err != nil && !o.failed:
		o.Log.Warn("standing orders cannot be read, those known stay in force", "err", err)
	case err == nil && o.failed:
		o.Log.Info("standing orders can be read again")
	}
	o.failed = err != nil
}

func (o *Orders) reload(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	known := o.known(ctx)
	next, err := read(ctx, o.KV)
	if err == nil && next.version < known.version {
		// The counter never goes back, so the store was emptied, or set back.
		if err = putBack(ctx, o.KV, known, next.version); err == nil {
			o.Log.Error("standing orders were lost where they are kept; this node put back those that it knew", "rules", len(known.rules), "suppressed", len(known.suppressed))
			next, err = read(ctx, o.KV)
		}
	}
	if err != nil {
		return fmt.Errorf("read standing orders: %w", err)
	}
	next.read = o.clock()
	if o.Copy != nil && known.version != next.version {
		if err := next.writeTo(ctx, o.Copy); err != nil {
			o.Log.Warn("standing orders cannot be copied", "err", err)
		}
	}
	o.now.Store(next)
	return nil
}

// known is what this node goes by, or went by before it was started again.
func (o *Orders) known(ctx context.Context) *all {
	if at := o.now.Load(); at != nil {
		return at
	}
	if o.Copy != nil {
		if kept, err := read(ctx, o.Copy); err == nil {
			return kept
		}
	}
	return &all{}
}

func (o *Orders) clock() time.Time {
	if o.Now != nil {
		return o.Now()
	}
	return time.Now()
}

// current is what this node goes by; before Load there are no orders.
func (o *Orders) current() *all {
	if at := o.now.Load(); at != nil {
		return at
	}
	return &all{}
}

// Hold implements queue.Standing: the first rule that fits, by its name.
func (o *Orders) Hold(reversePath, rcpt mail.Path) string {
	for _, r := range o.current().rules {
		if r.fits(reversePath, rcpt) {
			return r.Held()
		}
	}
	return ""
}

// unreasoned is what senders read where the operator gave no reason.
const unreasoned = "nothing is sent there any more"

// Suppressed implements queue.Standing: an address comes before its domain.
func (o *Orders) Suppressed(rcpt mail.Path) string {
	at := o.current()
	if len(at.suppressed) == 0 {
		return ""
	}
	for _, key := range []string{keyOf(rcpt.String()), keyOf(rcpt.Domain)} {
		if s, ok := at.suppressed[key]; ok && s.inForce(o.clock()) {
			o.suppressed.Add(1)
			return cmp.Or(s.Reason, unreasoned)
		}
	}
	return ""
}

// Counts are for metrics.
type Counts struct {
	Rules      int   // in force
	Suppressed int   // addresses and domains, those that have expired lately too
	Refused    int64 // recipients that were refused for it, by this process
}

// Counts counts.
func (o *Orders) Counts() Counts {
	at := o.current()
	return Counts{len(at.rules), len(at.suppressed), o.suppressed.Load()}
}
