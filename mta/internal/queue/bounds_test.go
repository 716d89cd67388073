package queue_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// within is how many of at there are at most in any stretch of that length.
func within(at []time.Duration, stretch time.Duration) (most int) {
	for i := range at {
		n := 0
		for _, t := range at[i:] {
			if t < at[i]+stretch {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

func TestRateOfANextHop(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.q.NextHops = []queue.NextHop{{Pattern: "*.example", Rate: queue.Rate{Messages: 100, Per: time.Minute}, Concurrency: 4}}
		w.behave("slow.example", takes(time.Second))
		w.backlog(500, "slow.example")
		w.run()
		for range 50 {
			w.enqueue("bob@slow.example")
		}
		time.Sleep(7 * time.Minute)
		at := w.times(w.calls, "slow.example")
		if len(at) != 550 || within(at, time.Minute) > 110 {
			t.Errorf("%d messages, up to %d in a minute; want 550 and 110", len(at), within(at, time.Minute))
		}
		if most := w.most["slow.example"]; most > 4 {
			t.Errorf("%d attempts at once", most)
		}
	})
}

// limits is what nodes share in tests.
type limits struct {
	mu     sync.Mutex
	places map[string]map[*node]grant // by lane
	spent  map[string][]time.Time
	away   error
	asked  int
	most   int // places that were taken at once
}

type grant struct {
	n     int
	until time.Time
}

// A node is one queue's view of limits.
type node struct{ *limits }

func (n *node) Take(_ context.Context, lane string, want, most int, until time.Time) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	if n.away != nil {
		return 0, n.away
	}
	if n.places[lane] == nil {
		n.places[lane] = map[*node]grant{}
	}
	others := 0
	for other, g := range n.places[lane] {
		if other != n && g.until.After(time.Now()) {
			others += g.n
		}
	}
	got := max(min(want, most-others), 0)
	n.places[lane][n] = grant{got, until}
	n.limits.most = max(n.limits.most, others+got)
	return got, nil
}

func (n *node) Give(_ context.Context, lane string, left int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	g := n.places[lane][n]
	g.n = left
	n.places[lane][n] = g
	return nil
}

func (n *node) Spend(_ context.Context, lane string, want int, rate queue.Rate) (int, time.Time, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	now := time.Now()
	recent := slices.DeleteFunc(n.spent[lane], func(at time.Time) bool { return at.Before(now.Add(-rate.Per)) })
	got := max(min(want, rate.Messages-len(recent)), 0)
	for range got {
		recent = append(recent, now)
	}
	n.spent[lane] = recent
	next := now
	if got < want {
		next = recent[0].Add(rate.Per + 1)
	}
	return got, next, nil
}

// Two nodes have the limits of a next hop together, and ask about them now and
// then only. When nobody answers they go on, each by its own limits.
func TestNodesShareLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &limits{places: map[string]map[*node]grant{}, spent: map[string][]time.Time{}}
		store := newMemory()
		var mu sync.Mutex
		active, most, done := 0, 0, 0
		count := func(ctx context.Context) mail.Result {
			mu.Lock()
			active++
			done++
			most = max(most, active)
			mu.Unlock()
			r := takes(time.Second)(ctx)
			mu.Lock()
			active--
			mu.Unlock()
			return r
		}
		counted := func() (int, int) {
			mu.Lock()
			defer mu.Unlock()
			return most, done
		}
		var worlds []*world
		for range 2 {
			w := &world{t: t, store: store}
			w.open(store)
			w.q.Limits = &node{shared}
			w.q.NextHops = []queue.NextHop{{Pattern: "slow.example", Concurrency: 8}}
			w.behave("slow.example", count)
			worlds = append(worlds, w)
		}
		worlds[0].backlog(2000, "slow.example")
		for _, w := range worlds {
			w.run()
		}
		time.Sleep(2 * time.Minute)
		peak, before := counted()
		if peak > 8 || before < 600 {
			t.Errorf("up to %d attempts at once on both nodes, %d in all", peak, before)
		}
		shared.mu.Lock()
		if shared.asked > before/2 {
			t.Errorf("%d questions for %d messages", shared.asked, before)
		}
		shared.away = errors.New("away")
		shared.mu.Unlock()
		time.Sleep(time.Minute)
		if peak, after := counted(); after-before < 600 || peak > 16 {
			t.Errorf("while nobody answers: %d attempts, up to %d at once", after-before, peak)
		}
		for _, w := range worlds {
			w.stop()
		}
	})
}

func TestNodesShareARate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		shared := &limits{places: map[string]map[*node]grant{}, spent: map[string][]time.Time{}}
		w.q.Limits = &node{shared}
		w.q.NextHops = []queue.NextHop{{Pattern: "*", Rate: queue.Rate{Messages: 30, Per: time.Minute}}}
		w.backlog(100, "slow.example")
		w.run()
		time.Sleep(200 * time.Second)
		if at := w.times(w.calls, "slow.example"); len(at) != 100 || within(at, time.Minute) > 33 {
			t.Errorf("%d messages, up to %d in a minute", len(at), within(at, time.Minute))
		}
		w.stop()
		for lane, places := range shared.places {
			if g := places[w.q.Limits.(*node)]; g.n != 0 && g.until.After(time.Now()) {
				t.Errorf("%d places at %s are kept", g.n, lane)
			}
		}
	})
}

// The limit of a lane shrinks when its next hop has too much to do, once for all
// attempts that were under way together.
func TestAStrainedNextHopGetsLess(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.behave("busy.example", takes(time.Second))
		w.backlog(100_000, "busy.example")
		w.run()
		time.Sleep(time.Minute)
		if l := w.lane("busy.example"); l.Limit != queue.DefaultLaneLimit {
			t.Fatalf("the lane is %+v", l)
		}
		w.behave("busy.example", func(ctx context.Context) mail.Result { return after(ctx, time.Second, strained) })
		time.Sleep(2100 * time.Millisecond) // those under way got through
		if l := w.lane("busy.example"); l.Limit > queue.DefaultLaneLimit/2 || l.Limit < 5 || l.State != queue.LaneOpen {
			t.Errorf("after a second the lane is %+v", l)
		}
		time.Sleep(10 * time.Second)
		if l := w.lane("busy.example"); l.Limit != 1 || l.State != queue.LaneOpen {
			t.Errorf("after ten seconds the lane is %+v", l)
		}
		w.behave("busy.example", takes(time.Second))
		time.Sleep(5 * time.Minute)
		if l := w.lane("busy.example"); l.Limit != queue.DefaultLaneLimit {
			t.Errorf("once it is well again the lane is %+v", l)
		}
	})
}

// One attempt that is turned away while others get through does not close a lane.
func TestALaneThatOthersGetThroughIsNotDown(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		n := 0
		w.behave("some.example", func(ctx context.Context) mail.Result {
			w.mu.Lock()
			n++
			turned := n%10 == 0
			w.mu.Unlock()
			if turned {
				return after(ctx, time.Second, unreached)
			}
			return after(ctx, 500*time.Millisecond, relayed)
		})
		w.backlog(2000, "some.example")
		w.run()
		time.Sleep(time.Minute)
		synctest.Wait()
		if strings.Contains(w.log.String(), "next hop down") {
			t.Error("the next hop counts as down")
		}
		if got := len(w.times(w.got, "some.example")); got < 300 {
			t.Errorf("%d messages arrived", got)
		}
	})
}

// What waits in memory for its first attempt is bounded in octets, and what is
// over is read from the store.
func TestContentsInMemoryAreBounded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const size = 100 << 10
		w.q.Concurrency, w.q.WindowSize = 1, 10*size
		release := make(chan struct{})
		w.behave("crepes.fr", func(ctx context.Context) mail.Result { <-release; return relayed })
		w.run()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range 200 {
			tx := transaction("alice@crepes.fr", "bob@crepes.fr")
			tx.Content = mail.Bytes(fmt.Sprintf("A: %d\r\n\r\n%s", i, strings.Repeat("x", size)))
			w.store.forget = true // its memory is not the queue's
			if err := w.q.Enqueue(ctx, tx); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grew := int64(after.HeapAlloc) - int64(before.HeapAlloc); grew > 20*size {
			t.Errorf("200 messages of %d octets take %d in memory", size, grew)
		}
		close(release)
		if got := w.times(w.got, "crepes.fr"); len(got) != 200 {
			t.Errorf("%d arrived", len(got))
		}
	})
}

// A million messages that wait cost the queue nothing: not in memory, not in
// goroutines.
func TestAMillionMessages(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	inWorld(t, func(t *testing.T, w *world) {
		const n = 1_000_000
		store := &bottomless{memory: w.store, left: map[string]int{}}
		for i := range 1000 {
			domain := fmt.Sprintf("d%d.example", i)
			store.left[domain] = n / 1000
			w.behave(domain, silent)
		}
		w.q.Store = store
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		w.run()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		goroutines := runtime.NumGoroutine()
		runtime.GC()
		runtime.ReadMemStats(&after)
		if goroutines > queue.DefaultConcurrency*3 { // one for the attempt, two of the test's own for it
			t.Errorf("%d goroutines", goroutines)
		}
		if grew := int64(after.HeapAlloc) - int64(before.HeapAlloc); grew > 20<<20 {
			t.Errorf("it takes %d octets", grew)
		}
		if store.given == 0 || store.given > 5000 {
			t.Errorf("%d entries were claimed", store.given)
		}
	})
}

// bottomless is a store with more than one would put into memory: it makes entries
// as they are claimed.
type bottomless struct {
	*memory
	left   map[string]int // by lane
	before map[string]time.Time
	given  int
}

func (s *bottomless) Claim(ctx context.Context, now, until time.Time, most int, pick queue.Pick) ([]*queue.Entry, error) {
	if s.before == nil {
		s.before = map[string]time.Time{}
	}
	for lane := range s.left {
		if s.left[lane] == 0 || s.before[lane].After(now) {
			continue
		}
		n, before := pick(lane)
		if s.before[lane] = before; n <= 0 {
			continue
		}
		for range min(n, s.left[lane]) {
			s.left[lane]--
			s.given++
			e := &queue.Entry{
				ID: mail.NewQueueID(now), Received: now, Due: now, Lane: lane, Size: 1,
				Envelope: mail.Envelope{Recipients: []mail.Recipient{{Path: mail.Path{Local: "bob", Domain: lane}}}},
			}
			if err := s.memory.Put(ctx, e, mail.Bytes("x"), time.Time{}); err != nil {
				return nil, err
			}
		}
	}
	return s.memory.Claim(ctx, now, until, most, nil)
}
