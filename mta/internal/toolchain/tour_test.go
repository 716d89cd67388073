package toolchain

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/testpeer"
	"github.com/wasmta/wasmta/mta/internal/wasm"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

// toured are the languages that have a tour: those with an SDK that is compiled.
var toured = []string{"go", "c", "cpp", "rust", "zig", "assemblyscript"}

const tourMessage = "From: alice@crepes.fr\r\n" +
	"Subject: =?utf-8?q?Cr=C3=AApes?=\r\n for you\r\n" +
	"X-Old: 1\r\nX-Set: no\r\nX-Gone: 1\r\nX-Old: 2\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\n\r\nHello\r\n" +
	"--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
	"SGVsbG8sIEJvYg==\r\n--b--\r\n"

// TestTour calls every function of the ABI through every SDK, and holds that
// each language is told, and does, the same.
func TestTour(t *testing.T) {
	for _, lang := range toured {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			if lang != "go" { // whose compiler runs this test
				testpeer.NeedCompiler(t, lang)
			}
			module, err := (&Builder{CacheDir: t.TempDir()}).Build(t.Context(), "testdata/tour/"+lang)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range abi.Functions {
				if !bytes.Contains(module, []byte(f.Name)) {
					t.Errorf("the module does not import %s", f.Name)
				}
			}
			for _, hook := range abi.Hooks {
				if !bytes.Contains(module, []byte(hook)) {
					t.Errorf("the module does not export %s", hook)
				}
			}
			checkTour(t, module)
			if tx, _ := tour(t, module, abi.HookMessage, `{"replace": true}`); content(t, tx) != "Subject: new\r\n\r\nnew\r\n" {
				t.Errorf("replaced: got %q", content(t, tx))
			}
			_, answer := tour(t, module, abi.HookRcpt, `{}`)
			if answer.Verdict != mail.Reject || answer.Code != 550 || answer.Enh != "5.1.1" || answer.Text != "No tour" {
				t.Errorf("reject: got %+v", answer)
			}
			_, answer = tour(t, module, abi.HookHelo, `{}`)
			if answer.Verdict != mail.Disconnect || answer.Code != 421 {
				t.Errorf("disconnect: got %+v", answer)
			}
			_, answer = tour(t, module, abi.HookMail, `{}`)
			if answer.Verdict != mail.Defer || answer.Code != 450 || answer.Enh != "4.2.0" || answer.Text != "Later" {
				t.Errorf("defer: got %+v", answer)
			}
		})
	}
}

func checkTour(t *testing.T, module []byte) {
	t.Helper()
	tx, answer := tour(t, module, abi.HookMessage, tourConfig)
	if got := tx.Notes["tour"]; got != wantTour {
		t.Errorf("got\n%s\nwant\n%s", got, wantTour)
	}
	got := content(t, tx)
	for _, want := range []string{"X-Top: top\r\n", "X-Set: set\r\n", "X-Raw: raw\r\n", "Bonjour\r\n", "multipart/alternative", "b.txt"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	for _, gone := range []string{"X-Old", "X-Gone", "SGVsbG8sIEJvYg==", "X-Variant"} {
		if strings.Contains(got, gone) {
			t.Errorf("%q is in %q", gone, got)
		}
	}
	if len(answer.Variants) != 1 || !strings.HasPrefix(content(t, answer.Variants[0]), "X-Variant: 1\r\n") {
		t.Errorf("variants: got %v", answer.Variants)
	}
	if len(answer.Sends) != 1 || content(t, answer.Sends[0]) != "Subject: hi\r\n\r\nhi\r\n" {
		t.Errorf("sends: got %v", answer.Sends)
	}
	if answer.Reason != "on tour" {
		t.Errorf("quarantine: got %q", answer.Reason)
	}
	if from := tx.Envelope.ReversePath.String(); from != "carol@crepes.fr" {
		t.Errorf("reverse-path: got %s", from)
	}
	if rcpts := tx.Envelope.Recipients; len(rcpts) != 1 || rcpts[0].Path.String() != "eve@hamburger.edu" || rcpts[0].Refused == nil {
		t.Errorf("recipients: got %+v", rcpts)
	}
}

func content(t *testing.T, tx *mail.Transaction) string {
	t.Helper()
	b, err := mail.ReadAll(tx.Content)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const tourConfig = `{"greeting":"hi \"there\" \u0026 cr\u00eapes", "list":[1, {"a,]": [[]], "b": "}"}, "x,]\"}\\"], "n": -42, "nothing": null}`

const wantTour = `version 1
has 10
call error
config hi "there" & crêpes
items 3
last x,]"}\
n 42
null 1
log 0
context crepes.fr
missing error
json message
note v
clock 1
random 1
sender carol@crepes.fr
recipients 2
added erin@hamburger.edu
remove 0
first bob@hamburger.edu
refuse 0
fields 8
name Subject
decoded Crêpes for you
unfolded =?utf-8?q?Cr=C3=AApes?= for you
block 171
removed 2
none error
parent 0
found 1
type text/plain
filename a.txt
flags 2
size 10
text Hello, Bob
replace 0
insert 1
wrap 1
gone 0
message 1
route 0
deliver 0
retry error
quarantine 5
variant 1
main 0
send 0
kv none error
kv set v
kv add 2
kv swap 1
kv now w
kv remove 0
dns example.org 16
second
`

// tour asks one hook of a module.
func tour(t *testing.T, module []byte, hook, config string) (*mail.Transaction, mail.Answer) {
	t.Helper()
	metrics := measured{}
	rt, err := wasm.NewRuntime(t.Context(), wasm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := rt.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	p, err := rt.Load(t.Context(), wasm.LoadOptions{
		Name: "tour", Wasm: module, Config: []byte(config), Grants: abi.AllGrants.Words(),
		KV: memory{}, Resolver: records{}, Metrics: metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	tx := &mail.Transaction{
		ID:      "0123456789ABCDEF",
		Client:  mail.Client{Addr: netip.MustParseAddrPort("192.0.2.1:1234"), Helo: "crepes.fr", Listener: mail.ListenerSMTP},
		Content: mail.Bytes(tourMessage),
	}
	tx.Envelope.ReversePath = mail.Path{Local: "alice", Domain: "crepes.fr"} // what has none is not answered
	for _, local := range []string{"bob", "eve"} {
		rcpt := mail.Recipient{Path: mail.Path{Local: local, Domain: "hamburger.edu"}}
		tx.Envelope.Recipients = append(tx.Envelope.Recipients, rcpt)
	}
	answer, err := p.Handle(t.Context(), hook, tx)
	if err != nil {
		t.Fatal(err)
	}
	if tx.Notes["tour"] != "" && (metrics["tours"] != 1 || metrics["length"] != 0.5) {
		t.Errorf("metrics: got %v", metrics)
	}
	return tx, answer
}

// memory keeps what a tour remembers.
type memory map[string]string

func (m memory) Get(_ context.Context, key string) ([]byte, error) {
	v, ok := m[key]
	if !ok {
		return nil, host.ErrNotFound
	}
	return []byte(v), nil
}

func (m memory) Set(_ context.Context, key string, value []byte, _ time.Duration) error {
	m[key] = string(value)
	return nil
}

func (m memory) Delete(_ context.Context, key string) error {
	delete(m, key)
	return nil
}

func (m memory) Add(_ context.Context, key string, delta int64, _ time.Duration) (int64, error) {
	n, _ := strconv.ParseInt(m[key], 10, 64) // empty is zero
	m[key] = strconv.FormatInt(n+delta, 10)
	return n + delta, nil
}

func (m memory) CompareAndSwap(_ context.Context, key string, old, value []byte, _ time.Duration) error {
	if m[key] != string(old) {
		return host.ErrConflict
	}
	m[key] = string(value)
	return nil
}

// records is the DNS of a tour.
type records struct{}

func (records) Lookup(_ context.Context, qtype uint16, name string) ([]string, error) {
	return []string{fmt.Sprintf("%s %d", name, qtype), "second"}, nil
}

// measured has what a tour counts and observes.
type measured map[string]float64

func (m measured) Count(name string, delta int64) { m[name] += float64(delta) }

func (m measured) Observe(name string, value float64) { m[name] += value }
