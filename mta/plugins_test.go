package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/wasm"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/mtatest"
	"github.com/wasmta/wasmta/sdk/host"
)

// TestPluginsInWasm runs the cases of every plugin through its WebAssembly, as
// the server would. The plugin's own tests run the same cases natively, so
// that both must come to the same.
func TestPluginsInWasm(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and compiles every plugin")
	}
	folders, err := filepath.Glob("../plugins/*/main.go")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no plugins: %v", err)
	}
	for _, folder := range folders {
		folder = filepath.Dir(folder)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			p := newPluginTest(t, folder)
			cases := mtatest.LoadDir(t, filepath.Join(folder, "testdata"))
			for _, c := range append(cases, mtatest.LoadMarkdown(t, filepath.Join(folder, "README.md"))...) {
				t.Run(c.Name, func(t *testing.T) { p.run(t, c) })
			}
		})
	}
}

// A pluginTest is one plugin's module, and a runtime for all its cases, one
// after the other: to compile the module takes longer than all of them.
type pluginTest struct {
	module  []byte
	runtime *wasm.Runtime
	log     *caseLog
	now     time.Time // of the case in hand
}

func newPluginTest(t *testing.T, folder string) *pluginTest {
	t.Helper()
	p := &pluginTest{module: buildPlugin(t, folder), log: &caseLog{}}
	var err error
	p.runtime, err = wasm.NewRuntime(t.Context(), wasm.Options{
		Hostname: mtatest.Defaults.Context.Server.Name,
		Log:      slog.New(p.log),
		Now:      func() time.Time { return p.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.runtime.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// buildPlugin builds a plugin as the server does.
func buildPlugin(t testing.TB, folder string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plugin.wasm")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-buildmode=c-shared", "-o", file, ".")
	build.Dir = folder
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", folder, err, out)
	}
	module, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// run loads the plugin with a case's configuration and asks it.
func (p *pluginTest) run(t *testing.T, c mtatest.Case) {
	if c.Context.Server.Name != mtatest.Defaults.Context.Server.Name {
		t.Fatalf("hostname %s: all cases share a runtime", c.Context.Server.Name)
	}
	ctx := t.Context()
	p.now, p.log.lines = c.Now, nil
	config, err := mtatest.ToJSON(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	r := mtatest.Result{From: c.Sender()}
	plugin, err := p.runtime.Load(ctx, wasm.LoadOptions{Name: "test", Wasm: p.module, Config: config, Instances: 1})
	if err != nil {
		_, r.LoadError, _ = strings.Cut(err.Error(), "refused to start: ")
		if r.LoadError == "" {
			t.Fatal(err)
		}
		r.Log = p.log.lines
		mtatest.Check(t, c, r)
		return
	}
	defer plugin.Close(context.Background())
	tx := transactionOf(t, c)
	answer, err := plugin.Handle(ctx, abi.HookMessage, tx)
	fill(t, &r, answer, err, tx)
	r.Log = p.log.lines
	mtatest.Check(t, c, r)
}

// fill puts what the server has after the stage into a result.
func fill(t *testing.T, r *mtatest.Result, answer mail.Answer, err error, tx *mail.Transaction) {
	t.Helper()
	r.Verdict = answer.Verdict.String()
	if failure, ok := errors.AsType[*wasm.Error](err); ok && failure.Kind == wasm.KindVerdict {
		r.Verdict = mtatest.Failed
	} else if err != nil {
		t.Fatal(err)
	}
	if answer.Code != 0 {
		r.Reply = &host.Reply{Code: answer.Code, Enhanced: answer.Enh, Text: answer.Text}
	}
	r.Reason = answer.Reason
	r.From = tx.Envelope.ReversePath.String()
	r.Notes = tx.Notes
	for _, rcpt := range tx.Envelope.Recipients {
		r.To = append(r.To, recipientOf(rcpt))
	}
	if r.Message, err = mail.ReadAll(tx.Content); err != nil {
		t.Fatal(err)
	}
}

func recipientOf(rcpt mail.Recipient) host.Recipient {
	out := host.Recipient{Address: rcpt.Path.String(), Original: rcpt.Original.String()}
	if h := rcpt.Route; h != nil {
		out.Route = &host.Route{Host: h.Host, Port: h.Port, RequireTLS: h.RequireTLS, NoMX: h.NoMX}
	}
	if f := rcpt.Refused; f != nil {
		out.Reply = &host.Reply{Code: f.Code, Enhanced: f.Enh, Text: f.Text}
	}
	if d := rcpt.Deliver; d != nil {
		out.Deliver = &host.Target{Account: d.Account, Folder: d.Folder, Flags: d.Flags}
	}
	if no := rcpt.Refused; no != nil {
		out.Reply = &host.Reply{Code: no.Code, Enhanced: no.Enh, Text: no.Text}
	}
	return out
}

// transactionOf is a case as the session hands it to the pipeline.
func transactionOf(t testing.TB, c mtatest.Case) *mail.Transaction {
	t.Helper()
	tx := &mail.Transaction{
		ID:       mail.QueueID(c.Context.Queue.ID),
		Received: c.Now,
		Client: mail.Client{
			Addr: netip.AddrPortFrom(c.Context.Client.IP, c.Context.Client.Port),
			Name: c.Context.Client.PTR, Helo: c.Context.Client.EHLO, Extended: true,
			Listener: mail.Listener(c.Context.Server.Listener),
		},
		Content: mail.Bytes(c.Message),
	}
	if c.Context.Auth != nil {
		tx.Client.Account = c.Context.Auth.Login
	}
	if c.Context.TLS != nil {
		tx.Client.TLS = c.Context.TLS.Version
	}
	tx.Envelope.ReversePath = path(t, c.Sender())
	for _, to := range c.To {
		p := path(t, to)
		tx.Envelope.Recipients = append(tx.Envelope.Recipients, mail.Recipient{Path: p, Original: p})
	}
	return tx
}

func path(t testing.TB, s string) mail.Path {
	t.Helper()
	p, err := mail.ParsePath(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return p
}

// A caseLog keeps what a plugin logs, as a case has it.
type caseLog struct {
	mu    sync.Mutex
	lines []string
}

// Enabled implements [slog.Handler].
func (l *caseLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle implements [slog.Handler].
func (l *caseLog) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "text" {
			l.lines = append(l.lines, strings.ToLower(r.Level.String())+": "+a.Value.String())
		}
		return true
	})
	return nil
}

// WithAttrs implements [slog.Handler].
func (l *caseLog) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements [slog.Handler].
func (l *caseLog) WithGroup(string) slog.Handler { return l }
