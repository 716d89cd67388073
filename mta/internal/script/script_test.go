package script

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/testpeer"
	"github.com/wasmta/wasmta/mta/internal/wasm"
	"github.com/wasmta/wasmta/sdk/abi"
)

const letterToBob = "Received: from crepes.fr\r\n\tby hamburger.edu\r\nFrom: alice@crepes.fr\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n\r\nDear Bob\r\n"

func transaction() *mail.Transaction {
	return &mail.Transaction{
		ID:     "0123456789ABCDEF",
		Client: mail.Client{Addr: netip.MustParseAddrPort("192.0.2.1:1234"), Helo: "crepes.fr", Listener: mail.ListenerSMTP},
		Envelope: mail.Envelope{
			ReversePath: mail.Path{Local: "alice", Domain: "crepes.fr"},
			Recipients:  []mail.Recipient{{Path: mail.Path{Local: "bob", Domain: "hamburger.edu"}}},
		},
		Content: mail.Bytes(letterToBob),
	}
}

// interpreter reads a file of an npm package.
func interpreter(t testing.TB, pkg, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testpeer.NeedNpm(t, pkg), "node_modules", filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// everything is what can be granted to a function of the ABI.
var everything = []string{"headers", "body", "envelope", "route", "send", "kv", "dns", "clock", "random"}

func options(module []byte, config string) wasm.LoadOptions {
	return wasm.LoadOptions{
		Name: "test", Wasm: module, Config: json.RawMessage(config), Instances: 1, Grants: everything,
		Budget: wasm.Budget{Memory: 256 << 20},
	}
}

// load loads a module. What it logs is in the buffer.
func load(t testing.TB, module []byte, config string) (*wasm.Plugin, *bytes.Buffer) {
	t.Helper()
	return loadWith(t, options(module, config))
}

func loadWith(t testing.TB, opts wasm.LoadOptions) (*wasm.Plugin, *bytes.Buffer) {
	t.Helper()
	p, log, err := tryLoad(t, opts)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	return p, log
}

func tryLoad(t testing.TB, opts wasm.LoadOptions) (*wasm.Plugin, *bytes.Buffer, error) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	log := new(bytes.Buffer)
	rt, err := wasm.NewRuntime(t.Context(), wasm.Options{
		CacheDir: filepath.Join(cache, "wasmta", "compiled"), Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), Hostname: "hamburger.edu",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rt.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	p, err := rt.Load(t.Context(), opts)
	return p, log, err
}

func handle(t testing.TB, p *wasm.Plugin, log *bytes.Buffer) (*mail.Transaction, mail.Answer) {
	t.Helper()
	tx := transaction()
	answer, err := p.Handle(t.Context(), abi.HookMessage, tx)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	return tx, answer
}

func content(t testing.TB, tx *mail.Transaction) string {
	t.Helper()
	r, err := tx.Content.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
