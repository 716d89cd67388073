package queue_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

var errDead = errors.New("the process is dead")

// mortal is what a process has of a store: once it is dead nothing that it does
// reaches the store any more.
type mortal struct {
	queue.Store
	dead    atomic.Bool
	claimed func() // nil: nothing; after each claim
}

func (s *mortal) gone() error {
	if s.dead.Load() {
		return errDead
	}
	return nil
}

func (s *mortal) Extend(ctx context.Context, id mail.QueueID, token uint64, until time.Time) error {
	if err := s.gone(); err != nil {
		return err
	}
	return s.Store.Extend(ctx, id, token, until)
}

func (s *mortal) Update(ctx context.Context, e *queue.Entry) error {
	if err := s.gone(); err != nil {
		return err
	}
	return s.Store.Update(ctx, e)
}

func (s *mortal) Conclude(ctx context.Context, e *queue.Entry, more []queue.Deposit) error {
	if err := s.gone(); err != nil {
		return err
	}
	return s.Store.Conclude(ctx, e, more)
}

func (s *mortal) Remove(ctx context.Context, e *queue.Entry) error {
	if err := s.gone(); err != nil {
		return err
	}
	return s.Store.Remove(ctx, e)
}

func (s *mortal) Claim(ctx context.Context, now, until time.Time, max int, pick queue.Pick) ([]*queue.Entry, error) {
	if err := s.gone(); err != nil {
		return nil, err
	}
	if s.claimed != nil {
		defer s.claimed()
	}
	return s.Store.Claim(ctx, now, until, max, pick)
}

// A message that ends the process each time is held after a few times; those that
// were under way beside it, each time, are delivered.
func TestAMessageThatEndsTheProcessIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		var poison mail.QueueID
		deaths, delivered := 0, map[mail.QueueID]int{}
		live := func() (died bool) {
			w := &world{t: t, store: store}
			mine := &mortal{Store: store}
			w.open(mine)
			w.q.Grace = time.Millisecond
			died = false
			w.q.Deliverer = deliverFunc(func(ctx context.Context, m *mail.Message) []mail.Result {
				if m.ID == poison {
					mine.dead.Store(true)
					died = true
				} else if ctx.Err() == nil {
					after(ctx, time.Second, relayed) // longer than the poison takes
				}
				if mine.dead.Load() {
					<-ctx.Done()
					return nil
				}
				w.mu.Lock()
				defer w.mu.Unlock()
				delivered[m.ID]++
				return []mail.Result{relayed}
			})
			w.run()
			if deaths == 0 {
				poison = "0POISON0POISON00"
				tx := transaction("alice@crepes.fr", "bob@crepes.fr")
				tx.ID = poison
				if err := w.q.Enqueue(ctx, tx); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(10 * time.Minute) // each may have to wait for 20 others
			w.stop()
			return died
		}
		w := &world{t: t, store: store}
		w.open(store)
		for range 20 { // before the process begins, all due
			w.enqueue("carol@crepes.fr")
		}
		for live() {
			deaths++
			store.reopened()
			if deaths > 10 {
				t.Fatal("the process dies again and again")
			}
		}
		if deaths != 4 {
			t.Errorf("the process died %d times, want 4", deaths)
		}
		e, err := store.Get(ctx, poison)
		if err != nil || !strings.Contains(e.Held, "ended 4 times in a row") {
			t.Errorf("the poison is %+v, %v", e, err)
		}
		if len(delivered) != 20 {
			t.Errorf("%d of 20 others are delivered", len(delivered))
		}
		if s := w.left(); s.Held != 1 || s.Waiting+s.Active != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// A server that is stopped in good order during an attempt, again and again, says
// nothing about the message.
func TestBeingStoppedIsNoPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		for i := range 10 {
			w := &world{t: t, store: store}
			w.open(store)
			w.behave("slow.example", takes(time.Hour))
			if i == 0 {
				w.backlog(1, "slow.example")
				time.Sleep(time.Second)
			}
			w.run()
			time.Sleep(time.Minute)
			w.stop()
			if s := w.left(); s.Waiting != 1 {
				t.Fatalf("after %d stops: %+v", i+1, s)
			}
		}
		w := &world{t: t, store: store}
		w.open(store)
		w.run()
		time.Sleep(time.Minute)
		if len(w.times(w.got, "slow.example")) != 1 {
			t.Errorf("it did not arrive: %+v", w.left())
		}
		w.stop()
	})
}

// A stage behind the queue that fails at a message again and again has it held,
// one that fails for a while has not.
func TestAStageThatFailsHasTheMessageHeld(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fails int // attempts
		held  bool
	}{{"for a while", 7, false}, {"again and again", 1000, true}} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				n := 0
				w.behave("crepes.fr", func(context.Context) mail.Result {
					if n++; n <= tt.fails {
						return mail.Result{Outcome: mail.Deferred, Code: 451, Enh: "4.3.0", Text: "Local error in processing", Failed: "filter"}
					}
					return relayed
				})
				w.run()
				id := w.enqueue("bob@crepes.fr")
				time.Sleep(6 * day)
				e, err := w.q.Show(ctx, id)
				if !tt.held {
					if !errors.Is(err, queue.ErrNotFound) || n != 8 {
						t.Errorf("after %d attempts: %+v, %v", n, e, err)
					}
					return
				}
				if err != nil || e.Held != "stage filter failed, 8 times in a row" || n != 8 {
					t.Errorf("after %d attempts: %+v, %v", n, e, err)
				}
				if failed, _, _ := w.told("failed"); failed != 0 {
					t.Error("the sender is told of what is our doing")
				}
			})
		})
	}
}

// A process that stood still for longer than its leases finds out before it makes
// an attempt that another has the message.
func TestALeaseThatWasLostWhileWaiting(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.q.Concurrency = 1
		first := make(chan struct{})
		w.behave("crepes.fr", func(context.Context) mail.Result { <-first; return relayed })
		w.run()
		w.enqueue("bob@crepes.fr")
		second := w.enqueue("bob@crepes.fr")
		synctest.Wait()
		time.Sleep(30 * time.Second)
		w.store.steal(second) // as another node does once the lease is over
		time.Sleep(30 * time.Second)
		close(first)
		if got := w.times(w.got, "crepes.fr"); len(got) != 1 {
			t.Errorf("%d attempts, of which one is another's", len(got))
		}
	})
}

// eager is a store that others claim from, right after each change.
type eager struct {
	queue.Store
	claimed int
}

func (s *eager) Update(ctx context.Context, e *queue.Entry) error {
	if err := s.Store.Update(ctx, e); err != nil {
		return err
	}
	now := time.Now()
	entries, err := s.Claim(ctx, now, now.Add(time.Minute), 10, nil)
	s.claimed += len(entries)
	return err
}

// TestMarkedIsNotClaimedByOthers: an entry that is marked loses its lease for a
// moment. Were it claimed then, it would be marked again, and in the end held for
// ending a process that has lived all the time.
func TestMarkedIsNotClaimedByOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		time.Sleep(time.Second) // so that it is from before
		s := &eager{Store: b.q.Store}
		b.q.Store = s
		b.run()
		if got, _ := b.taken(); len(got) != 1 || s.claimed != 0 {
			t.Errorf("%d attempts, and %d claimed by others, want one and none", len(got), s.claimed)
		}
	})
}

// A server ends though its store no longer takes that a message is held.
func TestStopWhileTheMarkIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		w := &world{t: t, store: store}
		w.open(store)
		id := w.enqueue("carol@crepes.fr")
		e, err := store.Take(ctx, id, time.Now(), time.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		e.Begun = 3 // the server ended while it attempted this message
		if err := store.Update(ctx, e); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		full := &mortal{Store: store}
		w.open(full)
		w.q.Deliverer = deliverFunc(func(context.Context, *mail.Message) []mail.Result {
			t.Error("it is attempted once more")
			return []mail.Result{relayed}
		})
		full.claimed = func() { full.dead.Store(true) }
		w.run()
		time.Sleep(time.Minute)
		w.stop() // the test would never end
		if s := w.left(); s.Waiting+s.Active != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}
