package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/daemon"
)

// ServeCmd is the main job.
type ServeCmd struct{}

// Help implements kong's detailed help.
func (ServeCmd) Help() string {
	return "Example: mta --pipeline pipeline.yaml\n\nSIGTERM ends the server once its sessions and attempts are done; SIGHUP reads the file and the plugins again."
}

// Run serves until SIGTERM or SIGINT.
func (ServeCmd) Run(g *Globals) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	cfg, findings := daemon.LoadConfig(g.Pipeline)
	if len(findings) > 0 {
		return findings
	}
	log := newLog(g.Stderr, cfg.Log)
	server, err := daemon.Start(ctx, cfg, log)
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return nil // asked to end while it was starting
	case err != nil:
		return err
	}
	greet(ctx, g.Stdout, cfg, server)
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	return server.Run(ctx, reload)
}

// newLog is the log on w as the file asks for it.
func newLog(w io.Writer, c config.Log) *slog.Logger {
	var level slog.Level
	level.UnmarshalText([]byte(c.Level)) // one of four words (package config)
	opts := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// purposes say in a few words what a listener is for.
var purposes = map[string]string{
	"smtp":        "mail from other servers",
	"submission":  "mail from users, who log in",
	"submissions": "the same over TLS",
	"lmtp":        "mail from another MTA on its way to mailboxes",
	"pop3":        "reading mail",
	"pop3s":       "reading mail, over TLS",
	"imap":        "reading mail",
	"imaps":       "reading mail, over TLS",
	"http":        "status page, /metrics, /healthz",
}

// greet tells a person where the server listens and how to send a first mail.
func greet(ctx context.Context, w io.Writer, cfg *config.Config, server *daemon.Server) {
	fmt.Fprintf(w, "\nThis is %s, serving %s. Stop it with Ctrl-C.\n\n", cfg.Hostname, cfg.File)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	first := map[string]string{}
	for _, l := range server.Listeners() {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", l.Protocol, l.Addr, purposes[l.Protocol])
		if first[l.Protocol] == "" {
			first[l.Protocol] = l.Addr.String()
		}
	}
	table.Flush()
	to, read := "you@"+cfg.Hostname, "you@"+cfg.Hostname
	if demo := server.DemoAccounts(ctx); len(demo) > 0 {
		to = demo[len(demo)-1]
		read = to + ":" + daemon.DemoPassword
	} else if names := server.Accounts(); len(names) > 0 {
		to, read = names[0], names[0]
	}
	if addr := first["smtp"]; addr != "" {
		fmt.Fprintf(w, "\nSend a message:\n  curl smtp://%s --mail-from alice@crepes.fr --mail-rcpt %s -T examples/messages/crepe.eml\n", addr, to)
	}
	if addr := first["pop3"]; addr != "" {
		fmt.Fprintf(w, "Read it:\n  curl --user %s pop3://%s/1\n", read, addr)
	}
	fmt.Fprintln(w)
}
