package queue

import (
	"context"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// enqueueAll stores all parts of tx in one operation.
func (q *Queue) enqueueAll(ctx context.Context, tx *mail.Transaction, parts []*mail.Transaction) error {
	all, err := q.newcomers(parts, tx)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errNobody
	}
	if err := q.Store.PutAll(ctx, deposits(all)); err != nil {
		q.dismiss(all)
		return storeError(err)
	}
	for _, n := range all {
		q.welcome(ctx, n)
	}
	return nil
}

// newcomers are those of parts that have recipients. On error none has a place
// among the fresh tasks; else they are the caller's to welcome or to dismiss.
func (q *Queue) newcomers(parts []*mail.Transaction, root *mail.Transaction) (all []*newcomer, err error) {
	for _, part := range parts {
		if len(part.Envelope.Recipients) == 0 {
			continue
		}
		n, err := q.newcomer(newEntry(part), part.Content, relation(part, root)...)
		if err != nil {
			q.dismiss(all)
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// dismiss gives back the places of entries that are not stored.
func (q *Queue) dismiss(all []*newcomer) {
	for _, n := range all {
		q.unreserve(n)
	}
}

func deposits(all []*newcomer) []Deposit {
	out := make([]Deposit, len(all))
	for i, n := range all {
		out[i] = Deposit{Entry: n.entry, Content: n.content, Until: n.until}
	}
	return out
}

// relation says for the log what a transaction is to the one that the client
// sent.
func relation(part, root *mail.Transaction) []any {
	switch {
	case part.ID == root.ID:
		return nil
	case part.SentBy != "":
		return []any{"sent_by", part.SentBy, "sent_for", root.ID}
	}
	return []any{"part_of", root.ID}
}
