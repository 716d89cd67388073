package wasm

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/mtatest"
	"github.com/wasmta/wasmta/sdk/host"
)

// TestPlugins runs the cases of each plugin of the repository, which their own
// tests run natively, in WebAssembly: the results are the same.
func TestPlugins(t *testing.T) {
	folders, err := filepath.Glob("../../../plugins/*")
	if err != nil {
		t.Fatal(err)
	}
	builder := &Builder{CacheDir: cacheDir}
	for _, folder := range folders {
		cases, err := filepath.Glob(filepath.Join(folder, "testdata", "*.txtar"))
		if err != nil || len(cases) == 0 {
			continue
		}
		t.Run(filepath.Base(folder), func(t *testing.T) {
			module, err := builder.Build(t.Context(), folder)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range mtatest.LoadDir(t, filepath.Join(folder, "testdata")) {
				t.Run(c.Name, func(t *testing.T) { runCase(t, module, c) })
			}
		})
	}
}

// runCase loads the plugin with a case's configuration and asks it.
func runCase(t *testing.T, module []byte, c mtatest.Case) {
	if c.LMTP {
		t.Skip("the server does not take replies of single recipients yet")
	}
	c = withDefaults(c)
	config, err := mtatest.ToJSON(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	tx := transactionOf(t, c)
	r := mtatest.Result{Verdict: mtatest.Failed}
	rt := newRuntime(t, Options{
		CacheDir: cacheDir, Hostname: c.Context.Server.Name, Log: slog.New(&lines{result: &r}),
		Now: func() time.Time { return c.Now }, Random: zeros{},
	})
	p, err := rt.Load(t.Context(), LoadOptions{Name: "test", Wasm: module, Config: config})
	if err != nil {
		e, _ := errors.AsType[*Error](err)
		r.LoadError = strings.TrimPrefix(e.Detail, "refused to start: ")
	} else {
		ask(t, p, tx, &r)
	}
	r.From, r.Notes = tx.Envelope.ReversePath.String(), tx.Notes
	for _, rcpt := range tx.Envelope.Recipients {
		r.To = append(r.To, recipientOf(rcpt))
	}
	if r.Message, err = mail.ReadAll(tx.Content); err != nil {
		t.Fatal(err)
	}
	if c.Want != nil {
		c.Check(t, r)
	}
}

func ask(t *testing.T, p *Plugin, tx *mail.Transaction, r *mtatest.Result) {
	answer, err := p.Handle(t.Context(), abi.HookMessage, tx)
	if err != nil {
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != KindVerdict {
			t.Errorf("failed otherwise than by its verdict: %v", err)
		}
		return
	}
	r.Verdict, r.Reason = answer.Verdict.String(), answer.Reason
	if answer.Code != 0 {
		r.Reply = &host.Reply{Code: answer.Code, Enhanced: answer.Enh, Text: answer.Text}
	}
}

func withDefaults(c mtatest.Case) mtatest.Case {
	d := mtatest.Defaults
	if c.From == "" {
		c.From = d.From
	}
	if c.To == nil {
		c.To = d.To
	}
	if c.Context.Client == (host.Client{}) {
		c.Context.Client = d.Context.Client
	}
	if c.Context.Server == (host.Server{}) {
		c.Context.Server = d.Context.Server
	}
	if c.Context.Queue.ID == "" {
		c.Context.Queue.ID = d.Context.Queue.ID
	}
	if c.Now.IsZero() {
		c.Now = d.Now
	}
	if c.Message == nil {
		c.Message = d.Message
	}
	return c
}

func transactionOf(t *testing.T, c mtatest.Case) *mail.Transaction {
	path := func(s string) mail.Path {
		p, err := mail.ParsePath(s)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	ctx := c.Context
	tx := &mail.Transaction{
		ID: mail.QueueID(ctx.Queue.ID),
		Client: mail.Client{
			Addr: netip.AddrPortFrom(ctx.Client.IP, ctx.Client.Port), Name: ctx.Client.PTR, Helo: ctx.Client.EHLO,
			Local: netip.AddrPortFrom(ctx.Server.IP, ctx.Server.Port), Listener: mail.Listener(ctx.Server.Listener),
		},
		Envelope: mail.Envelope{ReversePath: path(c.Sender())},
		Content:  mail.Bytes(c.Message),
	}
	if ctx.Auth != nil {
		tx.Client.Account = ctx.Auth.Login
	}
	if ctx.TLS != nil {
		tx.Client.TLS, tx.Client.Cipher = ctx.TLS.Version, ctx.TLS.Cipher
	}
	for _, to := range c.To {
		tx.Envelope.Recipients = append(tx.Envelope.Recipients, mail.Recipient{Path: path(to), Original: path(to)})
	}
	return tx
}

func recipientOf(r mail.Recipient) host.Recipient {
	out := host.Recipient{Address: r.Path.String(), Original: r.Original.String()}
	if h := r.Route; h != nil {
		out.Route = &host.Route{Host: h.Host, Port: h.Port, RequireTLS: h.RequireTLS, NoMX: h.NoMX}
	}
	if d := r.Deliver; d != nil {
		out.Deliver = &host.Target{Account: d.Account, Folder: d.Folder, Flags: d.Flags}
	}
	return out
}

// zeros are the random octets of mtatest.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// lines is a log that keeps what plugins say, as mtatest does.
type lines struct {
	result *mtatest.Result
}

func (l *lines) Enabled(_ context.Context, level slog.Level) bool { return level > slog.LevelDebug }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *lines) WithGroup(string) slog.Handler                    { return l }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "plugin log" {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "text" {
				l.result.Log = append(l.result.Log, strings.ToLower(r.Level.String())+": "+a.Value.String())
			}
			return true
		})
	}
	return nil
}
