package queue

import (
	"context"
	"time"

	"github.com/wasmta/wasmta/mta/internal/dsn"
	"github.com/wasmta/wasmta/mta/internal/mail"
)

// A NoticeKind is what a DSN of ours is about.
type NoticeKind string

const (
	NoticeFailed       NoticeKind = "failed"
	NoticeDelayed      NoticeKind = "delayed"
	NoticeSuccess      NoticeKind = "success"       // delivered, relayed or expanded
	NoticeDoubleBounce NoticeKind = "double-bounce" // a message with the null reverse-path failed; to the postmaster
)

// notify makes the DSNs that an attempt calls for; they are the caller's to
// store. It may change s: of a message that nobody can be told of, the
// recipients that failed are kept, and the message is held.
func (q *Queue) notify(ctx context.Context, e *Entry, content mail.Content, s *sorted, now time.Time) []*newcomer {
	warns := q.warns(e, s, now)
	e.Warned = e.Warned || warns
	if e.Envelope.ReversePath.IsNull() {
		return q.notifyPostmaster(ctx, e, content, s, now)
	}
	var all []*newcomer
	add := func(kind NoticeKind, about []outcome) {
		if n := q.notice(ctx, e, e.Envelope.ReversePath, content, kind, about, now); n != nil {
			all = append(all, n)
		}
	}
	add(NoticeFailed, choose(s.fail, wantsFailure))
	add(NoticeSuccess, choose(s.done, wantsSuccess))
	if warns {
		add(NoticeDelayed, q.warnings.admit(e.Envelope.ReversePath, choose(s.keep, wantsDelay), now))
	}
	return all
}

// notifyPostmaster is notify for the null reverse-path, which nothing is
// reported to (RFC 5321 §6.1). What failed for good is the postmaster's, once:
// if the report to the postmaster fails, or if there is no postmaster, it is held
// for the operator. No third message comes of it, so there is no loop. What a
// plugin sends with the null reverse-path asks for no reports (RFC 3834 §3.3),
// and no client was promised any.
func (q *Queue) notifyPostmaster(ctx context.Context, e *Entry, content mail.Content, s *sorted, now time.Time) []*newcomer {
	about := choose(s.fail, wantsFailure)
	if len(about) == 0 || e.SentBy != "" {
		return nil
	}
	if !q.Postmaster.IsNull() && e.Notice != NoticeDoubleBounce {
		if n := q.notice(ctx, e, q.Postmaster, content, NoticeDoubleBounce, about, now); n != nil {
			return []*newcomer{n}
		}
		return nil
	}
	why := "there is no postmaster to return it to"
	if e.Notice == NoticeDoubleBounce {
		why = "it is for the postmaster and cannot be delivered"
	}
	s.hold(why)
	return nil
}

// hold keeps those who failed and want to hear of it, for the operator.
func (s *sorted) hold(why string) {
	var fail []outcome
	for _, o := range s.fail {
		if !wantsFailure(o) {
			fail = append(fail, o)
			continue
		}
		r := &o.result
		r.Outcome = mail.Deferred
		r.Hold = why + "; " + o.rcpt.Path.String() + ": " + or(reply(r.Code, r.Enh, r.Text, ""), "no reply")
		s.keep = append(s.keep, o)
	}
	s.fail = fail
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

// notice makes one DSN about some recipients of e; nil if there are none, or if
// a stage wants none.
func (q *Queue) notice(ctx context.Context, e *Entry, to mail.Path, content mail.Content, kind NoticeKind, about []outcome, now time.Time) *newcomer {
	if len(about) == 0 {
		return nil
	}
	id := mail.NewQueueIDBeside(now, e.ID)
	composed := dsn.Compose(q.describe(id, e, to, content, kind, about, now))
	notice := &Entry{ID: id, Received: now, Reviewed: true, Notes: e.Notes, Notice: kind, Envelope: mail.Envelope{
		Recipients: []mail.Recipient{{Path: to, Original: to}},
		Body:       composed.Body,
		UTF8:       composed.UTF8,
		RequireTLS: e.Envelope.RequireTLS, // it tells of the message (RFC 8689 §5)
	}}
	octets, ok := q.reviewNotice(ctx, notice, composed.Content)
	if !ok {
		q.Log.Info("discarded", "queue_id", id, "dsn_of", e.ID, "dsn", kind)
		return nil
	}
	n, err := q.newcomer(notice, octets, "dsn_of", e.ID, "dsn", kind)
	if err != nil { // what is in the way of reading it will be met again, and then told of
		notice.Size, notice.Lane = octets.Size(), q.laneOf(notice)
		n = &newcomer{task: task{entry: notice}, content: octets, more: []any{"dsn_of", e.ID, "dsn", kind}}
	}
	return n
}

// reviewNotice asks the stages about a DSN; ok is false if they want none.
func (q *Queue) reviewNotice(ctx context.Context, notice *Entry, content mail.Content) (now mail.Content, ok bool) {
	if q.Hooks == nil {
		return content, true
	}
	tx := notice.transaction(content)
	switch q.Hooks.Notice(ctx, tx) {
	case mail.Discard:
		return nil, false
	case mail.Quarantine:
		notice.Held = tx.Hold
	}
	notice.Notes = tx.QueuedNotes
	return tx.Content, true
}

// describe says what the DSN is to tell.
func (q *Queue) describe(id mail.QueueID, e *Entry, to mail.Path, content mail.Content, kind NoticeKind, about []outcome, now time.Time) *dsn.Report {
	r := &dsn.Report{
		ID:           id,
		Date:         now,
		ReportingMTA: q.Hostname,
		To:           to,
		Postmaster:   kind == NoticeDoubleBounce,
		Original:     e.ID,
		Envelope:     e.Envelope,
		Arrival:      e.Received,
		Content:      content,
	}
	for _, o := range about {
		r.Recipients = append(r.Recipients, dsn.Recipient{
			Recipient:   o.rcpt,
			Result:      o.result,
			Attempts:    e.Attempts,
			LastAttempt: o.at(now),
			RetryUntil:  e.Received.Add(q.ExpireAfter),
		})
	}
	return r
}
