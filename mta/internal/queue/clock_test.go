package queue_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// set has the wall clock be set by a time, once the test says so. The bubble's
// clock is the one after that.
func (w *world) set(by time.Duration) (now func()) {
	var was atomic.Bool
	w.q.SetWall(func(at time.Time) time.Time {
		if was.Load() {
			return at
		}
		return at.Add(-by)
	})
	return func() { was.Store(true) }
}

// What waits when the clock is set back by an hour does not wait for that hour.
func TestClockSetBack(t *testing.T) {
	for _, tt := range []struct {
		name  string
		by    time.Duration
		first time.Duration // wait after the first attempt, by the clock that was set
		want  time.Duration
	}{
		{"due within that time", -time.Hour, 90 * time.Minute, 30 * time.Minute},
		{"due by now", -time.Hour, 62 * time.Minute, 11 * time.Minute},
		{"due much later", -time.Hour, 10 * time.Hour, 10 * time.Hour},
		{"a little", -time.Second, 90 * time.Minute, 90 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				step := w.set(tt.by)
				w.behave("busy.example", func(context.Context) mail.Result {
					return mail.Result{Outcome: mail.Deferred, Code: 450, Enh: "4.2.0", Text: "not now", Peer: true}
				})
				w.q.NextHops = []queue.NextHop{{Pattern: "busy.example", Schedule: queue.Schedule{First: tt.first, Factor: 2, Max: 2 * tt.first}}}
				w.run()
				w.enqueue("bob@busy.example")
				time.Sleep(10 * time.Minute)
				step()
				time.Sleep(11 * time.Hour)
				got := w.times(w.calls, "busy.example")
				if len(got) < 2 || got[1] < tt.want-time.Minute || got[1] > tt.want+time.Minute {
					t.Errorf("attempts at %v, want the second at %v", got, tt.want)
				}
			})
		})
	}
}

// A store that counts time by itself says that an entry is due; what its
// recipients were told by a clock that was ahead does not hold it up.
func TestRecipientsByAnotherClock(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		now := time.Now()
		e := &queue.Entry{
			ID: mail.NewQueueID(now), Received: now, Due: now, Size: int64(len(crepe)),
			Envelope: mail.Envelope{
				ReversePath: mail.Path{Local: "alice", Domain: "crepes.fr"},
				Recipients: []mail.Recipient{
					{Path: mail.Path{Local: "bob", Domain: "late.example"}, RetryAt: now.Add(70 * time.Minute)},
					{Path: mail.Path{Local: "bob", Domain: "first.example"}, RetryAt: now.Add(time.Hour)},
				},
			},
		}
		if err := w.store.Put(ctx, e, mail.Bytes(crepe), time.Time{}); err != nil {
			t.Fatal(err)
		}
		w.run()
		time.Sleep(time.Hour)
		for domain, want := range map[string]time.Duration{"first.example": 0, "late.example": 10 * time.Minute} {
			if got := w.times(w.got, domain); len(got) != 1 || got[0] < want || got[0] > want+time.Minute {
				t.Errorf("%s: taken at %v, want %v", domain, got, want)
			}
		}
	})
}

// Nothing expires because the clock is set forward.
func TestClockSetForward(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		step := w.set(10 * day)
		w.behave("down.example", down)
		w.run()
		time.Sleep(time.Minute)
		step()
		id := mail.NewQueueID(time.Now().Add(-10 * day))
		e := &queue.Entry{
			ID: id, Received: time.Now().Add(-10 * day), Due: time.Now(), Lane: "down.example",
			Envelope: mail.Envelope{
				ReversePath: mail.Path{Local: "alice", Domain: "crepes.fr"},
				Recipients:  []mail.Recipient{{Path: mail.Path{Local: "bob", Domain: "down.example"}}},
			},
		}
		if err := w.store.Put(ctx, e, mail.Bytes(crepe), time.Time{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * day)
		if n, _, _ := w.told("failed"); n != 0 {
			t.Error("it expired")
		}
		time.Sleep(2 * day)
		if n, _, _ := w.told("failed"); n != 1 {
			t.Errorf("%d failures told after its time, want 1", n)
		}
		if _, err := w.store.Get(ctx, id); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("it is left: %v", err)
		}
		if got := w.times(w.calls, "down.example"); !slices.IsSorted(got) || len(got) < 5 {
			t.Errorf("attempts at %v", got)
		}
	})
}
