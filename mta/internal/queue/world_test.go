package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// A world is a queue over a store in memory, whose next hops are the domains of
// recipients and behave as the test says. It lives in one synctest bubble.
type world struct {
	t     *testing.T
	store *memory
	q     *queue.Queue
	log   *bytes.Buffer
	start time.Time
	stop  func() // of Run; waits for it

	mu     sync.Mutex
	hops   map[string]hop // by domain; those that are not here take everything
	active map[string]int // attempts under way
	most   map[string]int // the most there were
	calls  map[string][]time.Duration
	got    map[string][]time.Duration // messages taken
	dsns   []attempt
}

// A hop is what an attempt at a next hop comes to, and how long it takes.
type hop func(ctx context.Context) mail.Result

var (
	unreached = mail.Result{Outcome: mail.Deferred, NextHop: "mx:25", Code: 451, Enh: "4.4.1", Text: "connect to mx:25: connection refused", Unreached: true}
	strained  = mail.Result{Outcome: mail.Deferred, NextHop: "mx:25", Code: 421, Enh: "4.3.2", Text: "too many", Peer: true, Strained: true}
)

// takes is a next hop that takes a message within a time.
func takes(d time.Duration) hop {
	return func(ctx context.Context) mail.Result { return after(ctx, d, relayed) }
}

// silent is a next hop that never answers.
func silent(ctx context.Context) mail.Result {
	return after(ctx, 5*time.Minute, mail.Result{
		Outcome: mail.Deferred, Code: 451, Enh: "4.4.1", Text: "connect to mx:25: timed out", Unreached: true, Err: context.DeadlineExceeded,
	})
}

func down(context.Context) mail.Result { return unreached }

func after(ctx context.Context, d time.Duration, r mail.Result) mail.Result {
	select {
	case <-time.After(d):
		return r
	case <-ctx.Done():
		return mail.Result{Outcome: mail.Deferred, Err: ctx.Err()}
	}
}

func inWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, store: newMemory()}
		w.open(w.store)
		defer func() {
			if w.stop != nil {
				w.stop()
			}
		}()
		f(t, w)
	})
}

func (w *world) open(store queue.Store) {
	w.log, w.start = &bytes.Buffer{}, time.Now()
	w.hops, w.active, w.most = map[string]hop{}, map[string]int{}, map[string]int{}
	w.calls, w.got = map[string][]time.Duration{}, map[string][]time.Duration{}
	w.q = &queue.Queue{
		Store: store, Deliverer: w, Hostname: "crepes.fr", WarnAfter: 4 * time.Hour,
		Log:    slog.New(slog.NewTextHandler(&lockedWriter{w: w.log}, nil)),
		Random: func() float64 { return 0.5 }, // no jitter
		Lane: func(rcpt *mail.Recipient) string {
			if rcpt.Path.Domain == "crepes.fr" {
				return ""
			}
			return rcpt.Path.Domain
		},
	}
}

func (w *world) run() {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		w.q.Run(ctx)
		close(done)
	}()
	w.stop = func() {
		cancel()
		<-done
		w.stop = nil
	}
	synctest.Wait()
}

// behave has a next hop behave otherwise from now on.
func (w *world) behave(domain string, h hop) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hops[domain] = h
}

// Deliver implements mail.Deliverer.
func (w *world) Deliver(ctx context.Context, m *mail.Message) []mail.Result {
	results := make([]mail.Result, len(m.Envelope.Recipients))
	byDomain := map[string][]int{}
	for i, rcpt := range m.Envelope.Recipients {
		byDomain[rcpt.Path.Domain] = append(byDomain[rcpt.Path.Domain], i)
	}
	var wg sync.WaitGroup
	for domain, places := range byDomain {
		wg.Go(func() {
			r := w.deliver(ctx, m, domain)
			for _, i := range places {
				results[i] = r
			}
		})
	}
	wg.Wait()
	return results
}

func (w *world) deliver(ctx context.Context, m *mail.Message, domain string) mail.Result {
	w.mu.Lock()
	w.active[domain]++
	w.most[domain] = max(w.most[domain], w.active[domain])
	w.calls[domain] = append(w.calls[domain], time.Since(w.start))
	h := w.hops[domain]
	w.mu.Unlock()
	r := relayed
	if h != nil {
		r = h(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active[domain]--
	if r.Outcome == mail.Relayed {
		w.got[domain] = append(w.got[domain], time.Since(w.start))
	}
	if m.Envelope.ReversePath.IsNull() {
		octets, _ := mail.ReadAll(m.Content)
		w.dsns = append(w.dsns, attempt{at: time.Since(w.start), content: string(octets)})
	}
	return r
}

// times is what w.got or w.calls has of a domain.
func (w *world) times(of map[string][]time.Duration, domain string) []time.Duration {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(of[domain])
}

// told counts the DSNs with an action, and says when the first and the last came.
func (w *world) told(action string) (n int, first, last time.Duration) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.dsns {
		if field(d.content, "Action") != action {
			continue
		}
		if n == 0 {
			first = d.at
		}
		n, last = n+1, d.at
	}
	return n, first, last
}

func (w *world) enqueue(to ...string) mail.QueueID {
	w.t.Helper()
	tx := transaction("alice@crepes.fr", to...)
	if err := w.q.Enqueue(ctx, tx); err != nil {
		w.t.Fatalf("enqueue: %v", err)
	}
	return tx.ID
}

// backlog puts n messages for a domain into the store, as if they had been there
// when the server started. Each is from another sender.
func (w *world) backlog(n int, domain string) {
	w.t.Helper()
	now := time.Now()
	for i := range n {
		e := &queue.Entry{
			ID: mail.NewQueueID(now.Add(time.Duration(i) * time.Millisecond)), Received: now, Due: now, Lane: domain, Size: int64(len(crepe)),
			Envelope: mail.Envelope{
				ReversePath: mail.Path{Local: fmt.Sprint("sender", i), Domain: "crepes.fr"},
				Recipients:  []mail.Recipient{{Path: mail.Path{Local: "bob", Domain: domain}}},
			},
		}
		if err := w.store.Put(ctx, e, mail.Bytes(crepe), time.Time{}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// lane is how a lane stands.
func (w *world) lane(name string) queue.LaneStatus {
	synctest.Wait()
	for _, l := range w.q.Lanes() {
		if l.Lane == name {
			return l
		}
	}
	w.t.Errorf("no lane %q", name)
	return queue.LaneStatus{}
}

func (w *world) left() queue.Stats {
	synctest.Wait()
	s, err := w.q.Stats(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}
