package fault

import (
	"context"
	"io"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// A witness stands before a store and tells the ledger when the end of an attempt
// has been written down: from then on there is no excuse for another. The removal
// of an entry is not written down at once: a crash soon after may bring it back.
//
// It also knows what is under way.
type witness struct {
	queue.Store
	ledger *Ledger
	about  *gauge
}

func (w *witness) Put(ctx context.Context, e *queue.Entry, c mail.Content, until time.Time) error {
	defer w.about.begin(accepting)()
	return w.Store.Put(ctx, e, c, until)
}

func (w *witness) PutAll(ctx context.Context, deposits []queue.Deposit) error {
	defer w.about.begin(accepting)()
	return w.Store.PutAll(ctx, deposits)
}

func (w *witness) Claim(ctx context.Context, now, until time.Time, max int, pick queue.Pick) ([]*queue.Entry, error) {
	defer w.about.begin(claiming)()
	return w.Store.Claim(ctx, now, until, max, pick)
}

func (w *witness) Take(ctx context.Context, id mail.QueueID, now, until time.Time) (*queue.Entry, error) {
	defer w.about.begin(claiming)()
	return w.Store.Take(ctx, id, now, until)
}

func (w *witness) Remove(ctx context.Context, e *queue.Entry) error {
	defer w.about.begin(delivering)()
	return w.Store.Remove(ctx, e)
}

func (w *witness) Update(ctx context.Context, e *queue.Entry) error {
	return w.see(e, nil, func() error { return w.Store.Update(ctx, e) })
}

func (w *witness) Conclude(ctx context.Context, e *queue.Entry, more []queue.Deposit) error {
	return w.see(e, more, func() error { return w.Store.Conclude(ctx, e, more) })
}

func (w *witness) Replace(ctx context.Context, e *queue.Entry, c mail.Content, more []queue.Deposit) error {
	return w.see(e, more, func() error { return w.Store.Replace(ctx, e, c, more) })
}

func (w *witness) see(e *queue.Entry, more []queue.Deposit, write func() error) error {
	phase := delivering
	if len(more) > 0 {
		phase = bouncing
	}
	defer w.about.begin(phase)()
	id, began := string(e.ID), time.Now() // the next attempt may begin before this one knows
	err := write()
	if err == nil {
		w.ledger.written(id, began)
	}
	return err
}

func readAll(c mail.Content) ([]byte, error) {
	r, err := c.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
