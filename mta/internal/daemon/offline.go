package daemon

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/offline"
	"github.com/wasmta/wasmta/mta/internal/postqueue"
	"github.com/wasmta/wasmta/mta/internal/wasm"
	"github.com/wasmta/wasmta/sdk/host"
	"github.com/wasmta/wasmta/sdk/testcase"
)

// An Offline is the pipeline of a file without its server, which takes
// messages through it. It is not safe for concurrent use.
type Offline struct {
	*offline.Runner
	Config  *config.Config
	runtime *wasm.Runtime
	start   time.Time
	clock   time.Time
	random  *rand.ChaCha8
	stores  map[string]*testcase.KV // by the plugin's name
	dns     testcase.DNS
}

// OpenOffline reads a file and loads its pipeline. Everything that differs from
// run to run in a server is the same here: the clock stands at a time, random
// octets are those of a seed. What is wrong with the file is
// [config.Findings]. The log is told what is built.
func OpenOffline(ctx context.Context, file string, now time.Time, log *slog.Logger) (*Offline, error) {
	cfg, findings := config.Load(file, deskOptions())
	if len(findings) > 0 {
		return nil, findings
	}
	if err := makeFolders(cfg.State); err != nil {
		return nil, err
	}
	o := &Offline{Config: cfg, start: now, clock: now, random: rand.NewChaCha8(seed), stores: map[string]*testcase.KV{}, dns: testcase.DNS{}}
	recorder := &offline.Recorder{Rest: log.Handler(), Remembered: o.remembered}
	o.Runner = &offline.Runner{Recorder: recorder, Hostname: cfg.Hostname, Now: o.now, Where: o.where}
	p, runtime, err := loadPipeline(ctx, cfg, surroundings{
		tracer: recorder, log: slog.New(recorder), now: o.now, random: o.random,
		kv: func(plugin string) host.KV { return memory{o, plugin} }, resolver: records{o}, metrics: func(string) host.Metrics { return counts{o} },
	})
	if err != nil {
		return nil, err
	}
	o.runtime, o.Runner.Pipeline = runtime, whole{p}
	o.Runner.Attempt = &postqueue.Deliverer{Next: dry{}, Stages: p.queued, Local: o.local}
	return o, nil
}

// deskOptions check a file as a server does, but for its secrets: nobody logs
// in, and where the file is written and tested they need not be set.
func deskOptions() config.Options {
	opts := configOptions()
	opts.Password = nil
	opts.LookupEnv = func(name string) (string, bool) {
		if v := os.Getenv(name); v != "" {
			return v, true
		}
		return "$argon2id$unset", true // has the form of a hash, and can stand in a URL
	}
	return opts
}

// seed is that of random octets in every run.
var seed [32]byte

func (o *Offline) now() time.Time { return o.clock }

// begin makes the surroundings what they are at the beginning of a test.
func (o *Offline) begin(t *config.Test) {
	o.clock = o.start
	if !t.Now.IsZero() {
		o.clock = t.Now
	}
	o.random.Seed(seed)
	clear(o.stores)
	o.dns = testcase.DNS{}
	for _, r := range t.DNS {
		for _, data := range r.Data {
			o.AddRecord(r.Name, r.Type, data)
		}
	}
}

// AddRecord adds a record to the DNS of the run. It is false for a type that
// is not known.
func (o *Offline) AddRecord(name, word, data string) bool {
	qtype, ok := testcase.DNSType(word)
	if ok {
		o.dns.Add(name, qtype, data)
	}
	return ok
}

// Close gives back what the pipeline has.
func (o *Offline) Close(ctx context.Context) error { return o.runtime.Close(ctx) }

// dry delivers to nobody.
type dry struct{}

// Deliver implements [mail.Deliverer].
func (dry) Deliver(_ context.Context, m *mail.Message) []mail.Result {
	results := make([]mail.Result, len(m.Envelope.Recipients))
	for i := range results {
		results[i].Outcome = mail.Delivered
		if no := m.Envelope.Recipients[i].Refused; no != nil {
			results[i] = mail.Result{Outcome: mail.Bounced, Code: no.Code, Enh: no.Enh, Text: no.Text}
		}
	}
	return results
}

// local is the account that has the mail of a path here. Accounts are not looked
// up: any address of a domain with mailboxes counts as one.
func (o *Offline) local(p mail.Path) string {
	for _, d := range o.Config.Domains {
		if d.Name == strings.ToLower(p.Domain) && d.Deliver.Scheme == "mailbox" {
			name, _, _ := strings.Cut(p.Local, "+")
			return strings.ToLower(name + "@" + p.Domain)
		}
	}
	return ""
}

// where is where a recipient's mail would go: what a stage says, or else the
// file.
func (o *Offline) where(r *mail.Recipient) string {
	if r.Route != nil || r.Deliver != nil || r.Refused != nil {
		return "" // the recipient says so itself
	}
	domain := strings.ToLower(r.Path.Domain)
	for _, d := range o.Config.Domains {
		if d.Name == domain {
			return d.Deliver.String()
		}
	}
	for _, route := range o.Config.Relay.Routes {
		below, wild := strings.CutPrefix(route.Domain, "*")
		if route.Domain == domain || wild && strings.HasSuffix(domain, below) {
			return "relay to " + route.To.String()
		}
	}
	return "nowhere: no route matches"
}
