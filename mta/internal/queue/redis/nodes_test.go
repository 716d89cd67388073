package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// three opens three nodes on one server, whose Run is called until the test ends.
// stop ends one in order, and waits for it.
func three(t *testing.T, server *redistest.Server) (nodes []*Store, stop []func()) {
	t.Helper()
	for i := range 3 {
		s := real(t, Options{URL: server.URL(), Node: fmt.Sprint("node", i), Heartbeat: 20 * time.Millisecond})
		running, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			s.Run(running)
			close(done)
		}()
		end := func() { cancel(); <-done }
		t.Cleanup(end)
		nodes, stop = append(nodes, s), append(stop, end)
	}
	awaitDivided(t, nodes...)
	return nodes, stop
}

// awaitDivided waits until each shard is exactly one node's.
func awaitDivided(t *testing.T, nodes ...*Store) {
	t.Helper()
	await(t, func() bool {
		var owners [mail.Shards]int
		for _, s := range nodes {
			for _, shard := range s.scheduled() {
				owners[shard]++
			}
		}
		for _, n := range owners {
			if n != 1 {
				return false
			}
		}
		return true
	})
}

func TestShardsAreDivided(t *testing.T) {
	nodes, stop := three(t, redistest.New(t, redistest.Options{}))
	before := nodes[1].scheduled()
	for i, s := range nodes {
		if n := len(s.scheduled()); n == 0 || n > 24 {
			t.Errorf("node %d has %d of %d shards", i, n, mail.Shards)
		}
	}
	stop[0]() // the others have its shards, and keep their own
	awaitDivided(t, nodes[1:]...)
	now := map[int]bool{}
	for _, shard := range nodes[1].scheduled() {
		now[shard] = true
	}
	for _, shard := range before {
		if !now[shard] {
			t.Errorf("shard %d changed hands, though its node lives", shard)
		}
	}
}

// All that is queued is claimed once, by whichever node has the shard.
func TestNodesClaimTogether(t *testing.T) {
	nodes, _ := three(t, redistest.New(t, redistest.Options{}))
	const n = 300
	for i := range n {
		must(t, nodes[i%3].Put(ctx, message(), mail.Bytes(hello), time.Time{}))
	}
	var mu sync.Mutex
	claims := map[mail.QueueID]int{}
	by := map[int]int{}
	await(t, func() bool {
		var wg sync.WaitGroup
		for i, s := range nodes {
			wg.Go(func() {
				got, err := s.Claim(ctx, time.Now(), time.Now().Add(lease), 20, nil)
				mu.Lock()
				defer mu.Unlock()
				if err != nil || len(got) > 20 {
					t.Errorf("claimed %d: %v", len(got), err)
				}
				by[i] += len(got)
				for _, e := range got {
					claims[e.ID]++
				}
			})
		}
		wg.Wait()
		return len(claims) == n
	})
	for id, n := range claims {
		if n != 1 {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
	if len(by) != 3 {
		t.Errorf("claims by node: %v", by)
	}
}

// A node that is gone without a word loses its shards after some heartbeats, and
// its entries when their leases end. If it comes back it cannot write over who
// has them by then.
func TestTakeover(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	nodes, _ := three(t, server)
	dead := real(t, Options{URL: server.URL(), Node: "dead", Heartbeat: 20 * time.Millisecond})
	dead.beat(ctx) // and never again
	const short = 300 * time.Millisecond
	e := message()
	must(t, dead.Put(ctx, e, mail.Bytes(hello), time.Now().Add(short)))
	began := time.Now()
	var got *queue.Entry
	await(t, func() bool {
		for _, s := range nodes {
			entries, err := s.Claim(ctx, time.Now(), time.Now().Add(lease), 10, nil)
			must(t, err)
			if len(entries) > 0 {
				got = entries[0]
			}
		}
		return got != nil
	})
	if since := time.Since(began); since < short-50*time.Millisecond {
		t.Errorf("taken over after %v, before the lease ended", since)
	}
	if got.ID != e.ID || got.Lease.Token <= e.Lease.Token {
		t.Errorf("taken over %s with the token %d; it had %d", got.ID, got.Lease.Token, e.Lease.Token)
	}
	late := *e
	late.Held = "by a node that comes late"
	for what, err := range map[string]error{
		"update":   dead.Update(ctx, &late),
		"remove":   dead.Remove(ctx, &late),
		"extend":   dead.Extend(ctx, e.ID, e.Lease.Token, time.Now().Add(lease)),
		"conclude": dead.Conclude(ctx, &late, deposits(beside(e))),
		"replace":  dead.Replace(ctx, &late, mail.Bytes("other"), nil),
	} {
		if !errors.Is(err, queue.ErrLease) {
			t.Errorf("%s by the node that was late: got %v", what, err)
		}
	}
	must(t, nodes[0].Remove(ctx, got)) // any node may, with the lease
	if n := count(t, nodes[1]); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

// The lease is counted by the server's clock, whatever a node takes for the time.
func TestClockOfNodeJumps(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	s := real(t, Options{URL: server.URL()})
	e := put(t, s)
	for _, off := range []time.Duration{time.Hour, -time.Hour} {
		now := time.Now().Add(off)
		got, err := s.Claim(ctx, now, now.Add(lease), 10, nil)
		if err != nil || len(got) != 0 {
			t.Errorf("a clock %v off claims what is leased: %v, %v", off, got, err)
		}
		if _, err := s.Take(ctx, e.ID, now, now.Add(lease)); !errors.Is(err, queue.ErrActive) {
			t.Errorf("a clock %v off takes what is leased: %v", off, err)
		}
	}
}

func TestLimitsOfNodes(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	var all []Limits
	for i := range 3 {
		all = append(all, real(t, Options{URL: server.URL(), Node: fmt.Sprint("node", i)}).Limits())
	}
	take := func(i, want int, life time.Duration) int {
		t.Helper()
		got, err := all[i].Take(ctx, "crepes.fr", want, 10, time.Now().Add(life))
		must(t, err)
		return got
	}
	if got := take(0, 8, time.Minute); got != 8 {
		t.Errorf("the first has %d places, want 8", got)
	}
	if got := take(1, 8, time.Minute); got != 2 {
		t.Errorf("the second has %d places, want the 2 that are left", got)
	}
	if got := take(0, 8, time.Minute); got != 5 { // it asks again: an even part
		t.Errorf("then the first has %d places, want 5", got)
	}
	if got := take(1, 8, time.Minute); got != 5 {
		t.Errorf("then the second has %d places, want 5", got)
	}
	must(t, all[0].Give(ctx, "crepes.fr", 1), all[0].Give(ctx, "crepes.fr", 1))
	if got := take(2, 8, 200*time.Millisecond); got != 4 {
		t.Errorf("the third has %d places, want the 4 that were given back", got)
	}
	// The third is heard of no more.
	await(t, func() bool { return take(0, 5, time.Minute) == 5 })
	if got, err := all[0].Take(ctx, "example.org", 8, 10, time.Now().Add(lease)); err != nil || got != 8 {
		t.Errorf("another lane: %d, %v", got, err)
	}
}

// However they ask, nodes never have more places than there are.
func TestPlacesAreNeverTooMany(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	const most = 7
	var mu sync.Mutex
	have := map[int]int{}
	var wg sync.WaitGroup
	for i := range 3 {
		l := real(t, Options{URL: server.URL(), Node: fmt.Sprint("node", i)}).Limits()
		wg.Go(func() {
			for k := range 50 {
				mu.Lock()
				got, err := l.Take(ctx, "crepes.fr", (i+k*5)%12, most, time.Now().Add(lease))
				have[i] = got
				if sum := have[0] + have[1] + have[2]; err != nil || sum > most {
					t.Errorf("nodes have %d places of %d: %v", sum, most, err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestRateOfNodes(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	rate := queue.Rate{Messages: 100, Per: time.Minute}
	total := 0
	for i := range 3 {
		l := real(t, Options{URL: server.URL(), Node: fmt.Sprint("node", i)}).Limits()
		got, next, err := l.Spend(ctx, "crepes.fr", 8, rate)
		must(t, err)
		total += got
		if wait := time.Until(next); got < 8 && (wait <= 0 || wait > time.Second) {
			t.Errorf("there is more in %v, want 600 ms or less", wait)
		}
	}
	if total != 10 { // a tenth comes at once
		t.Errorf("three nodes may begin %d at once, want 10", total)
	}
}

// What one node announces all hear, once, also one whose script was forgotten.
func TestAnnounce(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	heard := make(chan string, 10)
	t.Cleanup(func() { close(heard) }) // once nobody runs any more
	for i := range 2 {
		s := real(t, Options{URL: server.URL(), Node: fmt.Sprint("node", i), Heartbeat: 20 * time.Millisecond,
			Opened: func(lane string) { heard <- fmt.Sprint(i, lane) }})
		running, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			s.Run(running)
			close(done)
		}()
		t.Cleanup(func() { cancel(); <-done })
	}
	s := real(t, Options{URL: server.URL()})
	for _, lane := range []string{"a.example", "b.example"} {
		must(t, s.Announce(ctx, lane))
		got := []string{<-heard, <-heard}
		slices.Sort(got)
		if want := []string{"0" + lane, "1" + lane}; !slices.Equal(got, want) {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
	for i := range maxAnnounced + 10 {
		must(t, s.Announce(ctx, fmt.Sprint(i)))
	}
	if n, err := s.client.ZCard(ctx, s.announced()).Result(); err != nil || n != maxAnnounced {
		t.Errorf("%d are kept, %v", n, err)
	}
	go func() { // those that come still
		for range heard {
		}
	}()
}
