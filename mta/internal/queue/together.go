package queue

import (
	"context"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// enqueueAll stores tx and all of its More in one operation.
func (q *Queue) enqueueAll(ctx context.Context, tx *mail.Transaction) error {
	var all []*newcomer
	giveUp := func(err error) error {
		for _, n := range all {
			q.unreserve(n.straight)
		}
		return err
	}
	for i, part := range append([]*mail.Transaction{tx}, tx.More...) {
		if len(part.Envelope.Recipients) == 0 {
			continue
		}
		n, err := q.newcomer(newEntry(part), part.Content, relation(i, part, tx)...)
		if err != nil {
			return giveUp(err)
		}
		all = append(all, n)
	}
	if len(all) == 0 {
		return errNobody
	}
	deposits := make([]Deposit, len(all))
	for i, n := range all {
		deposits[i] = Deposit{Entry: n.entry, Content: n.content, Until: n.until}
	}
	if err := q.Store.PutAll(ctx, deposits); err != nil {
		return giveUp(storeError(err))
	}
	for _, n := range all {
		q.welcome(ctx, n)
	}
	return nil
}

// relation says for the log what a transaction is to the one that the client
// sent.
func relation(i int, part, root *mail.Transaction) []any {
	switch {
	case i == 0:
		return nil
	case part.SentBy != "":
		return []any{"sent_by", part.SentBy, "sent_for", root.ID}
	}
	return []any{"part_of", root.ID}
}
