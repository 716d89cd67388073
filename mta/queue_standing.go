package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/wasmta/wasmta/mta/internal/admin"
)

// QueueRuleCmd holds what is yet to come.
type QueueRuleCmd struct {
	List   QueueRuleListCmd   `cmd:"" default:"withargs" help:"List the hold rules (the default)."`
	Add    QueueRuleAddCmd    `cmd:"" help:"Hold what is yet to come and fits."`
	Remove QueueRuleRemoveCmd `cmd:"" help:"Take a hold rule back."`
}

// Help implements kong's detailed help.
func (QueueRuleCmd) Help() string {
	return "Example: mta queue rule add crepes --domain crepes.fr\n\nAll nodes of a shared queue keep to the same rules."
}

// QueueRuleListCmd lists hold rules.
type QueueRuleListCmd struct {
	JSON bool `help:"Print JSON." name:"json"`
}

// Help implements kong's detailed help.
func (QueueRuleListCmd) Help() string { return "Example: mta queue rule list" }

// Run prints a table, or JSON.
func (c *QueueRuleListCmd) Run(q *QueueCmd, g *Globals) error {
	client, err := q.connect(g)
	if err != nil {
		return err
	}
	defer client.Close()
	all, err := client.Rules(context.Background())
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(g.Stdout).Encode(all)
	}
	if len(all.Rules) == 0 {
		fmt.Fprintln(g.Stderr, "no rules")
		return nil
	}
	out := tabwriter.NewWriter(g.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "NAME\tFROM\tTO\tDOMAIN\tSINCE\tBY\tREASON")
	for _, r := range all.Rules {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, orAny(r.From), orAny(r.To), orAny(r.Domain), moment(r.Since), printable(r.By), printable(r.Reason))
	}
	return out.Flush()
}

// orAny is a pattern, or what stands for none.
func orAny(pattern string) string {
	if pattern == "" {
		return "*"
	}
	return printable(pattern)
}

// QueueRuleAddCmd makes a hold rule.
type QueueRuleAddCmd struct {
	Name    string `arg:"" help:"A name for the rule."`
	From    string `help:"By reverse-path; * stands for anything, <> for the null one." placeholder:"PATH"`
	To      string `help:"By forward-path; * stands for anything." placeholder:"PATH"`
	Domain  string `help:"By the domain of a forward-path." placeholder:"DOMAIN"`
	Because string `help:"Why." placeholder:"TEXT"`
}

// Help implements kong's detailed help.
func (QueueRuleAddCmd) Help() string {
	return "Example: mta queue rule add crepes --domain crepes.fr --because 'their server loses mail'\n\nWhat is queued already stays as it is: mta queue hold."
}

// Run makes the rule.
func (c *QueueRuleAddCmd) Run(q *QueueCmd, g *Globals) error {
	client, err := q.connect(g)
	if err != nil {
		return err
	}
	defer client.Close()
	r, err := client.AddRule(context.Background(), c.Name, admin.NewRule{From: c.From, To: c.To, Domain: c.Domain, Reason: c.Because})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(g.Stdout, "rule %s is in force\n", r.Name)
	return err
}

// QueueRuleRemoveCmd takes a rule back.
type QueueRuleRemoveCmd struct {
	Name    string `arg:"" help:"The name of the rule."`
	Release bool   `help:"Release what it holds, too."`
}

// Help implements kong's detailed help.
func (QueueRuleRemoveCmd) Help() string { return "Example: mta queue rule remove crepes --release" }

// Run removes the rule. What it holds stays held, unless it is to be released.
func (c *QueueRuleRemoveCmd) Run(q *QueueCmd, g *Globals) error {
	client, err := q.connect(g)
	if err != nil {
		return err
	}
	defer client.Close()
	r, err := client.RemoveRule(context.Background(), c.Name)
	if err != nil {
		return notFound(c.Name, err)
	}
	if _, err := fmt.Fprintf(g.Stdout, "rule %s is removed\n", r.Name); err != nil || !c.Release {
		return err
	}
	release := QueueReleaseCmd{queueChoice{queueFilter: queueFilter{State: "held", Reason: r.Held}}}
	return release.Run(q, g)
}

// QueueSuppressCmd is about who gets nothing any more.
type QueueSuppressCmd struct {
	List   QueueSuppressListCmd   `cmd:"" default:"withargs" help:"List addresses and domains (the default)."`
	Add    QueueSuppressAddCmd    `cmd:"" help:"Let nothing go to an address or a domain any more."`
	Remove QueueSuppressRemoveCmd `cmd:"" help:"Take that back."`
}

// Help implements kong's detailed help.
func (QueueSuppressCmd) Help() string {
	return "Example: mta queue suppress add bob@hamburger.edu --for 30d\n\nMail for them is returned to its sender. All nodes of a shared queue keep to the same list."
}

// QueueSuppressListCmd lists suppressions.
type QueueSuppressListCmd struct {
	JSON bool `help:"Print JSON, one a line." name:"json"`
}

// Help implements kong's detailed help.
func (QueueSuppressListCmd) Help() string { return "Example: mta queue suppress list --json" }

// Run prints a table, or JSON lines.
func (c *QueueSuppressListCmd) Run(q *QueueCmd, g *Globals) error {
	client, err := q.connect(g)
	if err != nil {
		return err
	}
	defer client.Close()
	out := tabwriter.NewWriter(g.Stdout, 0, 0, 2, ' ', 0)
	defer out.Flush()
	n := 0
	for s, err := range client.Suppressions(context.Background()) {
		if err != nil {
			return err
		}
		if c.JSON {
			if err := json.NewEncoder(g.Stdout).Encode(s); err != nil {
				return err
			}
			continue
		}
		if n++; n == 1 {
			fmt.Fprintln(out, "ADDRESS\tUNTIL\tSINCE\tBY\tREASON")
		}
		until := "-"
		if !s.Until.IsZero() {
			until = moment(s.Until)
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", printable(s.Address), until, moment(s.Since), printable(s.By), printable(s.Reason))
	}
	if n == 0 && !c.JSON {
		fmt.Fprintln(g.Stderr, "nobody is suppressed")
	}
	return nil
}

// QueueSuppressAddCmd adds to the list.
type QueueSuppressAddCmd struct {
	Address string  `arg:"" help:"An address, or a domain."`
	For     oldness `help:"For how long, as in 30d. Left out: until it is taken back." placeholder:"TIME"`
	Because string  `help:"Why; senders read it." placeholder:"TEXT"`
}

// Help implements kong's detailed help.
func (QueueSuppressAddCmd) Help() string {
	return "Example: mta queue suppress add bob@hamburger.edu --because 'bob has left'"
}

// Run adds it.
func (c *QueueSuppressAddCmd) Run(q *QueueCmd, g *Globals) error {
	client, err := q.connect(g)
	if err != nil {
		return err
	}
	defer client.Close()
	n := admin.NewSuppression{Reason: c.Because}
	if c.For > 0 {
		n.Until = time.Now().Add(time.Duration(c.For)).UTC().Truncate(time.Second)
	}
	s, err := client.Suppress(context.Background(), c.Address, n)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(g.Stdout, "nothing goes to %s any more\n", printable(s.Address))
	return err
}

// QueueSuppressRemoveCmd takes one off the list.
type QueueSuppressRemoveCmd struct {
	Address string `arg:"" help:"The address, or the domain."`
}

// Help implements kong's detailed help.
func (QueueSuppressRemoveCmd) Help() string {
	return "Example: mta queue suppress remove bob@hamburger.edu"
}

// Run takes it back.
func (c *QueueSuppressRemoveCmd) Run(q *QueueCmd, g *Globals) error {
	client, err := q.connect(g)
	if err != nil {
		return err
	}
	defer client.Close()
	s, err := client.Allow(context.Background(), c.Address)
	if err != nil {
		return notFound(c.Address, err)
	}
	_, err = fmt.Fprintf(g.Stdout, "mail goes to %s again\n", printable(s.Address))
	return err
}
