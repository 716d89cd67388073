package queue

import (
	"slices"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// Standing are an operator's standing orders: what is to become of mail yet to
// come. They are asked about every message, so they are quick; an answer may be
// some seconds old. Safe for concurrent use.
type Standing interface {
	// Hold says why mail from that reverse-path to that recipient is held;
	// empty: it is not.
	Hold(reversePath, rcpt mail.Path) (reason string)

	// Suppressed says why nothing goes to that recipient any more; empty: it
	// does.
	Suppressed(rcpt mail.Path) (reason string)
}

// parts are tx and its More, divided so that what is held for one recipient
// keeps nobody else waiting: those who are held for the same reason are a part
// of their own, with a queue ID of its own. It does not change tx.
func (q *Queue) parts(tx *mail.Transaction) []*mail.Transaction {
	all := append([]*mail.Transaction{tx}, tx.More...)
	if q.Standing == nil {
		return all
	}
	out := make([]*mail.Transaction, 0, len(all))
	for _, part := range all {
		out = append(out, q.divide(part, tx.ID)...)
	}
	return out
}

func (q *Queue) divide(tx *mail.Transaction, root mail.QueueID) []*mail.Transaction {
	reasons := []string{""}
	groups := map[string][]mail.Recipient{}
	for _, rcpt := range tx.Envelope.Recipients {
		why := q.Standing.Hold(tx.Envelope.ReversePath, rcpt.Path)
		if !slices.Contains(reasons, why) {
			reasons = append(reasons, why)
		}
		groups[why] = append(groups[why], rcpt)
	}
	if len(groups) < 2 || tx.Hold != "" {
		return []*mail.Transaction{tx}
	}
	var parts []*mail.Transaction
	for _, why := range reasons {
		if len(groups[why]) == 0 {
			continue
		}
		part := tx.Fork()
		part.Envelope.Recipients, part.Hold = groups[why], why
		part.ID = tx.ID
		if len(parts) > 0 {
			part.ID = mail.NewQueueIDBeside(tx.Received, root)
		}
		parts = append(parts, part)
	}
	return parts
}

// obey applies the standing orders to a new entry. One whose recipients cannot
// be divided any more is held if one of them is to be.
func (q *Queue) obey(e *Entry) {
	if q.Standing == nil {
		return
	}
	q.suppress(e)
	for i := 0; e.Held == "" && i < len(e.Envelope.Recipients); i++ {
		e.Held = q.Standing.Hold(e.Envelope.ReversePath, e.Envelope.Recipients[i].Path)
	}
}

// suppress refuses the recipients of e that nothing goes to any more, so that
// the next attempt returns them.
func (q *Queue) suppress(e *Entry) {
	if q.Standing == nil {
		return
	}
	for i := range e.Envelope.Recipients {
		rcpt := &e.Envelope.Recipients[i]
		if rcpt.Refused != nil {
			continue
		}
		if why := q.Standing.Suppressed(rcpt.Path); why != "" {
			rcpt.Refused = &mail.Refusal{Code: 550, Enh: "5.7.1", Text: "Suppressed by the operator: " + why}
		}
	}
}
