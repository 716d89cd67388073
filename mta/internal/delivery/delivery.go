// Package delivery decides for each recipient whether a message goes to the
// message store or to a next hop, and has it brought there. How is left to
// those it calls; when to try again is the queue's decision.
package delivery

import (
	"context"
	"log/slog"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/parallel"
)

// DefaultParallel is how many mailboxes one message is delivered to at the
// same time: more only wait for the same disk.
const DefaultParallel = 8

// A Place is where the mail of a path belongs. The zero Place is elsewhere:
// the domain is not ours.
type Place struct {
	Local   bool          // the domain is ours
	Account string        // whose mailbox; empty where Local: there is no such recipient, or Hop has the domain's mail
	Hop     *mail.NextHop // not nil: the domain is ours and its mail goes to this host
}

// A Directory knows who exists.
type Directory interface {
	// Place tells where the mail of p belongs. An error is temporary.
	Place(p mail.Path) (Place, error)
}

// An Inbox is the message store.
type Inbox interface {
	// Deliver stores m in a folder of account, durably, for rcpt. It does not
	// look at m.Envelope.Recipients. An error of type [*smtp.Reply] tells
	// whether it is final; any other is temporary.
	Deliver(ctx context.Context, account, folder, flags string, rcpt mail.Path, m *mail.Message) error
}

// A Relay hands messages to next hops.
type Relay interface {
	// Deliver returns a result for each recipient of m, in their order. A nil
	// hop leaves the choice to the recipient's Route and the routes.
	Deliver(ctx context.Context, m *mail.Message, hop *mail.NextHop) []mail.Result

	// Lane names the next hop that Deliver would choose.
	Lane(rcpt *mail.Recipient, hop *mail.NextHop) string
}

// An Observer counts.
type Observer interface {
	Stored(outcome mail.Outcome, took time.Duration) // one copy for the message store
}

// A Router implements [mail.Deliverer]. Its fields do not change once Deliver
// has been called. Safe for concurrent use.
type Router struct {
	Directory Directory
	Inbox     Inbox
	Relay     Relay
	Log       *slog.Logger // nil: none
	Observer  Observer     // may be nil
	Parallel  int          // mailboxes at the same time; zero: DefaultParallel
}

var _ mail.Deliverer = (*Router)(nil)

// Deliver attempts m for all its recipients. Copies for mailboxes and
// transactions with next hops run at the same time. Recipients that come down
// to the same folder of the same account share one copy, which bears the
// Delivered-To of the first, and all have its result.
func (d *Router) Deliver(ctx context.Context, m *mail.Message) []mail.Result {
	results := make([]mail.Result, len(m.Envelope.Recipients))
	p := d.plan(m, results)
	if d.Log != nil {
		d.Log.DebugContext(ctx, "delivering", "queue_id", m.ID, "recipients", len(results), "copies", len(p.copies), "next_hops", len(p.hops))
	}
	hops := func() {
		parallel.Do(0, len(p.hops), func(i int) { d.relay(ctx, m, p.hops[i], results) })
	}
	copies := func() {
		parallel.Do(d.parallel(), len(p.copies), func(i int) { d.store(ctx, m, p.copies[i], results) })
	}
	switch {
	case len(p.hops) == 0:
		copies()
	case len(p.copies) == 0:
		hops()
	default:
		both := []func(){hops, copies}
		parallel.Do(0, len(both), func(i int) { both[i]() })
	}
	return results
}

// Lane names the next hop that Deliver would hand a recipient to; empty where
// it would be no next hop, and where that cannot be told now.
func (d *Router) Lane(rcpt *mail.Recipient) string {
	w := d.way(rcpt)
	if !w.relay {
		return ""
	}
	return d.Relay.Lane(rcpt, w.hop)
}

func (d *Router) parallel() int {
	if d.Parallel > 0 {
		return d.Parallel
	}
	return DefaultParallel
}

// relay hands m to one next hop for some recipients.
func (d *Router) relay(ctx context.Context, m *mail.Message, h *hop, results []mail.Result) {
	part := m
	if len(h.rcpts) < len(m.Envelope.Recipients) {
		copied := *m
		part = &copied
		part.Progress = m.Progress.Of(h.rcpts)
		part.Envelope.Recipients = make([]mail.Recipient, len(h.rcpts))
		for k, i := range h.rcpts {
			part.Envelope.Recipients[k] = m.Envelope.Recipients[i]
		}
	}
	for k, res := range d.Relay.Deliver(ctx, part, h.to) {
		results[h.rcpts[k]] = res
	}
}

// store delivers one copy to the message store.
func (d *Router) store(ctx context.Context, m *mail.Message, c *localCopy, results []mail.Result) {
	start := time.Now()
	err := d.Inbox.Deliver(ctx, c.to.account, c.to.folder, c.flags, m.Envelope.Recipients[c.rcpts[0]].Path, m)
	res := stored(c.to, err)
	if d.Observer != nil {
		d.Observer.Stored(res.Outcome, time.Since(start))
	}
	for _, i := range c.rcpts {
		results[i] = res
	}
	m.Progress.Tell(c.rcpts, results)
}
