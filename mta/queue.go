package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/wasmta/wasmta/mta/internal/admin"
	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// QueueCmd looks into the queue of a running server, and changes it, through
// the server's admin socket.
type QueueCmd struct {
	List  QueueListCmd  `cmd:"" default:"withargs" help:"List messages, one a line, the oldest first (the default)."`
	Show  QueueShowCmd  `cmd:"" help:"Show a message with its recipients and what became of each."`
	Cat   QueueCatCmd   `cmd:"" help:"Print a message's content."`
	Retry QueueRetryCmd `cmd:"" help:"Attempt messages now; those that are held are released."`
	Drop  QueueDropCmd  `cmd:"" help:"Remove messages without telling anybody."`
}

// Help implements kong's detailed help.
func (QueueCmd) Help() string {
	return "Example: mta queue list --state held\n\nThe server is found by the state folder of its pipeline file."
}

// queueFilter chooses messages.
type queueFilter struct {
	From   string  `help:"By reverse-path; * stands for anything, <> for the null one." placeholder:"PATH"`
	To     string  `help:"By forward-path; * stands for anything." placeholder:"PATH"`
	Domain string  `help:"By the domain of a forward-path." placeholder:"DOMAIN"`
	State  string  `help:"By state: waiting, active or held." enum:",waiting,active,held" default:"" placeholder:"STATE"`
	Older  oldness `help:"Received at least that long ago, as in 30m or 2d." placeholder:"TIME"`
	Reason string  `help:"By a part of the last reply, or of why it is held." placeholder:"TEXT"`
}

// An oldness is a duration as pipeline.yaml writes it.
type oldness time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (o *oldness) UnmarshalText(b []byte) error {
	d, err := config.ParseDuration(string(b))
	*o = oldness(d)
	return err
}

func (f *queueFilter) filter() queue.Filter {
	q := queue.Filter{From: f.From, To: f.To, Domain: f.Domain, State: queue.State(f.State), Reason: f.Reason}
	if f.Older > 0 {
		q.Before = time.Now().Add(-time.Duration(f.Older))
	}
	return q
}

// connect returns the client of the server that the pipeline file belongs to.
func connect(g *Globals) (*admin.Client, error) {
	state, err := config.State(g.Pipeline)
	if err != nil {
		return nil, err
	}
	return admin.Connect(state, "mta --pipeline "+g.Pipeline), nil
}

// QueueListCmd lists messages.
type QueueListCmd struct {
	queueFilter
	Limit int  `help:"List that many at most." placeholder:"N"`
	JSON  bool `help:"Print JSON, one message a line." name:"json"`
}

// Help implements kong's detailed help.
func (QueueListCmd) Help() string {
	return "Example: mta queue list --to '*@crepes.fr' --older 2h"
}

// Run prints a table, or JSON lines.
func (c *QueueListCmd) Run(g *Globals) error {
	client, err := connect(g)
	if err != nil {
		return err
	}
	defer client.Close()
	messages := client.Messages(context.Background(), c.filter(), c.Limit)
	if c.JSON {
		return printLines(g.Stdout, messages)
	}
	return printTable(g.Stdout, g.Stderr, messages, time.Now())
}

func printLines(w io.Writer, messages iter.Seq2[admin.Message, error]) error {
	out := json.NewEncoder(w)
	for m, err := range messages {
		if err != nil {
			return err
		}
		if err := out.Encode(m); err != nil {
			return err
		}
	}
	return nil
}

func printTable(w, notes io.Writer, messages iter.Seq2[admin.Message, error], now time.Time) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	n := 0
	for m, err := range messages {
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		if n++; n == 1 {
			fmt.Fprintln(out, "ID\tSTATE\tAGE\tSIZE\tFROM\tTO\tNEXT TRY\tREASON")
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, m.State, admin.Age(now.Sub(m.Received)), octets(m.Size),
			pathText(m.ReversePath), recipientsText(&m), nextTry(&m, now), reason(&m))
	}
	if n == 0 {
		fmt.Fprintln(notes, "no messages")
	}
	return out.Flush()
}

func pathText(p mail.Path) string {
	if p.IsNull() {
		return "<>"
	}
	return printable(p.String())
}

func recipientsText(m *admin.Message) string {
	switch len(m.Recipients) {
	case 0:
		return "-"
	case 1:
		return pathText(m.Recipients[0].Path)
	}
	return fmt.Sprintf("%s +%d", pathText(m.Recipients[0].Path), len(m.Recipients)-1)
}

func nextTry(m *admin.Message, now time.Time) string {
	switch {
	case m.State != queue.Waiting:
		return "-"
	case m.NextTry.After(now):
		return "in " + admin.Age(m.NextTry.Sub(now))
	}
	return "now"
}

func reason(m *admin.Message) string {
	if m.Held != "" {
		return printable(m.Held)
	}
	for _, r := range m.Recipients {
		if r.Reply != "" {
			return printable(r.Reply)
		}
	}
	return ""
}

// octets writes a size in its largest unit.
func octets(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%dB", n)
	case n < 1<<20:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dMiB", n>>20)
}

// printable replaces what a peer could use to write to the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

// QueueShowCmd shows one message.
type QueueShowCmd struct {
	ID   string `arg:"" help:"The queue ID."`
	JSON bool   `help:"Print JSON." name:"json"`
}

// Help implements kong's detailed help.
func (QueueShowCmd) Help() string { return "Example: mta queue show 06BX4M0ZKQ9T2Y7C" }

// Run prints all that is known of a message but its content.
func (c *QueueShowCmd) Run(g *Globals) error {
	client, err := connect(g)
	if err != nil {
		return err
	}
	defer client.Close()
	m, err := client.Message(context.Background(), queueID(c.ID))
	if err != nil {
		return notFound(c.ID, err)
	}
	if c.JSON {
		return json.NewEncoder(g.Stdout).Encode(m)
	}
	return printMessage(g.Stdout, &m)
}

func queueID(s string) mail.QueueID { return mail.QueueID(strings.ToUpper(s)) }

// notFound gives the answer about one message the exit code of a no.
func notFound(id string, err error) error {
	if errors.Is(err, admin.ErrNotFound) {
		return &exitError{code: 1, err: fmt.Errorf("%s: %w", id, err)}
	}
	return err
}

func printMessage(w io.Writer, m *admin.Message) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "%s\t%s\n", name, value)
		}
	}
	line("queue ID", string(m.ID))
	line("state", string(m.State))
	line("held because", printable(m.Held))
	line("received", moment(m.Received))
	line("from", clientText(&m.Client))
	line("account", printable(m.Client.Account))
	line("size", fmt.Sprintf("%d octets", m.Size))
	line("reverse-path", pathText(m.ReversePath))
	line("attempts", fmt.Sprint(m.Attempts))
	line("next try", moment(m.NextTry))
	if m.Done > 0 {
		line("done", fmt.Sprintf("%d recipients", m.Done))
	}
	for _, r := range m.Recipients {
		fmt.Fprintln(out)
		line("recipient", pathText(r.Path))
		if !r.Original.Equal(r.Path) {
			line("  received for", pathText(r.Original))
		}
		line("  attempted", moment(r.At))
		line("  next hop", printable(r.NextHop))
		line("  reply", printable(r.Reply))
	}
	return out.Flush()
}

func clientText(c *mail.Client) string {
	if !c.Addr.IsValid() {
		return ""
	}
	text := c.Addr.Addr().String()
	if c.Name != "" {
		text += " (" + printable(c.Name) + ")"
	}
	if c.Helo != "" {
		text += ", HELO " + printable(c.Helo)
	}
	return text
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05 -0700")
}

// QueueCatCmd prints a message.
type QueueCatCmd struct {
	ID string `arg:"" help:"The queue ID."`
}

// Help implements kong's detailed help.
func (QueueCatCmd) Help() string { return "Example: mta queue cat 06BX4M0ZKQ9T2Y7C > message.eml" }

// Run prints the exact octets of the content.
func (c *QueueCatCmd) Run(g *Globals) error {
	client, err := connect(g)
	if err != nil {
		return err
	}
	defer client.Close()
	return notFound(c.ID, client.Content(context.Background(), queueID(c.ID), g.Stdout))
}

// queueChoice is some messages: by their IDs, or by a filter. None at all has
// to be asked for by --all.
type queueChoice struct {
	IDs []string `arg:"" optional:"" name:"id" help:"Queue IDs."`
	queueFilter
	All  bool `help:"All messages."`
	JSON bool `help:"Print JSON." name:"json"`
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

// change does a thing to the chosen messages and says to how many.
func (c *queueChoice) change(g *Globals, verb string, do func(*admin.Client, context.Context, queue.Filter) (admin.Change, error)) error {
	f, err := c.choose()
	if err != nil {
		return err
	}
	client, err := connect(g)
	if err != nil {
		return err
	}
	defer client.Close()
	done, err := do(client, context.Background(), f)
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(g.Stdout).Encode(done)
	} else {
		_, err = fmt.Fprintf(g.Stdout, "%d %s\n", done.Changed, verb)
	}
	if err != nil {
		return err
	}
	return failures(f.IDs, done)
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
func (c *QueueRetryCmd) Run(g *Globals) error {
	return c.change(g, "due now", (*admin.Client).Retry)
}

// QueueDropCmd removes messages.
type QueueDropCmd struct{ queueChoice }

// Help implements kong's detailed help.
func (QueueDropCmd) Help() string {
	return "Example: mta queue drop 06BX4M0ZKQ9T2Y7C\n\nNobody is told: neither the sender nor the recipients."
}

// Run removes the chosen messages.
func (c *QueueDropCmd) Run(g *Globals) error {
	return c.change(g, "dropped", (*admin.Client).Drop)
}
