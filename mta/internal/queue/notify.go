package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/wasmta/wasmta/mta/internal/dsn"
	"github.com/wasmta/wasmta/mta/internal/mail"
)

// notify puts the DSNs into the queue that an attempt calls for. It may change
// s: recipients whose failure could not be reported are kept, so that it is
// tried again.
func (q *Queue) notify(ctx context.Context, e *Entry, content mail.Content, s *sorted, now time.Time) {
	if e.Envelope.ReversePath.IsNull() {
		return // never answer a DSN with a DSN (RFC 5321 §6.1)
	}
	if err := q.report(ctx, e, content, now, "failed", choose(s.fail, wantsFailure)); err != nil {
		q.Log.Error("queue store", "queue_id", e.ID, "err", err)
		for _, o := range s.fail {
			o.result.Outcome, o.result.Err = mail.Deferred, err
			s.keep = append(s.keep, o)
		}
		s.fail = nil
	}
	// To deliver a message again because its success could not be told would
	// be worse than not telling.
	if err := q.report(ctx, e, content, now, "success", choose(s.done, wantsSuccess)); err != nil {
		q.Log.Error("queue store", "queue_id", e.ID, "err", err)
	}
	if !q.warns(e, s, now) {
		return
	}
	if err := q.report(ctx, e, content, now, "delayed", choose(s.keep, wantsDelay)); err != nil {
		q.Log.Error("queue store", "queue_id", e.ID, "err", err)
		return
	}
	e.Warned = true
}

func (q *Queue) warns(e *Entry, s *sorted, now time.Time) bool {
	return q.WarnAfter > 0 && !e.Warned && len(s.keep) > 0 && now.Sub(e.Received) >= q.WarnAfter
}

// wantsFailure tells whether the sender is told of a failure: unless RCPT said
// otherwise (RFC 3461 §4.1).
func wantsFailure(o outcome) bool {
	return o.rcpt.Notify == 0 || o.rcpt.Notify&mail.NotifyFailure != 0
}

// wantsDelay tells whether the sender is told of a delay. Where NOTIFY was not
// given that is ours to decide (RFC 3461 §4.1).
func wantsDelay(o outcome) bool {
	return o.rcpt.Notify == 0 || o.rcpt.Notify&mail.NotifyDelay != 0
}

// wantsSuccess tells whether the sender is told of success by us: if RCPT
// asked for it, and the next hop has not taken that over (RFC 3461 §5.2.2).
func wantsSuccess(o outcome) bool {
	took := o.result.Outcome == mail.Relayed && o.result.DSN
	return o.rcpt.Notify&mail.NotifySuccess != 0 && !took && o.result.Outcome != mail.Discarded
}

func choose(outcomes []outcome, want func(outcome) bool) []outcome {
	var chosen []outcome
	for _, o := range outcomes {
		if want(o) {
			chosen = append(chosen, o)
		}
	}
	return chosen
}

// report puts one DSN about some recipients of e into the queue. It returns nil
// once the DSN is on stable storage.
func (q *Queue) report(ctx context.Context, e *Entry, content mail.Content, now time.Time, kind string, about []outcome) error {
	if len(about) == 0 {
		return nil
	}
	id := mail.NewQueueID(now)
	composed := dsn.Compose(q.describe(id, e, content, now, about))
	notice := &Entry{ID: id, Received: now, Reviewed: true, Notes: e.Notes, Envelope: mail.Envelope{
		Recipients: []mail.Recipient{{Path: e.Envelope.ReversePath, Original: e.Envelope.ReversePath}},
		Body:       composed.Body,
		UTF8:       composed.UTF8,
	}}
	octets := mail.Content(composed.Content)
	if q.Hooks != nil {
		tx := notice.transaction(octets)
		switch q.Hooks.Notice(ctx, tx) {
		case mail.Discard:
			q.Log.Info("discarded", "queue_id", id, "dsn_of", e.ID, "dsn", kind)
			return nil
		case mail.Quarantine:
			notice.Held = tx.Hold
		}
		octets, notice.Notes = tx.Content, tx.QueuedNotes
	}
	if err := q.put(ctx, notice, octets, "dsn_of", e.ID, "dsn", kind); err != nil {
		return fmt.Errorf("store a DSN: %w", err)
	}
	if q.Observer != nil {
		q.Observer.Notified(kind)
	}
	return nil
}

// describe says what the DSN is to tell.
func (q *Queue) describe(id mail.QueueID, e *Entry, content mail.Content, now time.Time, about []outcome) *dsn.Report {
	r := &dsn.Report{
		ID:           id,
		Date:         now,
		ReportingMTA: q.Hostname,
		Original:     e.ID,
		Envelope:     e.Envelope,
		Arrival:      e.Received,
		Content:      content,
	}
	for _, o := range about {
		r.Recipients = append(r.Recipients, dsn.Recipient{
			Recipient:   o.rcpt,
			Result:      o.result,
			LastAttempt: now,
			RetryUntil:  e.Received.Add(q.ExpireAfter),
		})
	}
	return r
}
