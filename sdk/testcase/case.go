// Package testcase has the cases that plugins are tested with: a configuration,
// an envelope and a message, and what is to come of them. It reads and writes
// them; who runs them is not its matter, so that a case means the same for a
// plugin as a Go program (package mtatest) and for its WebAssembly (`mta test`).
package testcase

import (
	"net/netip"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

// A Case is a plugin's configuration and a message for it. Empty fields have
// the values of [Defaults].
type Case struct {
	Name   string
	Config string // YAML, of which JSON is a part; empty is none
	Hook   string // "on_message"

	From    string                    // the reverse-path; "<>" is the null one
	To      []string                  // forward-paths
	Known   map[string]host.Recipient // what else is known of a forward-path
	Context host.Context
	Now     time.Time // the plugin's clock
	Message []byte    // with CRLF line ends

	// Notes that are there before, by their scope.
	SessionNotes, Notes, QueuedNotes map[string]string

	// What services have before.
	KV  map[string]string
	DNS DNS

	Want *Want // nil: nothing in particular
}

// A Want is what is to come of a case.
type Want struct {
	Text    string            // as [Result.Text]
	Message []byte            // nil: as it was
	Others  map[string][]byte // the other messages that come of it, by their names in [Result.Messages]
	File    string            // where the case stands; empty if in no file
}

var clientIP = netip.MustParseAddr("192.0.2.1")

// Defaults are what a case has where it says nothing.
var Defaults = Case{
	Hook: abi.HookMessage,
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

// Sender is c.From as the server has it: empty for the null reverse-path.
func (c *Case) Sender() string {
	if c.From == "<>" {
		return ""
	}
	return c.From
}

// WithDefaults is c with the values of [Defaults] where it says nothing.
func (c Case) WithDefaults() Case {
	d := Defaults
	if c.Hook == "" {
		c.Hook = d.Hook
	}
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

// Recipients are the forward-paths with all that is known of them.
func (c *Case) Recipients() []host.Recipient {
	rcpts := make([]host.Recipient, len(c.To))
	for i, to := range c.To {
		r := c.Known[to]
		r.Address, r.Origin = to, i
		if r.Original == "" {
			r.Original = to
		}
		rcpts[i] = r
	}
	return rcpts
}

// Services are what a plugin has beside the message in a test. One of them is
// for one run of a case.
type Services struct {
	KV      *KV
	DNS     DNS
	Metrics *Metrics
	Clock   func() time.Time
}

// Services are those that a case begins with.
func (c *Case) Services() Services {
	clock := func() time.Time { return c.Now }
	return Services{KV: NewKV(c.KV, clock), DNS: c.DNS, Metrics: &Metrics{}, Clock: clock}
}
