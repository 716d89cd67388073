package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// Limits of what an operator's command does at once.
const (
	operatorPage  = 500              // entries listed at a time
	operatorWrite = 64               // changes in flight: they share the store's syncs
	operatorLease = 30 * time.Second // of an entry that is being changed
)

// An Action is what an operator does to messages.
type Action string

// The actions. Those of the first group are done to whole messages; those of
// the second only to the recipients that the filter's To and Domain choose, so
// that nobody else's mail is lost or led astray by them.
const (
	Retry   Action = "retry"   // due now; what is held is released
	Hold    Action = "hold"    // kept until it is released, for Order.Reason
	Release Action = "release" // due now, if it is held; what is not is left as it is
	Flush   Action = "flush"   // all that waits is due now, and so are the next hops that are down

	Reroute Action = "reroute" // goes to Order.NextHop from now on, and is due now
	Bounce  Action = "bounce"  // returned to the sender for Order.Reason, and gone
	Drop    Action = "drop"    // gone, and nobody is told
)

// An Order is an [Action] with what it is done to.
type Order struct {
	Do      Action
	Who     string        // the operator, for the log
	Filter  Filter        // the zero Filter is all messages
	Reason  string        // of Hold and Bounce; may be empty
	NextHop *mail.NextHop // of Reroute; nil: where the routes say
}

// A Change is what became of an [Order].
type Change struct {
	Changed int                    // messages that were changed
	Active  int                    // messages that were chosen and left alone: an attempt is under way
	Refused int                    // messages that it cannot be done to; the log says why
	Failed  map[mail.QueueID]error // why, of those that Filter.IDs names and that were not changed
}

// errSkip says of an entry that there is nothing to do.
var errSkip = errors.New("nothing to do")

// errLeft says that an entry is not chosen, once it was looked at.
var errLeft = errors.New("it does not fit the filter")

// events are the lines of messages.
var events = map[Action]string{
	Retry: "retried", Hold: "held", Release: "released", Flush: "retried", Reroute: "rerouted", Bounce: "returned", Drop: "dropped",
}

// A refusal says why an action cannot be done to one entry. The others are no
// worse off.
type refusal string

func (r refusal) Error() string { return string(r) }

const (
	errDamaged refusal = "its record is damaged; it can be dropped"
	errUntold  refusal = "nobody can be told, so it stays; it can be dropped"
	errGone    refusal = "its content is not there; it can be dropped"
)

// List returns up to max entries that match f, with IDs after the one given, in
// the order of their IDs, which is that of their age. Less than max means that
// there are no more.
func (q *Queue) List(ctx context.Context, f Filter, after mail.QueueID, max int) ([]*Entry, error) {
	if len(f.IDs) == 0 {
		return q.Store.List(ctx, time.Now(), f, after, max)
	}
	var page []*Entry
	now := time.Now()
	for _, id := range f.named() {
		if id <= after || len(page) == max {
			continue
		}
		e, err := q.Store.Get(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return nil, err
		case f.Match(e, now):
			page = append(page, e)
		}
	}
	return page, nil
}

// named are the IDs of f in order, each once.
func (f *Filter) named() []mail.QueueID {
	ids := make([]mail.QueueID, len(f.IDs))
	for i, id := range f.IDs {
		ids[i] = mail.QueueID(strings.ToUpper(string(id)))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Show returns one entry, or [ErrNotFound].
func (q *Queue) Show(ctx context.Context, id mail.QueueID) (*Entry, error) {
	return q.Store.Get(ctx, id)
}

// Content returns the content of an entry, or [ErrNotFound].
func (q *Queue) Content(ctx context.Context, id mail.QueueID) (mail.Content, error) {
	return q.Store.Content(ctx, id)
}

// Stats counts entries by their state.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	return q.Store.Stats(ctx, time.Now())
}

// Lacks says which part of the queue cannot be asked now; empty: none. What List,
// Stats, Survey and Operate with a filter do is without it.
func (q *Queue) Lacks() string {
	if p, ok := q.Store.(Parted); ok {
		return p.Lacks()
	}
	return ""
}

// Operate carries out an order while the queue goes on working: messages are
// changed one by one, and those that an attempt has are left alone and counted.
// It logs each message, and itself once with who gave it. An error is of the
// first entry that the store could not change, after which no other is; what
// was changed until then is, and the Change says how much. Safe for concurrent
// use, and from any node of a store.
func (q *Queue) Operate(ctx context.Context, o Order) (Change, error) {
	q.setup()
	do, ok := actions[o.Do]
	if !ok {
		return Change{}, fmt.Errorf("no action %q", o.Do)
	}
	op := &operation{q: q, order: o, do: do, change: Change{Failed: map[mail.QueueID]error{}}}
	switch o.Do {
	case Release:
		op.order.Filter.State = Held
	case Flush:
		op.order.Filter.State = Waiting
	}
	err := op.run(ctx)
	op.log(err)
	return op.change, err
}

// actions are what is done to one entry, which the operation has the lease of.
var actions = map[Action]func(*operation, context.Context, *Entry) error{
	Retry:   (*operation).retry,
	Hold:    (*operation).hold,
	Release: (*operation).retry,
	Flush:   (*operation).retry,
	Reroute: (*operation).reroute,
	Bounce:  (*operation).bounce,
	Drop:    (*operation).drop,
}

// An operation is an order under way.
type operation struct {
	q     *Queue
	order Order
	do    func(*operation, context.Context, *Entry) error

	mu     sync.Mutex      // guards what follows
	change Change          //
	opened map[string]bool // the lanes that are tried again
}

func (o *operation) run(ctx context.Context) error {
	var after mail.QueueID
	for {
		ids, err := o.page(ctx, after)
		if err != nil || len(ids) == 0 {
			return err
		}
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(operatorWrite)
		for _, id := range ids {
			g.Go(func() error { return o.take(gctx, id) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
		after = ids[len(ids)-1]
	}
}

// page are the next IDs that the order is about. Those that it names need no
// look at all the others.
func (o *operation) page(ctx context.Context, after mail.QueueID) (ids []mail.QueueID, err error) {
	if len(o.order.Filter.IDs) > 0 {
		all := o.order.Filter.named()
		i, found := slices.BinarySearch(all, after)
		if found {
			i++
		}
		return all[i:min(i+operatorPage, len(all))], nil
	}
	entries, err := o.q.List(ctx, o.order.Filter, after, operatorPage)
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	return ids, err
}

// take does the action to one entry, if it is still what the order is about.
func (o *operation) take(ctx context.Context, id mail.QueueID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := time.Now()
	e, err := o.q.Store.Take(ctx, id, now, now.Add(operatorLease))
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrActive) {
		o.left(id, err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("take %s: %w", id, err)
	}
	lease := e.Lease
	e.Lease.Until = time.Time{} // for the filter: its state before we took it
	err = errLeft
	if o.order.Filter.Match(e, now) { // it may have changed since it was listed
		e.Lease = lease
		err = o.do(o, ctx, e)
	}
	if err == nil {
		o.changed()
		return nil
	}
	back := o.q.Store.Extend(context.WithoutCancel(ctx), id, lease.Token, time.Time{})
	if _, refused := errors.AsType[refusal](err); refused || errors.Is(err, errSkip) || errors.Is(err, errLeft) {
		o.left(id, err)
		return back
	}
	return fmt.Errorf("change %s: %w", id, err) // of the two errors this one matters
}

func (o *operation) changed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.change.Changed++
}

// left counts an entry that is as it was.
func (o *operation) left(id mail.QueueID, why error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if errors.Is(why, ErrActive) {
		o.change.Active++
	}
	if _, refused := errors.AsType[refusal](why); refused {
		o.change.Refused++
		o.q.Log.Warn("not "+events[o.order.Do], "queue_id", id, "who", o.order.Who, "err", why)
	}
	if len(o.order.Filter.IDs) > 0 && !errors.Is(why, errSkip) {
		o.change.Failed[id] = why
	}
}

// log has the line of the command. Those of the messages are there already.
func (o *operation) log(err error) {
	attrs := []any{"action", o.order.Do, "who", o.order.Who, "filter", o.order.Filter.String(), "changed", o.change.Changed, "active", o.change.Active, "refused", o.change.Refused}
	if o.order.Reason != "" {
		attrs = append(attrs, "reason", o.order.Reason)
	}
	if o.order.Do == Reroute {
		attrs = append(attrs, "next_hop", hopText(o.order.NextHop))
	}
	level := slog.LevelInfo
	if err != nil {
		level, attrs = slog.LevelError, append(attrs, "err", err)
	}
	o.q.Log.Log(context.Background(), level, "operated", attrs...)
}

// retry makes e due now, whatever it waits for.
func (o *operation) retry(ctx context.Context, e *Entry) error {
	if e.Damaged {
		return errDamaged
	}
	e.Held, e.Failures, e.Begun, e.Due = "", 0, 0, time.Now()
	for i := range e.Envelope.Recipients {
		e.Envelope.Recipients[i].RetryAt = time.Time{}
	}
	if err := o.update(ctx, e); err != nil {
		return err
	}
	o.open(ctx, e.Lane)
	return nil
}

func (o *operation) hold(ctx context.Context, e *Entry) error {
	if e.Damaged || e.Held != "" {
		return errSkip
	}
	e.Held = cmp.Or(o.order.Reason, "held by "+o.order.Who)
	return o.update(ctx, e)
}

// reroute sets where the chosen recipients go. A held message stays held.
func (o *operation) reroute(ctx context.Context, e *Entry) error {
	if e.Damaged {
		return errDamaged
	}
	for i := range e.Envelope.Recipients {
		if rcpt := &e.Envelope.Recipients[i]; o.order.Filter.chooses(rcpt) {
			rcpt.Route, rcpt.RetryAt = o.order.NextHop, time.Time{}
			if rcpt.Route != nil {
				rcpt.Deliver = nil // a stage's mailbox would come first
			}
		}
	}
	e.Due = time.Now()
	if err := o.update(ctx, e); err != nil {
		return err
	}
	o.open(ctx, e.Lane)
	return nil
}

// open has a lane tried again, once for each order: what the operator wants
// retried shall not wait for a next hop that was down.
func (o *operation) open(ctx context.Context, lane string) {
	o.mu.Lock()
	opened := o.opened[lane]
	if o.opened == nil {
		o.opened = map[string]bool{}
	}
	o.opened[lane] = true
	o.mu.Unlock()
	if opened {
		return
	}
	err := o.q.open(ctx, lane)
	if o.q.Announce != nil && lane != "" {
		err = errors.Join(err, o.q.Announce(ctx, lane))
	}
	if err != nil { // it is tried again in time all the same
		o.q.Log.Warn("queue store", "next_hop", lane, "err", err)
	}
}

// update stores what an operator changed.
func (o *operation) update(ctx context.Context, e *Entry) error {
	e.Lane = o.q.laneOf(e)
	if err := o.q.Store.Update(ctx, e); err != nil {
		return err
	}
	o.q.logOperated(events[o.order.Do], o.order.Who, e)
	o.q.poke()
	return nil
}
