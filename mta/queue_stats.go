package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wasmta/wasmta/mta/internal/admin"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// QueueStatsCmd counts messages.
type QueueStatsCmd struct {
	queueFilter
	By    string `help:"Group by next-hop, domain, sender or reason." enum:"next-hop,domain,sender,reason" default:"next-hop" placeholder:"GROUPING"`
	Limit int    `help:"Show that many groups at most." default:"20" placeholder:"N"`
	JSON  bool   `help:"Print JSON." name:"json"`
}

// Help implements kong's detailed help.
func (QueueStatsCmd) Help() string {
	return "Example: mta queue stats --by reason\n\nThe columns are ages in minutes, as qshape of Postfix has them: T is all, 5 what is younger than five minutes, and so on."
}

// Run prints a table, or JSON.
func (c *QueueStatsCmd) Run(q *QueueCmd, g *Globals) error {
	client, err := q.connect(g)
	if err != nil {
		return err
	}
	defer client.Close()
	st, err := client.Stats(context.Background(), c.filter(), queue.Grouping(strings.ReplaceAll(c.By, "-", "_")), c.Limit)
	if err != nil {
		return err
	}
	if st.Lacks != "" {
		fmt.Fprintln(g.Stderr, "not counted:", printable(st.Lacks))
	}
	if c.JSON {
		return json.NewEncoder(g.Stdout).Encode(st)
	}
	return printStats(g.Stdout, &st)
}

func printStats(w io.Writer, st *admin.Stats) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(out, strings.ToUpper(strings.ReplaceAll(string(st.By), "_", " ")), "\tT\t")
	for _, limit := range st.Minutes {
		fmt.Fprintf(out, "%d\t", limit)
	}
	fmt.Fprintf(out, "%d+\t\n", st.Minutes[len(st.Minutes)-1])
	line := func(name string, g *admin.Group) {
		fmt.Fprintf(out, "%s\t%d\t", name, g.Count)
		for _, n := range g.Ages {
			fmt.Fprintf(out, "%d\t", n)
		}
		if g.State != "" && g.State != string(queue.LaneOpen) {
			fmt.Fprint(out, "  ", g.State)
		}
		fmt.Fprintln(out)
	}
	line("TOTAL", &st.Total)
	for i := range st.Groups {
		name := st.Groups[i].Name
		if name == "" {
			name = "-"
		}
		line(printable(name), &st.Groups[i])
	}
	if st.Others.Count > 0 {
		line("others", &st.Others)
	}
	return out.Flush()
}

// QueueLanesCmd shows next hops.
type QueueLanesCmd struct {
	JSON bool `help:"Print JSON." name:"json"`
}

// Help implements kong's detailed help.
func (QueueLanesCmd) Help() string { return "Example: mta queue lanes" }

// Run prints a table, or JSON.
func (c *QueueLanesCmd) Run(q *QueueCmd, g *Globals) error {
	client, err := q.connect(g)
	if err != nil {
		return err
	}
	defer client.Close()
	all, err := client.Lanes(context.Background())
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(g.Stdout).Encode(all)
	}
	return printLanes(g.Stdout, all.Lanes, time.Now())
}

func printLanes(w io.Writer, lanes []admin.Lane, now time.Time) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "NEXT HOP\tSTATE\tACTIVE\tLIMIT\tWAITING\tDOWN FOR\tNEXT TRY\tREASON")
	for _, l := range lanes {
		name, down, next := l.Name, "-", "-"
		if name == "" {
			name = "mailboxes"
		}
		if !l.Since.IsZero() {
			down = admin.Age(now.Sub(l.Since))
		}
		if !l.Until.IsZero() {
			next = "in " + admin.Age(l.Until.Sub(now))
		}
		fmt.Fprintf(out, "%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\n", printable(name), l.State, l.Active, l.Limit, l.Waiting, down, next, printable(l.Reason))
	}
	return out.Flush()
}
