// Package mtatest runs a plugin natively in a Go test: without WebAssembly,
// and with the same host behind it that the server has.
//
//	func TestCases(t *testing.T) { mtatest.RunDir(t, "testdata") }
//
// runs the files of testdata, which have a configuration, an envelope and a
// message, and what is to come of them (see [Parse]). The server runs the same
// files through the plugin's WebAssembly. [Run] runs one case written in Go.
package mtatest

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
	"github.com/wasmta/wasmta/sdk/host"
)

// A Case is a plugin's configuration and a message for it. Empty fields have
// the values of [Defaults].
type Case struct {
	Name   string
	Config string // YAML, of which JSON is a part; empty is none

	From    string   // the reverse-path; "<>" is the null one
	To      []string // forward-paths
	Context host.Context
	LMTP    bool      // each recipient can have a reply of its own
	Now     time.Time // the plugin's clock
	Message []byte    // with CRLF line ends

	Want *Want // nil: nothing in particular
}

// A Want is what is to come of a case.
type Want struct {
	Text    string // as [Result.Text]
	Message []byte // nil: as it was
	file    string // where the case stands; empty if in no file
}

// Defaults are what a case has where it says nothing.
var Defaults = Case{
	From: "alice@crepes.fr",
	To:   []string{"bob@hamburger.edu"},
	Context: host.Context{
		Client: host.Client{IP: clientIP, Port: 40000, PTR: "mail.crepes.fr", EHLO: "crepes.fr"},
		Server: host.Server{Name: "mx.hamburger.edu", Port: 25, Listener: "smtp"},
		Queue:  host.Queue{ID: "01K5TEST00000001"},
	},
	Now: time.Date(2026, time.November, 24, 10, 0, 0, 0, time.UTC), // a Tuesday
	Message: []byte("From: Alice <alice@crepes.fr>\r\nTo: bob@hamburger.edu\r\n" +
		"Subject: Hello\r\n\r\nHello Bob\r\n"),
}

// plugin is held while a hook runs: a plugin is one per process.
var plugin sync.Mutex

// Run loads the plugin with a case's configuration and asks it about the
// message. The plugin is the one that is linked into the test: its package's
// init registered it. Run holds the result against c.Want if there is one.
func Run(t testing.TB, c Case) Result {
	t.Helper()
	c = c.withDefaults()
	config, err := ToJSON(c.Config)
	if err != nil {
		t.Fatalf("%s: config: %v", c.Name, err)
	}
	plugin.Lock()
	defer plugin.Unlock()
	r := Result{From: c.Sender(), To: recipientsOf(c), Message: c.Message}
	if r.LoadError = load(&c, config, &r); r.LoadError == "" {
		ask(&c, config, &r)
	}
	if c.Want != nil {
		c.Check(t, r)
	}
	return r
}

// Benchmark measures on_message natively, with the host's share of it.
func Benchmark(b *testing.B, c Case) {
	b.Helper()
	c = c.withDefaults()
	config, err := ToJSON(c.Config)
	if err != nil {
		b.Fatal(err)
	}
	plugin.Lock()
	defer plugin.Unlock()
	var r Result
	if text := load(&c, config, &r); text != "" {
		b.Fatal(text)
	}
	b.ReportAllocs()
	for b.Loop() {
		r = Result{}
		ask(&c, config, &r)
	}
	if r.Verdict == Failed {
		b.Fatal(r.Text())
	}
}

// load runs on_load and returns why the plugin refuses to start.
func load(c *Case, config []byte, r *Result) string {
	call := host.New(host.Input{
		Hook: abi.HookLoad, Config: config, Now: c.now, Random: zeros{}, Log: r.log,
		Context: host.Context{Plugin: "test", Server: host.Server{Name: c.Context.Server.Name}},
	})
	guest.Current = call
	defer func() { guest.Current = nil }()
	result := guest.Load()
	call.Commit()
	switch reply := call.GivenReply(); {
	case result == 0:
		return ""
	case reply != nil:
		return reply.Text
	}
	return "the plugin does not say why"
}

// ask runs on_message.
func ask(c *Case, config []byte, r *Result) {
	call := host.New(c.input(config, r))
	guest.Current = call
	defer func() { guest.Current = nil }()
	answer, err := call.Answer(guest.Message())
	if err != nil {
		call.Rollback()
		r.Verdict = Failed
		return
	}
	r.Verdict = answer.Verdict.String()
	r.Reply, r.Reason = answer.Reply, answer.Reason
	changes := call.Commit()
	r.From, r.To, r.Notes = changes.Sender, changes.Recipients, changes.Notes
	if changes.Message != nil {
		r.Message = octetsOf(changes.Message)
	}
}

func (c *Case) input(config []byte, r *Result) host.Input {
	in := host.Input{
		Hook: abi.HookMessage, Config: config, Context: c.Context, Sender: c.Sender(), Recipients: recipientsOf(*c),
		Open:             func() (host.Message, error) { return open(c.Message) },
		RecipientReplies: c.LMTP,
		Now:              c.now, Random: zeros{}, Log: r.log,
	}
	in.Context.Plugin = "test"
	return in
}

// Sender is c.From as the server has it: empty for the null reverse-path.
func (c *Case) Sender() string {
	if c.From == "<>" {
		return ""
	}
	return c.From
}

func (c *Case) now() time.Time { return c.Now }

func (c Case) withDefaults() Case {
	d := Defaults
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

func recipientsOf(c Case) []host.Recipient {
	rcpts := make([]host.Recipient, len(c.To))
	for i, to := range c.To {
		rcpts[i] = host.Recipient{Address: to, Original: to, Origin: i}
	}
	return rcpts
}

// zeros are the random octets of a test.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// octetsOf reads a message from the host to its end.
func octetsOf(m host.Message) []byte {
	b := make([]byte, m.Size())
	n, _ := m.ReadAt(b, 0)
	return b[:n]
}

// crlf makes CRLF of each LF that has no CR before it.
func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}
