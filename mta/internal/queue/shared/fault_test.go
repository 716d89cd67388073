package shared

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/redis"
)

const lease = 2 * time.Minute

// inBubble runs a test with fake time on a node that uses Redis, with its
// background work.
func inBubble(t *testing.T, f func(t *testing.T, n *node)) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, newServer())
		n.run()
		defer func() {
			if n.stop != nil {
				n.stop()
			}
		}()
		n.settle(time.Second)
		n.want(OK)
		f(t, n)
	})
}

// settle lets time pass.
func (n *node) settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (n *node) want(want State) {
	n.t.Helper()
	if got, _ := n.store.link.now(); got != want {
		n.t.Errorf("the state is %s, want %s", got, want)
	}
}

// restart is a crash: what was under way is gone.
func (n *node) restart() {
	if n.stop != nil {
		n.stop()
	}
	n.spool.restart()
	n.copies.restart()
	n.open()
	n.run()
}

// put accepts a message: what a client was told is all that counts from then on.
func (n *node) put(until time.Time) *queue.Entry {
	n.t.Helper()
	e := message()
	if err := n.store.Put(ctx, e, mail.Bytes("hello"), until); err != nil {
		n.t.Fatalf("put: %v", err)
	}
	return e
}

func (n *node) claim() []*queue.Entry {
	n.t.Helper()
	now := time.Now()
	entries, err := n.store.Claim(ctx, now, now.Add(lease), 100, nil)
	if err != nil {
		n.t.Fatalf("claim: %v", err)
	}
	return entries
}

// deliver attempts what is due, and returns what it delivered.
func (n *node) deliver() []mail.QueueID {
	n.t.Helper()
	ids := []mail.QueueID{}
	for _, e := range n.claim() {
		if c, err := n.store.Content(ctx, e.ID); err != nil {
			n.t.Errorf("content of %s: %v", e.ID, err)
		} else if octets, err := mail.ReadAll(c); err != nil || string(octets) != "hello" {
			n.t.Errorf("content of %s: %q, %v", e.ID, octets, err)
		}
		ids = append(ids, e.ID)
		if err := n.store.Remove(ctx, e); err != nil {
			n.t.Errorf("remove %s: %v", e.ID, err)
		}
	}
	return ids
}

// places is where an entry is.
func (n *node) places(id mail.QueueID) (places []string) {
	for _, p := range []struct {
		name  string
		store *memory
	}{{"redis", n.server.memory}, {"spool", n.spool}, {"copies", n.copies}} {
		if e, err := p.store.Get(ctx, id); err == nil {
			if e.Twin != nil && p.name == "spool" {
				p.name += " " + e.Twin.Kind
			}
			places = append(places, p.name)
		}
	}
	return places
}

func (n *node) wantPlaces(id mail.QueueID, want ...string) {
	n.t.Helper()
	if got := n.places(id); !slices.Equal(got, want) {
		n.t.Errorf("%s is in %q, want %q", id, got, want)
	}
}

func (n *node) wantDelivered(what string, want ...mail.QueueID) {
	n.t.Helper()
	got := n.deliver()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, append([]mail.QueueID{}, want...)) {
		n.t.Errorf("%s: delivered %q, want %q", what, got, want)
	}
}

func TestRedisIsAwayAndComesBack(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		before := n.put(time.Time{})
		n.wantPlaces(before.ID, "redis", "copies")
		n.redis.set(away)
		first, second := n.put(time.Time{}), n.put(time.Now().Add(lease))
		n.wantPlaces(first.ID, "spool")
		n.want(Away)
		n.wantDelivered("while it is away", first.ID)
		n.redis.set(works)
		n.settle(5 * time.Second)
		n.want(OK)
		n.wantPlaces(second.ID, "spool") // it is being attempted
		if err := n.store.Extend(ctx, second.ID, second.Lease.Token, time.Time{}); err != nil {
			t.Fatal(err)
		}
		n.settle(2 * time.Second)
		n.wantPlaces(second.ID, "redis", "copies")
		n.wantDelivered("once it is back", before.ID, second.ID)
		if c := n.store.Counts(); c.HandedOver.Load() != 1 || c.PutSpool.Load() != 2 {
			t.Errorf("%d handed over, %d put into the spool", c.HandedOver.Load(), c.PutSpool.Load())
		}
	})
}

func TestAServerStartsWithoutRedis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, newServer())
		n.redis.set(away)
		n.run()
		n.settle(time.Minute)
		e := n.put(time.Time{})
		n.wantDelivered("without Redis", e.ID)
		kept := n.put(time.Time{})
		n.restart()
		n.redis.set(works)
		n.settle(time.Minute)
		n.wantPlaces(kept.ID, "redis", "copies")
		n.stop()
	})
}

// What a put without an answer may have come to.
func TestDoubts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  fault
		before func(n *node) // while it is in doubt
		want   []string
	}{
		{"the answer was lost", lostReply, func(*node) {}, []string{"redis", "copies"}},
		{"the call was lost", lostCall, func(*node) {}, []string{"spool stay"}},
		{"the call came late", lateCall, func(n *node) { n.redis.arriveLate() }, []string{"redis", "copies"}},
		{"the call comes after it was given up", lateCall, func(*node) {}, []string{"spool stay"}},
		{"the answer was lost, and this node restarted", lostReply, (*node).restart, []string{"redis", "copies"}},
		{"the call was lost, and this node restarted", lostCall, (*node).restart, []string{"spool stay"}},
		{"redis is slow", slow, func(*node) {}, []string{"spool stay"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *node) {
				n.redis.setFunc(func(op string) fault {
					if op == "put" {
						return tt.fault
					}
					return away
				})
				e := n.put(time.Now().Add(lease))
				if e.Lease != (queue.Lease{}) {
					t.Error("what is in doubt is leased")
				}
				n.settle(time.Second)
				n.want(Away)
				tt.before(n)
				if got := n.deliver(); len(got) > 0 {
					t.Errorf("delivered %q in doubt", got)
				}
				if got, err := n.store.Get(ctx, e.ID); err != nil || got.Held != "" {
					t.Errorf("shown as %+v, %v", got, err)
				}
				if _, err := n.store.Take(ctx, e.ID, time.Now(), time.Now().Add(lease)); !errors.Is(err, queue.ErrActive) {
					t.Errorf("taken in doubt: %v", err)
				}
				n.redis.set(works)
				n.settle(20 * time.Second)
				n.redis.arriveLate()
				n.wantPlaces(e.ID, tt.want...)
				n.settle(time.Minute)
				n.wantPlaces(e.ID, tt.want...)
				n.settle(lease) // nobody knows the token of the one that Redis gave
				n.wantDelivered("in the end", e.ID)
			})
		})
	}
}

func TestADoubtThatCannotBeSettledEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(n, other *node, id mail.QueueID) // once it is late
		want int                                   // how often it is delivered
	}{
		{"delivered from here", func(n, _ *node, id mail.QueueID) { n.wantDelivered("late", id) }, 1},
		{"delivered by another meanwhile", func(n, other *node, id mail.QueueID) { other.wantDelivered("by another", id) }, 1},
		{"delivered by both", func(n, other *node, id mail.QueueID) {
			n.wantDelivered("late", id)
			other.wantDelivered("by another", id)
		}, 2},
		{"deferred here", func(n, _ *node, id mail.QueueID) { n.retry(id, time.Hour) }, 1},
		{"delivered from here, and restarted", func(n, _ *node, id mail.QueueID) {
			n.wantDelivered("late", id)
			n.restart()
		}, 1},
		{"restarted, then delivered from here", func(n, _ *node, id mail.QueueID) {
			n.restart()
			n.wantDelivered("late", id)
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *node) {
				other := newNode(t, n.server).use()
				n.redis.setFunc(func(op string) fault {
					if op == "put" {
						return lostReply
					}
					return away
				})
				e := n.put(time.Time{})
				n.settle(DefaultDoubt - time.Second)
				if got := n.deliver(); len(got) > 0 {
					t.Errorf("delivered %q in doubt", got)
				}
				n.settle(2 * time.Second)
				tt.then(n, other, e.ID)
				n.redis.set(works)
				n.settle(20*time.Second + compareEvery)
				if n.spool.entries[e.ID] != nil { // deferred
					n.wantPlaces(e.ID, "spool stay")
					n.settle(time.Hour)
					n.wantDelivered("in the end", e.ID)
				}
				n.wantPlaces(e.ID)
				n.wantDelivered("in the end")
				if doubled := n.store.Counts().Doubled.Load(); doubled != int64(tt.want-1) {
					t.Errorf("%d counted as doubled", doubled)
				}
			})
		})
	}
}

// An attempt that ends while Redis is away is over.
func TestResults(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fault   fault
		defers  bool
		restart bool
		wait    time.Duration
		claimed bool // by another node meanwhile
		want    []string
	}{
		{"finished", away, false, false, time.Second, false, nil},
		{"finished, and the answer was lost", lostReply, false, false, time.Second, false, nil},
		{"finished, and the call was lost", lostCall, false, true, time.Second, false, nil},
		{"finished, then restarted", away, false, true, time.Second, false, nil},
		{"changed", away, true, false, time.Second, false, []string{"redis", "copies"}},
		{"changed, and the answer was lost", lostReply, true, false, time.Second, false, []string{"redis", "copies"}},
		{"changed, then restarted", away, true, true, time.Second, false, []string{"redis", "copies"}},
		{"overtaken", away, false, false, 3 * time.Minute, true, []string{"redis", "copies"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *node) {
				other := newNode(t, n.server).use()
				e := n.put(time.Now().Add(lease))
				n.redis.set(tt.fault)
				dsn := message()
				dsn.ID = mail.NewQueueIDBeside(time.Now(), e.ID)
				e.Attempts, e.Due = 1, time.Now().Add(time.Hour)
				more := []queue.Deposit{{Entry: dsn, Content: mail.Bytes("hello")}}
				if !tt.defers {
					e.Envelope.Recipients = nil
				}
				if err := n.store.Conclude(ctx, e, more); err != nil {
					t.Fatal(err)
				}
				if tt.restart {
					n.restart()
				}
				n.redis.set(away)
				n.settle(tt.wait)
				if tt.claimed {
					if got := other.claim(); len(got) != 1 {
						t.Fatalf("the other claimed %d", len(got))
					}
				}
				n.redis.set(works)
				n.settle(20 * time.Second)
				n.wantPlaces(e.ID, tt.want...)
				if tt.want != nil && !tt.claimed {
					if got, _ := n.server.Get(ctx, e.ID); got.Attempts != 1 {
						t.Errorf("redis has the state before: %+v", got)
					}
				}
				n.wantDelivered("in the end", dsn.ID)
				c := n.store.Counts()
				if overtaken := c.Overtaken.Load() == 1; overtaken != tt.claimed {
					t.Errorf("%d overtaken", c.Overtaken.Load())
				}
			})
		})
	}
}

// A lease that cannot be renewed is over before another node can have it.
func TestALeaseEndsWhileRedisIsAway(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		e := n.put(time.Now().Add(lease))
		n.redis.set(away)
		extend := func() error { return n.store.Extend(ctx, e.ID, e.Lease.Token, time.Now().Add(lease)) }
		n.settle(lease / 3)
		if err := extend(); errors.Is(err, queue.ErrLease) || !errors.Is(err, redis.ErrAway) {
			t.Errorf("after a third: %v", err)
		}
		n.settle(lease/3 + time.Second)
		if err := extend(); !errors.Is(err, queue.ErrLease) {
			t.Errorf("after two thirds: %v", err)
		}
		if err := n.store.Remove(ctx, e); err != nil { // the attempt may have come to something all the same
			t.Error(err)
		}
		n.wantPlaces(e.ID, "redis", "spool done", "copies")
	})
}

// A node that stood still past its lease does not bring what its successor
// brings, too.
func TestWhatComesAfterTheLeaseIsNotKept(t *testing.T) {
	for _, tt := range []struct {
		name  string
		stood time.Duration
		want  error
	}{
		{"within its lease", lease / 3, nil},
		{"past it", lease + time.Second, queue.ErrLease},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *node) {
				e := n.put(time.Now().Add(lease))
				n.redis.set(away)
				time.Sleep(tt.stood)
				dsn := queue.Deposit{Entry: message(), Content: mail.Bytes("dsn")}
				e.Envelope.Recipients = nil
				if err := n.store.Conclude(ctx, e, []queue.Deposit{dsn}); !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if _, err := n.store.Get(ctx, dsn.Entry.ID); (err == nil) != (tt.want == nil) {
					t.Errorf("the DSN is there: %v", err)
				}
			})
		})
	}
}
