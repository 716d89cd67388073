package shared

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// TestEveryMessageIsAccountedFor has nodes accept and deliver messages while
// everything between them and Redis goes wrong, at random. In the end all is
// well for long enough, and then each message that was answered 250 has been
// delivered: once, or more often if this package said that it may be.
func TestEveryMessageIsAccountedFor(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var stopped any // rapid ends a test by a panic, which has to leave the bubble
		synctest.Test(t, func(*testing.T) {
			defer func() { stopped = recover() }()
			w := newWorld(rt, 2)
			defer w.stop()
			rt.Repeat(map[string]func(*rapid.T){
				"accept":  w.accept,
				"attempt": w.attempt,
				"fault":   w.fault,
				"late":    w.arriveLate,
				"restart": w.restart,
				"flush":   w.flush,
				"wait":    w.wait,
			})
			w.heal()
			w.account()
		})
		if stopped != nil {
			panic(stopped)
		}
	})
}

// A world is some nodes, one Redis, and what became of each message.
type world struct {
	rt     *rapid.T
	server *server
	nodes  []*node
	open   sync.WaitGroup // attempts

	mu        sync.Mutex
	accepted  map[mail.QueueID]string // and by whom
	delivered map[mail.QueueID]int
	excused   map[mail.QueueID]string // those that may be delivered twice, and why
	flushes   int
	events    []string
	next      int
}

// note remembers an event, for those who read how a test failed.
func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, time.Now().Format("15:04:05 ")+fmt.Sprintf(format, args...))
}

func newWorld(rt *rapid.T, nodes int) *world {
	w := &world{
		rt: rt, server: newServer(),
		accepted: map[mail.QueueID]string{}, delivered: map[mail.QueueID]int{}, excused: map[mail.QueueID]string{},
	}
	for i := range nodes {
		n := &node{t: rt, server: w.server, redis: w.server.connect(), spool: newMemory(), copies: newMemory()}
		n.log = slog.New(excuses{w, i})
		n.open()
		n.run()
		w.nodes = append(w.nodes, n)
	}
	return w
}

func (w *world) stop() {
	for _, n := range w.nodes {
		n.stop()
	}
	w.open.Wait()
}

func (w *world) node(rt *rapid.T) *node {
	return w.nodes[rapid.IntRange(0, len(w.nodes)-1).Draw(rt, "node")]
}

func (w *world) accept(rt *rapid.T) {
	n := w.node(rt)
	e := message()
	w.next++
	e.ID = mail.QueueID(fmt.Sprintf("0MODEL%09d%d", w.next, w.next%10))
	var until time.Time
	if rapid.Bool().Draw(rt, "leased") {
		until = time.Now().Add(lease)
	}
	if err := n.store.Put(ctx, e, mail.Bytes("hello"), until); err != nil {
		rt.Fatalf("put: %v", err)
	}
	w.mu.Lock()
	w.accepted[e.ID] = fmt.Sprint("node ", slices.Index(w.nodes, n))
	w.mu.Unlock()
	w.note("%s is accepted by node %d: %v", e.ID, slices.Index(w.nodes, n), n.places(e.ID))
	if e.Lease.Token != 0 {
		w.deliver(rt, n, e)
	}
}

func (w *world) attempt(rt *rapid.T) {
	n := w.node(rt)
	now := time.Now()
	entries, err := n.store.Claim(ctx, now, now.Add(lease), rapid.IntRange(1, 5).Draw(rt, "max"), nil)
	if err != nil {
		rt.Fatalf("claim: %v", err)
	}
	for _, e := range entries {
		w.deliver(rt, n, e)
	}
}

// deliver has an attempt take some time, while its lease is renewed, and come to
// something.
func (w *world) deliver(rt *rapid.T, n *node, e *queue.Entry) {
	takes := rapid.SampledFrom([]time.Duration{0, 0, time.Second, time.Minute, 5 * time.Minute}).Draw(rt, "takes")
	ends := rapid.SampledFrom([]string{"delivered", "delivered", "deferred", "given back"}).Draw(rt, "ends")
	store := n.store
	w.note("%s is attempted by node %d for %v, token %d: %s", e.ID, slices.Index(w.nodes, n), takes, e.Lease.Token, ends)
	run := func() {
		left := takes
		for ; left > 0; left -= lease / 3 {
			time.Sleep(min(left, lease/3))
			err := store.Extend(ctx, e.ID, e.Lease.Token, time.Now().Add(lease))
			if isLease(err) {
				return // cut off
			}
		}
		switch ends {
		case "given back":
			store.Extend(ctx, e.ID, e.Lease.Token, time.Time{})
			return
		case "deferred":
			e.Attempts++
			e.Due = time.Now().Add(time.Minute)
		default:
			w.mu.Lock()
			w.delivered[e.ID]++
			w.mu.Unlock()
			w.note("%s is delivered by node %d", e.ID, slices.Index(w.nodes, n))
			e.Envelope.Recipients = nil
		}
		for range 100 {
			err := store.Conclude(ctx, e, nil)
			if err == nil {
				return
			}
			if n.store != store { // the process died before it was written down
				w.excuse(e.ID, "a crash")
				return
			}
			if isLease(err) {
				w.excuse(e.ID, "the lease was lost after it was delivered")
				return
			}
			time.Sleep(10 * time.Second)
		}
		w.rt.Errorf("the end of an attempt could not be written: %s", e.ID)
	}
	if takes == 0 {
		run()
		return
	}
	w.open.Go(run)
}

func (w *world) excuse(id mail.QueueID, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.excused[id] = why
}

func (w *world) fault(rt *rapid.T) {
	n := w.node(rt)
	kinds := []fault{works, works, away, lostReply, lostCall, lateCall, slow, full, readOnly, unsafe}
	kind := rapid.SampledFrom(kinds).Draw(rt, "fault")
	n.redis.set(kind)
	w.note("fault %d at node %d", kind, slices.Index(w.nodes, n))
}

func (w *world) arriveLate(rt *rapid.T) { w.node(rt).redis.arriveLate() }

// restart is a crash. Attempts that are under way at that moment do not exist
// any more for the new process; what they still write is refused.
func (w *world) restart(rt *rapid.T) {
	n := w.node(rt)
	w.note("restart of node %d", slices.Index(w.nodes, n))
	n.stop()
	w.open.Wait() // a process that is gone delivers nothing
	n.spool.restart()
	n.copies.restart()
	n.open()
	n.run()
	synctest.Wait()
}

func (w *world) flush(rt *rapid.T) {
	if w.flushes > 1 || rapid.IntRange(0, 3).Draw(rt, "flush") > 0 {
		rt.Skip()
	}
	w.flushes++
	w.note("flush")
	w.server.flush()
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.accepted {
		if w.excused[id] == "" {
			w.excused[id] = "redis lost everything"
		}
	}
}

func (w *world) wait(rt *rapid.T) {
	time.Sleep(rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Second, time.Minute, 6 * time.Minute}).Draw(rt, "wait"))
	synctest.Wait()
}

// heal ends all faults and has the nodes work until nothing is left to do.
func (w *world) heal() {
	for _, n := range w.nodes {
		n.redis.set(works)
		n.redis.arriveLate()
	}
	w.open.Wait()
	for range 20 {
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, n := range w.nodes {
			for _, e := range n.claim() {
				w.delivered[e.ID]++
				w.note("%s is delivered in the end, token %d: %v", e.ID, e.Lease.Token, n.places(e.ID))
				if err := n.store.Remove(ctx, e); err != nil {
					w.rt.Fatalf("remove %s: %v", e.ID, err)
				}
			}
		}
	}
}

// account tells what went wrong, with all that happened: goroutines make each run
// another.
func (w *world) account() {
	w.mu.Lock()
	defer w.mu.Unlock()
	var wrong []string
	for id, by := range w.accepted {
		switch n := w.delivered[id]; {
		case n == 0:
			wrong = append(wrong, fmt.Sprintf("%s, accepted by %s, is lost; it is in %v and %v", id, by, w.nodes[0].places(id), w.nodes[1].places(id)))
		case n > 1 && w.excused[id] == "":
			wrong = append(wrong, fmt.Sprintf("%s, accepted by %s, was delivered %d times", id, by, n))
		}
	}
	for i, n := range w.nodes {
		if state, _ := n.store.link.now(); state != OK {
			wrong = append(wrong, fmt.Sprintf("node %d is %s", i, state))
		}
		for name, m := range map[string]*memory{"spool": n.spool, "copies": n.copies} {
			for id, e := range m.entries {
				wrong = append(wrong, fmt.Sprintf("%s is left in the %s of node %d: %+v", id, name, i, e.Twin))
			}
		}
	}
	if len(wrong) > 0 {
		w.rt.Fatalf("%s\n%s", strings.Join(wrong, "\n"), strings.Join(w.events, "\n"))
	}
}

func isLease(err error) bool { return errors.Is(err, queue.ErrLease) }

// excuses is a log that notes which messages this package says to be doubled
// perhaps.
type excuses struct {
	w    *world
	node int
}

func (x excuses) Enabled(context.Context, slog.Level) bool { return true }
func (x excuses) WithAttrs([]slog.Attr) slog.Handler       { return x }
func (x excuses) WithGroup(string) slog.Handler            { return x }

func (x excuses) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	x.w.note("node %d: %s", x.node, text)
	if r.Message != "doubt expired" && r.Message != "lease lost" && r.Message != "doubled" {
		return nil
	}
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "queue_id" {
			x.w.excuse(mail.QueueID(a.Value.String()), r.Message)
		}
		return true
	})
	return nil
}
