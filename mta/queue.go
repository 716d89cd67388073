package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/wasmta/wasmta/mta/internal/admin"
	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// QueueCmd looks into the queue of a running server, and changes it, through
// the server's API.
type QueueCmd struct {
	List     QueueListCmd     `cmd:"" default:"withargs" help:"List messages, one a line, the oldest first (the default)."`
	Show     QueueShowCmd     `cmd:"" help:"Show a message with its recipients, what became of each, and why it waits."`
	Cat      QueueCatCmd      `cmd:"" help:"Print a message's content."`
	Stats    QueueStatsCmd    `cmd:"" help:"Count what messages have in common, by age."`
	Lanes    QueueLanesCmd    `cmd:"" help:"Show how next hops stand: those that are down, and since when."`
	Retry    QueueRetryCmd    `cmd:"" help:"Attempt messages now; those that are held are released."`
	Hold     QueueHoldCmd     `cmd:"" help:"Keep messages until they are released."`
	Release  QueueReleaseCmd  `cmd:"" help:"Attempt held messages now."`
	Reroute  QueueRerouteCmd  `cmd:"" help:"Send messages by another next hop, now."`
	Bounce   QueueBounceCmd   `cmd:"" help:"Return messages to their senders now."`
	Drop     QueueDropCmd     `cmd:"" help:"Remove messages without telling anybody."`
	Flush    QueueFlushCmd    `cmd:"" help:"Attempt all that waits now, and try next hops that are down."`
	Move     QueueMoveCmd     `cmd:"" help:"Carry the queue from another store into that of the pipeline file."`
	Rule     QueueRuleCmd     `cmd:"" help:"Hold rules: what is yet to come and is to be held."`
	Suppress QueueSuppressCmd `cmd:"" help:"The suppression list: addresses and domains that nothing goes to any more."`

	Server string `help:"A server elsewhere, as https://mail.crepes.fr:8443, with the token in MTA_TOKEN. Left out: the one of the pipeline file." placeholder:"URL"`
}

// Help implements kong's detailed help.
func (QueueCmd) Help() string {
	return "Example: mta queue list --state held\n\nThe server is found by the state folder of its pipeline file."
}

// queueFilter chooses messages.
type queueFilter struct {
	From    string  `help:"By reverse-path; * stands for anything, <> for the null one." placeholder:"PATH"`
	To      string  `help:"By forward-path; * stands for anything." placeholder:"PATH"`
	Domain  string  `help:"By the domain of a forward-path." placeholder:"DOMAIN"`
	State   string  `help:"By state: waiting, active or held." enum:",waiting,active,held" default:"" placeholder:"STATE"`
	NextHop string  `help:"By the next hop that a message waits for, as mta queue stats names it." placeholder:"HOP"`
	Older   oldness `help:"Received at least that long ago, as in 30m or 2d." placeholder:"TIME"`
	Larger  sizeArg `help:"Of more than that size, as in 10MiB." placeholder:"SIZE"`
	Reason  string  `help:"By a part of the last reply, or of why it is held." placeholder:"TEXT"`
}

// An oldness is a duration as pipeline.yaml writes it.
type oldness time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (o *oldness) UnmarshalText(b []byte) error {
	d, err := config.ParseDuration(string(b))
	*o = oldness(d)
	return err
}

// A sizeArg is a size as pipeline.yaml writes it.
type sizeArg int64

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *sizeArg) UnmarshalText(b []byte) error {
	n, err := config.ParseSize(string(b))
	*s = sizeArg(n)
	return err
}

func (f *queueFilter) filter() queue.Filter {
	q := queue.Filter{From: f.From, To: f.To, Domain: f.Domain, State: queue.State(f.State), Lane: f.NextHop, Reason: f.Reason, Larger: int64(f.Larger)}
	if f.Older > 0 {
		q.Before = time.Now().Add(-time.Duration(f.Older))
	}
	return q
}

// tokenVariable has the token for a server elsewhere: arguments of a process can
// be seen by others.
const tokenVariable = "MTA_TOKEN"

// connect returns the client of the server that was asked for, or of that which
// the pipeline file belongs to.
func (c *QueueCmd) connect(g *Globals) (*admin.Client, error) {
	if c.Server != "" {
		token := os.Getenv(tokenVariable)
		if token == "" {
			return nil, &exitError{code: 2, err: fmt.Errorf("--server needs a token of the server's admin.tokens, in the environment as %s", tokenVariable)}
		}
		return admin.Remote(c.Server, token)
	}
	return connect(g)
}

// connect returns the client of the server that the pipeline file belongs to.
func connect(g *Globals) (*admin.Client, error) {
	state, err := config.State(g.Pipeline)
	if err != nil {
		return nil, err
	}
	return admin.Connect(state, "mta --pipeline "+g.Pipeline), nil
}

func queueID(s string) mail.QueueID { return mail.QueueID(strings.ToUpper(s)) }

// notFound gives the answer about one message the exit code of a no.
func notFound(id string, err error) error {
	if errors.Is(err, admin.ErrNotFound) {
		return &exitError{code: 1, err: fmt.Errorf("%s: %w", id, err)}
	}
	return err
}

func pathText(p mail.Path) string {
	if p.IsNull() {
		return "<>"
	}
	return printable(p.String())
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

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05 -0700")
}
