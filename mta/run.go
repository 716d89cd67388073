package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/wasmta/wasmta/mta/internal/daemon"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/offline"
	"github.com/wasmta/wasmta/mta/internal/report"
)

// RunCmd takes messages through the pipeline without a server.
type RunCmd struct {
	Messages []string `arg:"" name:"message" help:"Files with a message each; - is standard input."`

	From    string   `help:"The reverse-path; <> is the null one. Left out: that of the message's fields." placeholder:"PATH"`
	To      []string `help:"The recipients. Left out: those of the message's fields." placeholder:"ADDRESS"`
	Client  string   `help:"The client's address." placeholder:"IP"`
	Name    string   `help:"The client's name in DNS." placeholder:"HOST"`
	Helo    string   `help:"What the client says in EHLO." placeholder:"HOST"`
	Account string   `help:"Who is logged in." placeholder:"NAME"`
	TLS     string   `name:"tls" help:"The version of TLS, as in TLSv1.3." placeholder:"VERSION"`
	Now     string   `help:"The clock, which stands still: a time such as 2026-11-24T10:00:00Z, or now." default:"2026-11-24T10:00:00Z" placeholder:"TIME"`

	DNS    []string `name:"dns" sep:"none" help:"A record that DNS has, as in \"crepes.fr TXT v=spf1 -all\"; there is nothing else in it." placeholder:"RECORD"`
	Output string   `short:"o" help:"Write what would be queued into this folder." placeholder:"DIR"`
	JSON   bool     `help:"Print JSON." name:"json"`
}

// Help implements kong's detailed help.
func (RunCmd) Help() string {
	return `Shows what each stage changes, and what it costs: time on this machine, and fuel, which is the same number every time.
Nothing is delivered, and nothing is asked of the network.

Example: mta run examples/messages/crepe.eml

Example: mta run --from alice@crepes.fr --to bob@hamburger.edu --output out message.eml`
}

// Run prints a report for each message.
func (c RunCmd) Run(g *Globals) error {
	ctx := context.Background()
	model, err := c.message()
	if err != nil {
		return &exitError{code: 2, err: err}
	}
	now, err := c.clock()
	if err != nil {
		return &exitError{code: 2, err: err}
	}
	pipe, err := daemon.OpenOffline(ctx, g.Pipeline, now, pluginLog(g))
	if err != nil {
		return err
	}
	defer pipe.Close(ctx)
	for _, record := range c.DNS {
		name, rest, _ := strings.Cut(record, " ")
		kind, data, _ := strings.Cut(rest, " ")
		if data == "" || !pipe.AddRecord(name, kind, data) {
			return &exitError{code: 2, err: fmt.Errorf("--dns: %q is not as in \"crepes.fr TXT v=spf1 -all\"", record)}
		}
	}
	var reports []*report.Report
	for i, name := range c.Messages {
		rep, err := c.one(ctx, g, pipe, model, name)
		if err != nil {
			return err
		}
		reports = append(reports, rep)
		if !c.JSON {
			if i > 0 {
				fmt.Fprintln(g.Stdout)
			}
			if err := rep.WriteText(g.Stdout, styleOf(g.Stdout)); err != nil {
				return err
			}
		}
	}
	if c.JSON {
		return report.WriteJSON(g.Stdout, reports)
	}
	return nil
}

// one takes a message through the pipeline.
func (c RunCmd) one(ctx context.Context, g *Globals, pipe *daemon.Offline, m offline.Message, name string) (*report.Report, error) {
	var err error
	if m.Name, m.Octets = name, nil; name == "-" {
		m.Name = "standard input"
		m.Octets, err = io.ReadAll(g.Stdin)
	} else {
		m.Octets, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, err
	}
	outcome, err := pipe.Run(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	if c.Output != "" {
		base := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
		if name == "-" {
			base = "stdin"
		}
		if err := outcome.Write(c.Output, base); err != nil {
			return nil, err
		}
	}
	return outcome.Report, nil
}

// message is what the flags say of every message.
func (c RunCmd) message() (m offline.Message, err error) {
	if c.From != "" {
		var from mail.Path
		if from, err = parsePath(c.From); err != nil {
			return m, fmt.Errorf("--from: %w", err)
		}
		m.From = &from
	}
	for _, to := range c.To {
		p, err := parsePath(to)
		if err == nil && p.IsNull() {
			err = errors.New("a recipient cannot be <>")
		}
		if err != nil {
			return m, fmt.Errorf("--to: %w", err)
		}
		m.To = append(m.To, p)
	}
	if c.Client != "" {
		if m.Client, err = netip.ParseAddr(c.Client); err != nil {
			return m, fmt.Errorf("--client: %q is no IP address", c.Client)
		}
	}
	m.ClientName, m.Helo, m.Account, m.TLS = c.Name, c.Helo, c.Account, c.TLS
	return m, nil
}

// parsePath reads an address, with or without its brackets.
func parsePath(s string) (mail.Path, error) {
	bare := strings.TrimSuffix(strings.TrimPrefix(s, "<"), ">")
	if bare == "" {
		return mail.Path{}, nil
	}
	p, err := mail.ParsePath(bare)
	if err != nil {
		return p, fmt.Errorf("%q is not an address: %w", s, err)
	}
	return p, nil
}

func (c RunCmd) clock() (time.Time, error) {
	if c.Now == "now" {
		return time.Now(), nil
	}
	t, err := time.Parse(time.RFC3339, c.Now)
	if err != nil {
		return t, fmt.Errorf("--now: %q is no time; write one such as 2026-11-24T10:00:00Z, or now", c.Now)
	}
	return t, nil
}

// styleOf is in colour, and as wide as it is, on a terminal (https://no-color.org).
func styleOf(w io.Writer) report.Style {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return report.Style{}
	}
	style := report.Style{Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil {
		style.Width = max(width, 40)
	}
	return style
}
