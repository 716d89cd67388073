package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/wasmta/wasmta/mta/internal/admin"
	"github.com/wasmta/wasmta/mta/internal/mail"
)

// QueueShowCmd shows one message.
type QueueShowCmd struct {
	ID   string `arg:"" help:"The queue ID."`
	JSON bool   `help:"Print JSON." name:"json"`
}

// Help implements kong's detailed help.
func (QueueShowCmd) Help() string { return "Example: mta queue show 06BX4M0ZKQ9T2Y7C" }

// Run prints all that is known of a message but its content.
func (c *QueueShowCmd) Run(q *QueueCmd, g *Globals) error {
	client, err := q.connect(g)
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
	line("size", fmt.Sprintf("%d octets", m.MessageSize))
	line("reverse-path", pathText(m.ReversePath))
	line("attempts", fmt.Sprint(m.Attempts))
	line("next try", moment(m.NextTry))
	line("why it waits", printable(m.WaitingReason))
	if m.Done > 0 {
		line("done", fmt.Sprintf("%d recipients", m.Done))
	}
	for _, r := range m.Recipients {
		fmt.Fprintln(out)
		line("recipient", pathText(r.Address))
		if !r.Original.Equal(r.Address) {
			line("  received for", pathText(r.Original))
		}
		line("  goes to", printable(r.Route))
		line("  attempted", moment(r.At))
		line("  next hop", printable(r.NextHop))
		line("  reply", printable(r.DelayReason))
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

// QueueCatCmd prints a message.
type QueueCatCmd struct {
	ID string `arg:"" help:"The queue ID."`
}

// Help implements kong's detailed help.
func (QueueCatCmd) Help() string { return "Example: mta queue cat 06BX4M0ZKQ9T2Y7C > message.eml" }

// Run prints the exact octets of the content.
func (c *QueueCatCmd) Run(q *QueueCmd, g *Globals) error {
	client, err := q.connect(g)
	if err != nil {
		return err
	}
	defer client.Close()
	return notFound(c.ID, client.Content(context.Background(), queueID(c.ID), g.Stdout))
}
