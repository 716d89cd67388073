package queue

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// maxUpdateWait is the longest wait between two tries to write down what came
// of an attempt.
const maxUpdateWait = 30 * time.Second

// store sees to it that what came of an attempt is written down; err is what the
// first try said. While the store fails it tries again: giving up would repeat
// the attempt for recipients that are done. Only the end of the process ends it,
// and then repeating is what is left; or that the store refuses this entry alone.
func (q *Queue) store(ctx context.Context, e *Entry, more []*newcomer, err error) {
	unsure := false // an earlier try may have been made
	tries, wrote := 0, q.wrote.Load()
	for wait := time.Second; err != nil; wait = min(2*wait, maxUpdateWait) {
		refused := errors.Is(err, ErrLease) || errors.Is(err, ErrExists)
		switch {
		case refused && unsure && q.concluded(ctx, more):
			return
		case errors.Is(err, ErrLease):
			q.dismiss(more)
			q.Log.Warn("lease lost", "queue_id", e.ID, "err", err)
			return
		case errors.Is(err, ErrExists): // 27 random bits were not enough
			rename(more)
		default:
			unsure = true
		}
		if ofEntry(err) {
			tries++
		}
		if tries >= maxRefused && q.refused(ctx, e, more, wrote, err) {
			return
		}
		q.Log.Error("queue store", "queue_id", e.ID, "err", err)
		select {
		case <-ctx.Done():
			q.dismiss(more)
			return
		case <-time.After(wait):
		}
		err = q.write(context.WithoutCancel(ctx), e, more)
	}
}

// ofEntry tells whether an error may be about one entry alone: the store is neither
// away nor full.
func ofEntry(err error) bool {
	return !errors.Is(err, ErrAway) && !errors.Is(storeError(err), errNoSpace)
}

// write concludes an attempt, in one step of the store.
func (q *Queue) write(ctx context.Context, e *Entry, more []*newcomer) error {
	var err error
	switch {
	case len(more) > 0:
		for _, n := range more {
			q.date(n)
		}
		err = q.Store.Conclude(ctx, e, deposits(more))
	case len(e.Envelope.Recipients) == 0:
		err = q.Store.Remove(ctx, e)
	default:
		err = q.Store.Update(ctx, e)
	}
	if err != nil {
		return err
	}
	q.wrote.Add(1)
	if len(e.Envelope.Recipients) > 0 && e.Held == "" {
		q.due(e.Due)
	}
	for _, n := range more {
		q.welcome(ctx, n)
	}
	return nil
}

// concluded tells whether an earlier try to conclude an attempt was made after
// all, only its answer was lost. Then the entry's lease is over, and what came
// with it is there and waits, or is attempted by another node.
func (q *Queue) concluded(ctx context.Context, more []*newcomer) bool {
	for _, n := range more {
		if _, err := q.Store.Get(context.WithoutCancel(ctx), n.entry.ID); err != nil {
			return false
		}
	}
	for _, n := range more {
		q.unreserve(n)
		q.welcome(ctx, n)
	}
	return len(more) > 0
}

// rename gives new IDs to entries whose IDs are in use.
func rename(more []*newcomer) {
	for _, n := range more {
		n.entry.ID = mail.NewQueueIDBeside(time.Now(), n.entry.ID)
	}
}

// unstorable tells whether an entry can be concluded only without what comes of
// the attempt: there is no room for that, or it cannot be read.
func unstorable(err error, more []*newcomer) bool {
	if err == nil || len(more) == 0 || errors.Is(err, ErrLease) {
		return false
	}
	if reply, ok := errors.AsType[*smtp.Reply](storeError(err)); ok && reply == errNoSpace {
		return true
	}
	for _, n := range more {
		if !readable(n.content) {
			return true
		}
	}
	return false
}

// readable tells whether content can be read to its end.
func readable(c mail.Content) bool {
	if _, ok := c.(mail.Bytes); ok {
		return true
	}
	r, err := c.Open()
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close()) == nil
}

// postpone keeps those whose failure could not be reported, so that it is tried
// again. To deliver a message again because its success could not be told would
// be worse than not telling.
func (s *sorted) postpone(err error) {
	for _, o := range s.fail {
		o.result.Outcome, o.result.Err = mail.Deferred, err
		s.keep = append(s.keep, o)
	}
	s.fail = nil
}
