package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/disk"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// A Run is one scenario played against one kind of store.
type Run struct {
	Scenario *Scenario
	Store    string
	Seed     uint64
	Times    int
	Dir      string // all that the run writes
	Binary   string // mta
	Brief    bool   // what takes a minute takes seconds

	Ledger *Ledger
	Nodes  []*Node
	Sinks  []*Sink

	random     *rand.Rand // of the faults
	clients    *clients
	looked     map[string]bool   // message files that are in the ledger
	queue      string            // lines below `queue:` in pipeline.yaml
	disk       *loopDisk         // that holds the state of the nodes; nil: the folder of the run does
	env        []string          // of the nodes
	redisDisk  *loopDisk         // that holds what redis has; nil: the folder of the run does
	redis      *redistest.Server // nil: there is none, or more than one
	replicated *redistest.Replicated
	cluster    *redistest.Cluster
	proxy      *proxy        // before redis
	late       time.Duration // of sinks that answer late
	cleanup    []func()

	files func(disk.FS) disk.FS         // in the first life of an inside; for tests
	store func(queue.Store) queue.Store // likewise
}

// relayTimeout is what the nodes give a next hop for each reply.
const relayTimeout = 2 * time.Second

// Play plays the scenario. An error says that it could not be played; what the
// server did wrong is in the result.
func (r *Run) Play(ctx context.Context) (*Result, error) {
	started := time.Now()
	result := &Result{Scenario: r.Scenario.Name, What: r.Scenario.What, Store: r.Store, Seed: r.Seed}
	r.Ledger = newLedger()
	r.random = random(r.Seed, r.Scenario.Name+r.Store)
	r.looked = map[string]bool{}
	if r.Scenario.Inside != nil {
		err := r.Scenario.Inside(ctx, r, result)
		result.Took = time.Since(started).Round(time.Millisecond)
		return result, err
	}
	defer r.end()
	if err := r.prepare(); err != nil {
		return nil, err
	}
	err := r.underLoad(ctx, result)
	if err != nil {
		return nil, err
	}
	if err := r.account(ctx, result); err != nil {
		return nil, err
	}
	result.Took = time.Since(started).Round(time.Millisecond)
	return result, nil
}

// prepare starts the next hops and the nodes.
func (r *Run) prepare() error {
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return err
	}
	quirks := append([]Quirk{{At: "ok"}, {At: "fine"}}, r.Scenario.Quirks...)
	if r.Scenario.Load.Refused {
		quirks = append(quirks, Quirk{At: "rcpt", Do: "5xx", Share: 1})
	}
	for _, q := range quirks {
		if err := r.sink(strings.TrimSuffix(q.Name(), "-")+".test", q); err != nil {
			return err
		}
	}
	if err := r.sink(senderDomain, Quirk{}); err != nil {
		return err
	}
	if prepare := stores[r.Store].prepare; prepare != nil {
		if err := prepare(r); err != nil {
			return err
		}
	}
	if r.Scenario.Prepare != nil {
		if err := r.Scenario.Prepare(r); err != nil {
			return err
		}
	}
	for i := range max(r.Scenario.Nodes, 1) {
		n, err := r.node(i)
		if err != nil {
			return err
		}
		if err := n.start(); err != nil {
			return err
		}
	}
	return nil
}

func (r *Run) sink(domain string, q Quirk) error {
	s, err := newSink(domain, q, 2*relayTimeout, r.Ledger, r.random.Uint64())
	if err != nil {
		return err
	}
	r.Sinks = append(r.Sinks, s)
	switch q.Do {
	case "hang", "late", "never":
		r.Ledger.hanging[domain] = true
	}
	return nil
}

// node writes the configuration of one server.
func (r *Run) node(i int) (*Node, error) {
	n := &Node{Name: fmt.Sprintf("n%d.test", i), Dir: filepath.Join(r.Dir, fmt.Sprintf("n%d", i)), binary: r.Binary, ledger: r.Ledger, env: r.env}
	if err := os.MkdirAll(n.Dir, 0o700); err != nil {
		return nil, err
	}
	n.State = filepath.Join(n.Dir, "var")
	if r.disk != nil {
		n.State = filepath.Join(r.disk.dir, n.Name)
	}
	r.Nodes = append(r.Nodes, n)
	return n, os.WriteFile(filepath.Join(n.Dir, "pipeline.yaml"), []byte(r.yaml(n)), 0o600)
}

// soon is the schedule of all retries: a run lasts seconds.
const soon = "{first: 1s, factor: 1.5, max: 3s}"

// password is the hash of one that nobody uses.
const password = `"$argon2id$v=19$m=19456,t=2,p=1$Qy6w9AGYGLI934WB9qduvQ$U+Pis8LBtGfGwgfzo/34LqBOoe+pJneAqEELqsbq0lc"`

func (r *Run) yaml(n *Node) string {
	var b strings.Builder
	fmt.Fprintf(&b, "hostname: %s\nstate: %s\nlisten: {smtp: [127.0.0.1:0]}\n", n.Name, n.State)
	fmt.Fprintf(&b, "domains: {mail.test: {deliver: mailbox}}\naccounts:\n")
	for _, account := range mailboxes {
		fmt.Fprintf(&b, "  %s: {password: %s}\n", account, password)
	}
	fmt.Fprintf(&b, "relay:\n  allow: [127.0.0.0/8]\n  timeout: %v\n  final_timeout: %v\n  routes:\n", relayTimeout, relayTimeout)
	for _, s := range r.Sinks {
		fmt.Fprintf(&b, "    %s: smtp://%s\n", s.Domain, s.Addr())
	}
	fmt.Fprintf(&b, "queue:\n  retry: %s\n  retry_on: {timeout: %[1]s, tls: %[1]s, greylisted: %[1]s, full: %[1]s}\n%s", soon, r.queue)
	if r.Store == Redis {
		fmt.Fprintf(&b, "  node: %s\n", n.Name)
	}
	b.WriteString("pipeline: []\nlog: {level: info, format: json}\n")
	return b.String()
}

// underLoad makes the fault happen again and again while clients send.
func (r *Run) underLoad(ctx context.Context, result *Result) error {
	load := r.Scenario.Load.withDefaults()
	r.clients = &clients{load: load, ledger: r.Ledger, nodes: r.Nodes, seed: r.Seed}
	for _, s := range r.Sinks {
		if s.Domain != senderDomain {
			r.clients.domains = append(r.clients.domains, s.Domain)
		}
	}
	r.clients.start(ctx)
	defer r.clients.end()
	for i := range r.Times {
		if err := r.await(ctx, load.Between/3+r.random.IntN(load.Between)); err != nil {
			return err
		}
		if err := r.shared(ctx); err != nil {
			return err
		}
		time.Sleep(upTo(r.random, 4*time.Millisecond)) // so that the moment falls anywhere between two answers
		if r.Scenario.Fault == nil {
			continue
		}
		if err := r.Scenario.Fault(r, i); err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
		result.Times++
	}
	return r.await(ctx, load.Between/3) // it serves again
}

// serveTime is how long it may take, after a fault is over, until messages are
// answered 250 again.
const serveTime = 90 * time.Second

// await waits until n more messages were answered 250.
func (r *Run) await(ctx context.Context, n int) error {
	want := r.Ledger.Accepted() + n
	deadline := time.Now().Add(serveTime)
	for r.Ledger.Accepted() < want {
		if time.Now().After(deadline) {
			return fmt.Errorf("within %v not %d messages were answered 250\n%s", serveTime, n, r.Nodes[0].tail())
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// shared waits until all nodes use Redis again: a fault of something that nobody
// uses shows nothing.
func (r *Run) shared(ctx context.Context) error {
	deadline := time.Now().Add(serveTime)
	for !r.sharing() {
		if time.Now().After(deadline) {
			return fmt.Errorf("within %v not all nodes used Redis again\n%s", serveTime, r.Nodes[0].tail())
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// sharing tells whether each node uses what the queue is kept in.
func (r *Run) sharing() bool {
	return r.Store != Redis || !slices.ContainsFunc(r.Nodes, func(n *Node) bool { return !n.sharing() })
}

// account lets everything arrive, and draws the balance.
func (r *Run) account(ctx context.Context, result *Result) error {
	if r.Scenario.Heal != nil {
		if err := r.Scenario.Heal(r); err != nil {
			return err
		}
	}
	for _, s := range r.Sinks {
		s.heal()
	}
	q, err := r.drain(ctx, result)
	if err != nil {
		return err
	}
	for _, n := range r.Nodes {
		if err := n.stop(); err != nil {
			result.violation("%v", err)
		}
	}
	for _, s := range r.Sinks {
		s.close()
	}
	if err := r.look(); err != nil {
		return err
	}
	r.Ledger.settle(result, q)
	r.bounds(result)
	if r.Scenario.Check != nil {
		r.Scenario.Check(r, result)
	}
	return nil
}

func (r *Run) look() error {
	for _, n := range r.Nodes {
		if err := r.lookIntoMailboxes(n); err != nil {
			return err
		}
	}
	return nil
}

// settleTime is how long the servers have, after the last fault, until all that
// they promised has left the queue.
const settleTime = 2 * time.Minute

// drain waits until the queue is empty: then nothing more can arrive. What does
// not leave it is a violation unless it is held, for nothing else keeps it there.
func (r *Run) drain(ctx context.Context, result *Result) (queued, error) {
	deadline := time.Now().Add(settleTime)
	for empty := 0; empty < 3 && time.Now().Before(deadline); { // the looks at several nodes are not one
		whole := r.sharing()
		n, err := r.left()
		if err != nil {
			return queued{}, err
		}
		if empty++; n > 0 || !whole || !r.sharing() {
			empty = 0
		}
		if err := ctx.Err(); err != nil {
			return queued{}, err
		}
		time.Sleep(50 * time.Millisecond)
	}
	q, err := stored(r.Nodes)
	if n := q.waiting(); n > 0 {
		result.violation("stuck: %d recipients are still in the queue %v after the last fault", n, settleTime)
	}
	return q, err
}

// left is how many messages are in the queue and not held.
func (r *Run) left() (n int, err error) {
	for _, node := range r.Nodes {
		messages, err := list(node)
		if err != nil {
			return 0, err
		}
		for _, m := range messages {
			if m.Held == "" {
				n++
			}
		}
	}
	return n, nil
}

// Bounds of one node: far above what the load needs, far below a leak.
const (
	maxRSS   = 1 << 30
	maxFiles = 1000
)

func (r *Run) bounds(result *Result) {
	for _, n := range r.Nodes {
		result.Peak, result.Files = max(result.Peak, n.rss), max(result.Files, n.files)
		for _, line := range n.panics {
			result.violation("%s said: %s", n.Name, line)
		}
	}
	if result.Peak > maxRSS {
		result.violation("memory: %d octets", result.Peak)
	}
	if result.Files > maxFiles {
		result.violation("%d open files", result.Files)
	}
}

// end leaves no process, no socket and no mount behind.
func (r *Run) end() {
	for _, n := range r.Nodes {
		n.end(os.Kill)
	}
	for _, s := range r.Sinks {
		s.close()
	}
	for i := len(r.cleanup) - 1; i >= 0; i-- {
		r.cleanup[i]()
	}
}
