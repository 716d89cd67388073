package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/wasmta/wasmta/mta/internal/admin"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// queueChoice is some messages: by their IDs, or by a filter. All of them have
// to be asked for by --all.
type queueChoice struct {
	IDs []string `arg:"" optional:"" name:"id" help:"Queue IDs."`
	queueFilter
	All    bool `help:"All messages."`
	DryRun bool `help:"Change nothing; list what would be changed." name:"dry-run"`
	JSON   bool `help:"Print JSON." name:"json"`
}

var errNoChoice = errors.New("say which messages: queue IDs, a filter such as --to, or --all")

func (c *queueChoice) choose() (queue.Filter, error) {
	chosen := c.queueFilter != queueFilter{}
	if len(c.IDs) == 0 && !chosen && !c.All {
		return queue.Filter{}, &exitError{code: 2, err: errNoChoice}
	}
	if c.All && (chosen || len(c.IDs) > 0) {
		return queue.Filter{}, &exitError{code: 2, err: errors.New("--all goes with no other choice")}
	}
	f := c.filter()
	for _, id := range c.IDs {
		f.IDs = append(f.IDs, queueID(id))
	}
	return f, nil
}

// order has o carried out for the chosen messages, and says how many were
// changed.
func (c *queueChoice) order(q *QueueCmd, g *Globals, o queue.Order, done string) error {
	var err error
	if o.Filter, err = c.choose(); err != nil {
		return err
	}
	client, err := q.connect(g)
	if err != nil {
		return err
	}
	defer client.Close()
	if c.DryRun {
		list := &QueueListCmd{JSON: c.JSON}
		return list.print(g, client, o.Filter)
	}
	change, err := client.Operate(context.Background(), o)
	if err != nil {
		return err
	}
	if err := c.report(g, change, done); err != nil {
		return err
	}
	return failures(o.Filter.IDs, change)
}

func (c *queueChoice) report(g *Globals, change admin.Change, done string) error {
	if change.Lacks != "" {
		fmt.Fprintln(g.Stderr, "left alone:", printable(change.Lacks))
	}
	if c.JSON {
		return json.NewEncoder(g.Stdout).Encode(change)
	}
	if _, err := fmt.Fprintf(g.Stdout, "%d %s\n", change.Changed, done); err != nil {
		return err
	}
	if len(c.IDs) == 0 && change.Active > 0 {
		fmt.Fprintf(g.Stderr, "%d left alone: an attempt is under way\n", change.Active)
	}
	if len(c.IDs) == 0 && change.Refused > 0 {
		fmt.Fprintf(g.Stderr, "%d left alone: it cannot be done to them; the log says why\n", change.Refused)
	}
	return nil
}

// failures is the no of those that were named and not changed.
func failures(ids []mail.QueueID, done admin.Change) error {
	var failed []error
	for _, id := range ids {
		if why, ok := done.Failed[id]; ok {
			failed = append(failed, fmt.Errorf("%s: %s", id, why))
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return &exitError{code: 1, err: errors.Join(failed...)}
}

// QueueRetryCmd makes attempts due.
type QueueRetryCmd struct{ queueChoice }

// Help implements kong's detailed help.
func (QueueRetryCmd) Help() string { return "Example: mta queue retry --domain crepes.fr" }

// Run makes the chosen messages due now.
func (c *QueueRetryCmd) Run(q *QueueCmd, g *Globals) error {
	return c.order(q, g, queue.Order{Do: queue.Retry}, "due now")
}

// QueueHoldCmd keeps messages.
type QueueHoldCmd struct {
	queueChoice
	Because string `help:"Why; mta queue list shows it." placeholder:"TEXT"`
}

// Help implements kong's detailed help.
func (QueueHoldCmd) Help() string {
	return "Example: mta queue hold --domain crepes.fr --because 'their server loses mail'\n\nWhat is yet to come is held by a rule: mta queue rule add."
}

// Run holds the chosen messages.
func (c *QueueHoldCmd) Run(q *QueueCmd, g *Globals) error {
	return c.order(q, g, queue.Order{Do: queue.Hold, Reason: c.Because}, "held")
}

// QueueReleaseCmd lets go of messages.
type QueueReleaseCmd struct{ queueChoice }

// Help implements kong's detailed help.
func (QueueReleaseCmd) Help() string { return "Example: mta queue release --reason 'hold rule crepes'" }

// Run releases those of the chosen messages that are held.
func (c *QueueReleaseCmd) Run(q *QueueCmd, g *Globals) error {
	return c.order(q, g, queue.Order{Do: queue.Release}, "released")
}

// QueueRerouteCmd sends messages elsewhere.
type QueueRerouteCmd struct {
	queueChoice
	Via string `required:"" help:"The next hop: smtp://host:port, lmtp://host:port, mx://domain, smtp+tls://host:port for only under TLS; or routes, for where the file says." placeholder:"HOP"`
}

// Help implements kong's detailed help.
func (QueueRerouteCmd) Help() string {
	return "Example: mta queue reroute --domain crepes.fr --via smtp://192.0.2.7:25\n\nOnly the recipients that --to and --domain choose go another way."
}

// Run reroutes the chosen messages.
func (c *QueueRerouteCmd) Run(q *QueueCmd, g *Globals) error {
	o := queue.Order{Do: queue.Reroute}
	if c.Via != admin.ByRoutes {
		var err error
		if o.NextHop, err = mail.ParseNextHop(c.Via); err != nil {
			return &exitError{code: 2, err: fmt.Errorf("--via: %w; or write %s", err, admin.ByRoutes)}
		}
	}
	return c.order(q, g, o, "rerouted, and due now")
}

// QueueBounceCmd returns messages.
type QueueBounceCmd struct {
	queueChoice
	Because string `help:"Why; the sender reads it." placeholder:"TEXT"`
}

// Help implements kong's detailed help.
func (QueueBounceCmd) Help() string {
	return "Example: mta queue bounce --to bob@hamburger.edu --because 'bob has left'\n\nOnly the recipients that --to and --domain choose are returned."
}

// Run returns the chosen messages.
func (c *QueueBounceCmd) Run(q *QueueCmd, g *Globals) error {
	return c.order(q, g, queue.Order{Do: queue.Bounce, Reason: c.Because}, "returned")
}

// QueueDropCmd removes messages.
type QueueDropCmd struct{ queueChoice }

// Help implements kong's detailed help.
func (QueueDropCmd) Help() string {
	return "Example: mta queue drop 06BX4M0ZKQ9T2Y7C\n\nNobody is told: neither the sender nor the recipients. Only the recipients that --to and --domain choose are removed."
}

// Run removes the chosen messages.
func (c *QueueDropCmd) Run(q *QueueCmd, g *Globals) error {
	return c.order(q, g, queue.Order{Do: queue.Drop}, "dropped")
}

// QueueFlushCmd makes all attempts due.
type QueueFlushCmd struct {
	queueFilter
	JSON bool `help:"Print JSON." name:"json"`
}

// Help implements kong's detailed help.
func (QueueFlushCmd) Help() string {
	return "Example: mta queue flush --domain crepes.fr\n\nNext hops that are down are tried at once. What is held stays held."
}

// Run makes what waits due now; without a filter all of it.
func (c *QueueFlushCmd) Run(q *QueueCmd, g *Globals) error {
	choice := queueChoice{queueFilter: c.queueFilter, All: c.queueFilter == queueFilter{}, JSON: c.JSON}
	return choice.order(q, g, queue.Order{Do: queue.Flush}, "due now")
}
