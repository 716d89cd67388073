package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/wasmta/wasmta/mta/internal/daemon"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// QueueMoveCmd carries the queue from one store to another.
type QueueMoveCmd struct {
	From   string `required:"" help:"Where the queue was: spool, or the URL of a Redis." placeholder:"STORE"`
	Prefix string `help:"What the keys of that Redis begin with." default:"mta" placeholder:"TEXT"`
}

// Help implements kong's detailed help.
func (QueueMoveCmd) Help() string {
	return "Example: mta queue move --from spool\n\nStop the server, write the new store into the file as queue.store, move the queue, start the server. " +
		"Each message is in the new store before it leaves the old one; a move that was cut off is run again, within an hour."
}

// Run moves the queue into the store that the pipeline file names.
func (c *QueueMoveCmd) Run(g *Globals) error {
	cfg, findings := daemon.LoadConfig(g.Pipeline)
	if len(findings) > 0 {
		return findings
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	moved, err := daemon.MoveQueue(ctx, cfg, c.From, c.Prefix, slog.New(slog.NewTextHandler(g.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), func(m queue.Moved) {
		if m.Entries%10000 == 0 {
			fmt.Fprintf(g.Stderr, "%d moved\n", m.Entries)
		}
	})
	if err == nil || moved.Entries > 0 {
		fmt.Fprintf(g.Stdout, "%d moved\n", moved.Entries)
	}
	if moved.Active > 0 {
		fmt.Fprintf(g.Stderr, "%d left where they are: an attempt is under way; run this again\n", moved.Active)
	}
	if moved.Damaged > 0 {
		fmt.Fprintf(g.Stderr, "%d left where they are: their records cannot be read\n", moved.Damaged)
	}
	return err
}
