package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/wasm"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/conformance/kit"
	"github.com/wasmta/wasmta/sdk/host"
)

// Conform holds the plugin at path, a module or a folder, to the conformance
// filter of sdk/conformance, in the guest's sandbox as the server has it.
func Conform(ctx context.Context, path string, messages []kit.Message, log *slog.Logger) (*kit.Report, error) {
	module, err := BuildPlugin(ctx, path, log)
	if err != nil {
		return nil, err
	}
	cache, err := compiledCache()
	if err != nil {
		return nil, err
	}
	runtime, err := wasm.NewRuntime(ctx, wasm.Options{CacheDir: cache, Hostname: "hamburger.edu"})
	if err != nil {
		return nil, err
	}
	defer runtime.Close(ctx)
	load := func(ctx context.Context, config json.RawMessage) (kit.Runner, error) {
		p, err := runtime.Load(ctx, wasm.LoadOptions{Name: filepath.Base(path), Wasm: module, Config: config, Instances: 1})
		return conformer{p}, err
	}
	return kit.Check(ctx, load, messages)
}

// compiledCache is where the code of modules stays that belong to no server:
// to compile a script language's runtime takes many seconds.
func compiledCache() (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "wasmta", "compiled"), err
}

// A conformer asks one plugin.
type conformer struct{ plugin *wasm.Plugin }

// Run implements [kit.Runner].
func (c conformer) Run(ctx context.Context, in kit.Case) (kit.Outcome, error) {
	tx, err := transactionOf(in)
	if err != nil {
		return kit.Outcome{}, err
	}
	if _, err := c.plugin.Handle(ctx, abi.HookMessage, tx); err != nil {
		failure, ok := errors.AsType[*wasm.Error](err)
		if !ok || failure.Kind == wasm.KindInput {
			return kit.Outcome{}, err
		}
		return kit.Outcome{Failed: true, Why: failure.Error(), Message: in.Message}, nil
	}
	out := kit.Outcome{Refused: map[string]string{}}
	for _, rcpt := range tx.Envelope.Recipients {
		if r := rcpt.Refused; r != nil {
			out.Refused[rcpt.Path.String()] = kit.ReplyText(&host.Reply{Code: r.Code, Enhanced: r.Enh, Text: r.Text})
		}
	}
	out.Message, err = mail.ReadAll(tx.Content)
	return out, err
}

// Close implements [kit.Runner].
func (c conformer) Close() error { return c.plugin.Close(context.Background()) }

func transactionOf(c kit.Case) (*mail.Transaction, error) {
	tx := &mail.Transaction{ID: "CONFORMANCE00000", Content: mail.Bytes(c.Message)}
	var err error
	if tx.Envelope.ReversePath, err = mail.ParsePath(c.Sender); err != nil {
		return nil, err
	}
	for _, rcpt := range c.Recipients {
		p, err := mail.ParsePath(rcpt)
		if err != nil {
			return nil, err
		}
		tx.Envelope.Recipients = append(tx.Envelope.Recipients, mail.Recipient{Path: p, Original: p})
	}
	return tx, nil
}
