package wasm

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

// input is what a hook call begins with. tx is nil for on_load.
func (p *Plugin) input(ctx context.Context, hook string, tx *mail.Transaction) host.Input {
	in := host.Input{
		Hook:   hook,
		Grants: p.grants,
		Ctx:    ctx,
		Config: p.config,
		Limits: p.limits,
		Log:    p.logLine,
		Level:  p.logLevel(),
		Now:    p.now,
		Random: p.shared.opts.Random,

		KV: p.kv, Resolver: p.resolver, Metrics: p.metrics,
	}
	in.Deadline, _ = ctx.Deadline()
	in.Context = host.Context{Plugin: p.name, Server: host.Server{Name: p.shared.opts.Hostname}}
	if tx == nil {
		return in
	}
	in.Limits.Variants = room(tx, p.limits.Variants, host.DefaultVariants)
	in.Limits.Sends = room(tx, p.limits.Sends, host.DefaultSends)
	in.Context = p.context(tx)
	in.Sender = tx.Envelope.ReversePath.String()
	in.Recipients = recipients(tx.Envelope.Recipients)
	in.SessionNotes, in.Notes, in.QueuedNotes = tx.SessionNotes, tx.Notes, tx.QueuedNotes
	in.AfterQueue = tx.Queued && (hook == abi.HookHeaders || hook == abi.HookMessage)
	in.Path = checkPath
	if tx.Content != nil {
		in.Open = func() (host.Message, error) { return open(tx.Content) }
	}
	return in
}

// maxTogether is how many messages may come of one, by variants and by send, in
// all stages: each is stored by itself, and several stages that each make a
// hundred of one would make a million of it.
const maxTogether = 100

// room is the limit of one call, zero for the usual one, or what is left of
// maxTogether; less than zero is none.
func room(tx *mail.Transaction, limit, usual int) int {
	if limit == 0 {
		limit = usual
	}
	if left := maxTogether - tx.Together; left > 0 {
		return min(limit, left)
	}
	return -1
}

// levels are ours for those of the ABI.
var levels = [...]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

func slogLevel(l abi.Level) slog.Level {
	return levels[min(max(l, 0), abi.Level(len(levels)-1))]
}

// logLevel is the least level that is logged at all.
func (p *Plugin) logLevel() abi.Level {
	for i, l := range levels {
		if p.log.Enabled(context.Background(), l) {
			return abi.Level(i)
		}
	}
	return abi.LevelError + 1
}

func (p *Plugin) context(tx *mail.Transaction) host.Context {
	c := &tx.Client
	out := host.Context{
		Plugin: p.name,
		Client: host.Client{IP: address(c.Addr), Port: c.Addr.Port(), PTR: c.Name, EHLO: c.Helo},
		Server: host.Server{
			Name: p.shared.opts.Hostname, IP: address(c.Local), Port: c.Local.Port(), Listener: string(c.Listener),
		},
		Queue: host.Queue{ID: string(tx.ID), Attempts: tx.Attempts, Received: tx.Received},
		Envelope: host.Envelope{
			Body: string(tx.Envelope.Body), UTF8: tx.Envelope.UTF8, Ret: tx.Envelope.Ret, EnvID: tx.Envelope.EnvID,
		},
	}
	if c.Account != "" {
		out.Auth = &host.Auth{Login: c.Account}
	}
	if c.TLS != "" {
		out.TLS = &host.TLS{Version: c.TLS, Cipher: c.Cipher}
	}
	return out
}

func address(a netip.AddrPort) netip.Addr { return a.Addr().Unmap() }

func recipients(in []mail.Recipient) []host.Recipient {
	out := make([]host.Recipient, len(in))
	for i, r := range in {
		out[i] = host.Recipient{
			Address: r.Path.String(), ORCPT: r.ORCPT, Notify: r.Notify.String(),
			Resolved: r.Resolved, RetryAt: r.RetryAt,
		}
		if last := r.Last; last != nil {
			out[i].Status, out[i].LastReply = string(last.Outcome), lastReply(last)
		}
		out[i].Original = out[i].Address
		if r.Original != r.Path {
			out[i].Original = r.Original.String()
		}
	}
	return out
}

// lastReply is what an attempt heard, or what we would have said; empty if
// there was nothing to say.
func lastReply(r *mail.Result) string {
	if r.Code == 0 {
		return ""
	}
	return strings.Join(strings.Fields(strconv.Itoa(r.Code)+" "+r.Enh+" "+r.Text), " ")
}

func checkPath(s string) (string, error) {
	p, err := mail.ParsePath(s)
	return p.String(), err
}

// apply puts what a call did into tx and the answer, but for the reason of
// quarantine: the pipeline combines those. On error tx is as it was.
func apply(tx *mail.Transaction, answer *mail.Answer, ch host.Changes) error {
	old, env := tx.Envelope.Recipients, tx.Envelope
	var err error
	if ch.SenderSet {
		if env.ReversePath, err = mail.ParsePath(ch.Sender); err != nil {
			return err
		}
	}
	if ch.RecipientsSet {
		if env.Recipients, err = changed(old, ch.Recipients); err != nil {
			return err
		}
	}
	groups := make([][]mail.Recipient, len(ch.Variants))
	for i, v := range ch.Variants {
		if groups[i], err = changed(old, v.Recipients); err != nil {
			return err
		}
	}
	if answer.Sends, err = sends(ch.Sends); err != nil {
		return err
	}
	tx.Envelope = env
	if ch.Message != nil {
		tx.Content = host.TreeOf(ch.Message)
	}
	takeNotes(&tx.SessionNotes, ch.SessionNotes)
	takeNotes(&tx.Notes, ch.Notes)
	takeNotes(&tx.QueuedNotes, ch.QueuedNotes)
	for i, v := range ch.Variants {
		fork := tx.Fork()
		fork.Envelope.Recipients, fork.Content = groups[i], host.TreeOf(v.Message)
		answer.Variants = append(answer.Variants, fork)
	}
	return nil
}

func takeNotes(have *map[string]string, set map[string]string) {
	if set != nil {
		*have = set
	}
}

// sends are the messages that a call originates.
func sends(in []host.Sent) ([]*mail.Transaction, error) {
	var out []*mail.Transaction
	for _, s := range in {
		tx := &mail.Transaction{Content: mail.Bytes(s.Octets)}
		var err error
		if tx.Envelope.ReversePath, err = mail.ParsePath(s.Sender); err != nil {
			return nil, err
		}
		for _, rcpt := range s.Recipients {
			path, err := mail.ParsePath(rcpt)
			if err != nil {
				return nil, err
			}
			tx.Envelope.Recipients = append(tx.Envelope.Recipients, mail.Recipient{Path: path, Original: path})
		}
		out = append(out, tx)
	}
	return out, nil
}

// changed are the recipients that a call left.
func changed(old []mail.Recipient, now []host.Recipient) ([]mail.Recipient, error) {
	out := make([]mail.Recipient, 0, len(now))
	for _, r := range now {
		var m mail.Recipient
		if r.Origin >= 0 {
			m = old[r.Origin]
		}
		path, err := mail.ParsePath(r.Address)
		if err != nil {
			return nil, err
		}
		m.Path, m.RetryAt = path, r.RetryAt
		if r.Origin < 0 {
			m.Original = path
		}
		if r.Route != nil {
			m.Deliver = nil
			m.Route = &mail.NextHop{Host: r.Route.Host, Port: r.Route.Port, RequireTLS: r.Route.RequireTLS, NoMX: r.Route.NoMX}
		}
		if r.Deliver != nil {
			m.Route = nil
			m.Deliver = &mail.Target{Account: r.Deliver.Account, Folder: r.Deliver.Folder, Flags: r.Deliver.Flags}
		}
		if r.Reply != nil {
			m.Refused = &mail.Refusal{Code: r.Reply.Code, Enh: r.Reply.Enhanced, Text: r.Reply.Text}
		}
		out = append(out, m)
	}
	return slices.Clip(out), nil
}

func answerOf(a host.Answer) mail.Answer {
	out := mail.Answer{Verdict: mail.Verdict(a.Verdict), Reason: a.Reason}
	if a.Verdict == abi.NotAgain {
		out.Verdict, out.NotAgain = mail.Continue, true
	}
	if a.Reply != nil {
		out.Code, out.Enh, out.Text = a.Reply.Code, a.Reply.Enhanced, a.Reply.Text
	}
	return out
}
