package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"text/tabwriter"
	"time"

	"github.com/wasmta/wasmta/mta/internal/admin"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

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
func (c *QueueListCmd) Run(q *QueueCmd, g *Globals) error {
	client, err := q.connect(g)
	if err != nil {
		return err
	}
	defer client.Close()
	return c.print(g, client, c.filter())
}

// print lists the messages that f chooses.
func (c *QueueListCmd) print(g *Globals, client *admin.Client, f queue.Filter) error {
	messages := client.Messages(context.Background(), f, c.Limit)
	var err error
	if c.JSON {
		err = printLines(g.Stdout, messages)
	} else {
		err = printTable(g.Stdout, g.Stderr, messages, time.Now())
	}
	if lacks, ok := errors.AsType[*admin.LacksError](err); ok {
		_, err = fmt.Fprintln(g.Stderr, printable(lacks.Error()))
	}
	return err
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
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, m.State, admin.Age(now.Sub(m.Received)), octets(m.MessageSize),
			pathText(m.ReversePath), recipientsText(&m), nextTry(&m, now), reason(&m))
	}
	if n == 0 {
		fmt.Fprintln(notes, "no messages")
	}
	return out.Flush()
}

func recipientsText(m *admin.Message) string {
	switch len(m.Recipients) {
	case 0:
		return "-"
	case 1:
		return pathText(m.Recipients[0].Address)
	}
	return fmt.Sprintf("%s +%d", pathText(m.Recipients[0].Address), len(m.Recipients)-1)
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
		if r.DelayReason != "" {
			return printable(r.DelayReason)
		}
	}
	return ""
}
