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
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
	"github.com/wasmta/wasmta/sdk/host"
	"github.com/wasmta/wasmta/sdk/testcase"
)

// A case and what comes of it are those of package testcase, which `mta test`
// reads too.
type (
	Case   = testcase.Case
	Want   = testcase.Want
	Result = testcase.Result
)

// Failed is the verdict of a plugin that gave none.
const Failed = testcase.Failed

// Defaults are what a case has where it says nothing.
var Defaults = testcase.Defaults

// Parse reads a case; see [testcase.Parse].
func Parse(b []byte) (Case, error) { return testcase.Parse(b) }

// ToJSON makes JSON of a configuration; see [testcase.ToJSON].
func ToJSON(text string) ([]byte, error) { return testcase.ToJSON(text) }

// plugin is held while a hook runs: a plugin is one per process.
var plugin sync.Mutex

// Run loads the plugin with a case's configuration and asks its hook. The
// plugin is the one that is linked into the test: its package's init registered
// it. Run holds the result against c.Want if there is one.
func Run(t testing.TB, c Case) Result {
	t.Helper()
	c = c.WithDefaults()
	config, err := ToJSON(c.Config)
	if err != nil {
		t.Fatalf("%s: config: %v", c.Name, err)
	}
	plugin.Lock()
	defer plugin.Unlock()
	if !slices.Contains(guest.Registered(), c.Hook) {
		t.Fatalf("%s: the plugin does not have the hook %s", c.Name, c.Hook)
	}
	r := Result{From: c.Sender(), To: c.Recipients(), Message: c.Message}
	if r.LoadError = load(&c, config, &r); r.LoadError == "" {
		ask(&c, config, &r)
	}
	if c.Want != nil {
		Check(t, c, r)
	}
	return r
}

// Benchmark measures a hook natively, with the host's share of it.
func Benchmark(b *testing.B, c Case) {
	b.Helper()
	c = c.WithDefaults()
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
		Hook: abi.HookLoad, Grants: abi.AllGrants, Config: config, Now: clock(c), Random: zeros{}, Log: r.Logged,
		Context: host.Context{Plugin: "test", Server: host.Server{Name: c.Context.Server.Name}},
	})
	guest.Current = call
	defer func() { guest.Current = nil }()
	result := guest.Run(abi.HookLoad)
	call.Commit()
	switch reply := call.GivenReply(); {
	case result == 0:
		return ""
	case reply != nil:
		return reply.Text
	}
	return "the plugin does not say why"
}

// ask runs the hook.
func ask(c *Case, config []byte, r *Result) {
	services := c.Services()
	call := host.New(input(c, config, services, r))
	guest.Current = call
	defer func() { guest.Current = nil }()
	answer, err := call.Answer(guest.Run(c.Hook))
	r.KV = services.KV.Values()
	if err != nil {
		call.Rollback()
		r.Verdict = Failed
		return
	}
	r.Verdict = answer.Verdict.String()
	r.Reply, r.Reason = answer.Reply, answer.Reason
	r.Take(call.Commit())
	r.Metrics = services.Metrics.Lines()
}

func input(c *Case, config []byte, s testcase.Services, r *Result) host.Input {
	in := host.Input{
		Hook: c.Hook, Grants: abi.AllGrants, Config: config, Context: c.Context,
		Sender: c.Sender(), Recipients: c.Recipients(),
		SessionNotes: c.SessionNotes, Notes: c.Notes, QueuedNotes: c.QueuedNotes,
		Open: func() (host.Message, error) { return open(c.Message) },
		Now:  clock(c), Random: zeros{}, Log: r.Logged,
		KV: s.KV, Resolver: s.DNS, Metrics: s.Metrics,
	}
	in.Context.Plugin = "test"
	return in
}

func clock(c *Case) func() time.Time { return func() time.Time { return c.Now } }

// zeros are the random octets of a test.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
