package queue

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// maxLogged is how many recipients the line of a new message names.
const maxLogged = 10

func (q *Queue) logQueued(e *Entry, more ...any) {
	attrs := []any{
		"queue_id", e.ID,
		"reverse_path", orNull(e.Envelope.ReversePath),
		"rcpt", recipients(e),
		"size", e.Size,
	}
	if e.Client.Addr.IsValid() {
		attrs = append(attrs, "client", e.Client.Addr.Addr())
	}
	if e.Client.Account != "" {
		attrs = append(attrs, "account", e.Client.Account)
	}
	if e.Held != "" {
		attrs = append(attrs, "held", e.Held)
	}
	q.Log.Info("queued", append(attrs, more...)...)
}

// recipients names those of e, and says how many more there are.
func recipients(e *Entry) string {
	var b strings.Builder
	for i, rcpt := range e.Envelope.Recipients {
		if i == maxLogged {
			fmt.Fprintf(&b, " and %d more", len(e.Envelope.Recipients)-i)
			break
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(rcpt.Path.String())
	}
	return b.String()
}

// logSettled has a line for each recipient, from which its fate can be read.
func (q *Queue) logSettled(e *Entry, s *sorted, now time.Time) {
	delay := now.Sub(e.Received)
	for _, o := range slices.Concat(s.done, s.fail, s.keep) {
		if o.before != nil && o.result.Outcome == mail.Deferred {
			continue
		}
		r := o.result
		if q.Observer != nil {
			q.Observer.Attempted(r.NextHop, r.Outcome, delay)
		}
		attrs := []any{
			"queue_id", e.ID,
			"reverse_path", orNull(e.Envelope.ReversePath),
			"rcpt", o.rcpt.Path.String(),
			"size", e.Size,
			"delay", delay.Round(time.Millisecond),
			"attempts", e.Attempts,
			"next_hop", r.NextHop,
			"reply", reply(r.Code, r.Enh, r.Text, ""),
		}
		if r.Err != nil {
			attrs = append(attrs, "err", r.Err)
		}
		if r.Outcome == mail.Deferred {
			attrs = append(attrs, "next_try", e.Due.UTC().Truncate(time.Second))
		}
		q.Log.Info(string(r.Outcome), attrs...)
	}
}

func (q *Queue) logHeld(e *Entry) {
	q.Log.Error("held", "queue_id", e.ID, "reverse_path", orNull(e.Envelope.ReversePath), "rcpt", recipients(e), "reason", e.Held)
}

// logLane has the line of a next hop that went down or came up: one for each
// change, however much mail waits.
func (q *Queue) logLane(e event) {
	if e.down {
		q.Log.Warn("next hop down", "next_hop", e.lane, "reply", e.out.reason(), "next_try", e.out.until.UTC().Truncate(time.Second))
		return
	}
	q.Log.Info("next hop up", "next_hop", e.lane, "down_for", e.at.Sub(e.out.since).Round(time.Second), "probes", e.out.probes)
}

func (q *Queue) logOperated(event, who string, e *Entry) {
	q.Log.LogAttrs(context.Background(), slog.LevelInfo, event,
		slog.String("queue_id", string(e.ID)),
		slog.String("who", who),
		slog.String("reverse_path", orNull(e.Envelope.ReversePath)),
		slog.String("rcpt", recipients(e)),
		slog.Int64("size", e.Size))
}

// reply is a reply on one line; without a code it is what went wrong here.
func reply(code int, enh, text, private string) string {
	if code == 0 {
		return or(text, private)
	}
	parts := []string{strconv.Itoa(code)}
	if enh != "" {
		parts = append(parts, enh)
	}
	if text != "" {
		parts = append(parts, strings.ReplaceAll(text, "\n", " "))
	}
	return strings.Join(parts, " ")
}
