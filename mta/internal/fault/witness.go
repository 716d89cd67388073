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
type witness struct {
	queue.Store
	ledger *Ledger
}

func (w *witness) Update(ctx context.Context, e *queue.Entry) error {
	return w.see(e, func() error { return w.Store.Update(ctx, e) })
}

func (w *witness) Conclude(ctx context.Context, e *queue.Entry, more []queue.Deposit) error {
	return w.see(e, func() error { return w.Store.Conclude(ctx, e, more) })
}

func (w *witness) Replace(ctx context.Context, e *queue.Entry, c mail.Content, more []queue.Deposit) error {
	return w.see(e, func() error { return w.Store.Replace(ctx, e, c, more) })
}

func (w *witness) see(e *queue.Entry, write func() error) error {
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
