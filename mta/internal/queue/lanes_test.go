package queue_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// A backlog for a next hop that is silent or slow keeps no other mail waiting.
func TestOneSlowNextHopDelaysNoOther(t *testing.T) {
	for name, h := range map[string]hop{"silent": silent, "slow": takes(time.Minute), "down": down} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.behave("slow.example", h)
				w.backlog(100_000, "slow.example")
				w.run()
				time.Sleep(10 * time.Minute)
				began := time.Since(w.start)
				w.enqueue("bob@fast.example")
				w.enqueue("bob@crepes.fr")
				for _, domain := range []string{"fast.example", "crepes.fr"} {
					if at := w.times(w.got, domain); len(at) != 1 || at[0] != began {
						t.Errorf("%s has its mail at %v, want %v", domain, at, began)
					}
				}
				w.backlog(1, "later.example") // by way of the store
				time.Sleep(time.Minute)
				if at := w.times(w.got, "later.example"); len(at) != 1 {
					t.Errorf("what was put by another node arrived at %v", at)
				}
				if most := w.most["slow.example"]; most > queue.DefaultLaneLimit {
					t.Errorf("%d attempts at once at the slow one", most)
				}
			})
		})
	}
}

// However many next hops are silent, they never have all attempts.
func TestManySilentNextHopsDelayNoOther(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for i := range 200 {
			domain := fmt.Sprintf("silent%d.example", i)
			w.behave(domain, silent)
			w.backlog(20, domain)
		}
		w.run()
		time.Sleep(time.Second)
		for _, to := range []string{"bob@new.example", "bob@crepes.fr"} {
			began := time.Since(w.start)
			w.enqueue(to)
			_, domain, _ := strings.Cut(to, "@")
			if at := w.times(w.got, domain); len(at) != 1 || at[0] != began {
				t.Errorf("%s has its mail at %v, want %v", domain, at, began)
			}
		}
		time.Sleep(time.Minute)
		under := 0
		for domain, n := range w.active {
			if n > 0 {
				under++
				if n > 3 {
					t.Errorf("%d attempts at %s", n, domain)
				}
			}
		}
		if under != 200 {
			t.Errorf("%d of 200 next hops are tried", under)
		}
	})
}

// While a next hop is down one message at a time finds out; all others wait, are
// warned of and returned in time, and nobody connects for them.
func TestDownForSixDays(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const n = 1000
		w.behave("down.example", down)
		w.backlog(n, "down.example")
		w.run()
		time.Sleep(time.Hour)
		l := w.lane("down.example")
		if l.State != queue.LaneDown || l.Reason != "451 4.4.1 connect to mx:25: connection refused" || l.Since.IsZero() || l.Until.IsZero() {
			t.Errorf("the lane is %+v", l)
		}
		if s := w.left(); s.Waiting != n || len(s.Lanes) != 1 || s.Lanes[0] != (queue.LaneStats{Lane: "down.example", Entries: n}) {
			t.Errorf("stats %+v", s)
		}
		time.Sleep(4 * time.Hour)
		if got, first, last := w.told("delayed"); got != n || first < 4*time.Hour || last > 4*time.Hour+16*time.Minute {
			t.Errorf("%d warnings, from %v to %v", got, first, last)
		}
		time.Sleep(6 * day)
		if got, first, last := w.told("failed"); got != n || first < 5*day || last > 5*day+3*time.Minute {
			t.Errorf("%d failures, from %v to %v", got, first, last)
		}
		if s := w.left(); s.Waiting+s.Active+s.Held != 0 {
			t.Errorf("stats %+v", s)
		}
		calls := w.times(w.calls, "down.example")
		for i := 4; i < len(calls); i++ { // three find out at first, together
			if wait := calls[i] - calls[i-1]; wait < 30*time.Second {
				t.Fatalf("connections at %v and %v", calls[i-1], calls[i])
			}
		}
		if most := 3 + 10 + int(5*day/(15*time.Minute)); len(calls) > most || len(calls) < 400 {
			t.Errorf("%d connections, want up to %d", len(calls), most)
		}
		for _, d := range w.dsns {
			if field(d.content, "Action") == "failed" && !strings.Contains(d.content, "connection refused") {
				t.Fatalf("the sender is not told why:\n%s", d.content)
			}
		}
		if n := strings.Count(w.log.String(), `msg="next hop down"`); n != 1 {
			t.Errorf("%d lines say that it is down", n)
		}
	})
}

// A next hop that is back is let in slowly, and all that waited goes on.
func TestBackAfterAnHour(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const n = 2000
		w.behave("back.example", down)
		w.backlog(n, "back.example")
		w.run()
		time.Sleep(time.Hour)
		w.behave("back.example", takes(time.Second))
		time.Sleep(16 * time.Minute)
		at := w.times(w.got, "back.example")
		if len(at) < n-20 { // those that were probes wait for their own time
			t.Fatalf("%d messages arrived", len(at))
		}
		if took := at[n-21] - at[0]; took > 4*time.Minute {
			t.Errorf("the backlog took %v", took)
		}
		second := func(d time.Duration) int {
			k := 0
			for _, a := range at {
				if a > at[0]+d-time.Second && a <= at[0]+d {
					k++
				}
			}
			return k
		}
		if a, b, c := second(0), second(time.Second), second(2*time.Second); a != 1 || b != 5 || c != 10 {
			t.Errorf("it takes %d, %d, %d messages in the first seconds, want 1, 5, 10", a, b, c)
		}
		if most := w.most["back.example"]; most != queue.DefaultLaneLimit {
			t.Errorf("%d attempts at once, want %d", most, queue.DefaultLaneLimit)
		}
		if l := w.lane("back.example"); l.State != queue.LaneOpen || l.Reason != "" {
			t.Errorf("the lane is %+v", l)
		}
		if !strings.Contains(w.log.String(), `msg="next hop up" next_hop=back.example down_for=1h`) {
			t.Error("no line says that it is up")
		}
	})
}

// An operator who has messages tried again has the next hop tried again.
func TestAnOperatorOpensALane(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.behave("down.example", down)
		w.backlog(100, "down.example")
		w.run()
		time.Sleep(12 * time.Hour)
		w.behave("down.example", takes(time.Second))
		c, err := w.q.Operate(ctx, queue.Order{Do: queue.Flush, Who: "root", Filter: queue.Filter{Lane: "down.example"}})
		if err != nil || c.Changed+c.Active != 100 || c.Active > 5 { // some are under way by then
			t.Fatalf("flush: %+v, %v", c, err)
		}
		time.Sleep(time.Minute)
		if got := w.times(w.got, "down.example"); len(got) != 100 {
			t.Errorf("%d messages arrived", len(got))
		}
	})
}

// A message for several next hops goes to each that has a place.
func TestOneMessageForSeveralNextHops(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.behave("down.example", down)
		w.backlog(10, "down.example")
		w.run()
		time.Sleep(time.Minute)
		before := len(w.times(w.calls, "down.example"))
		id := w.enqueue("bob@a.example", "bob@b.example", "bob@down.example", "bob@crepes.fr")
		for _, domain := range []string{"a.example", "b.example", "crepes.fr"} {
			if len(w.times(w.got, domain)) != 1 {
				t.Errorf("%s has not got it", domain)
			}
		}
		if n := len(w.times(w.calls, "down.example")); n != before {
			t.Error("the next hop that is down was tried")
		}
		e, err := w.q.Show(ctx, id)
		if err != nil || len(e.Envelope.Recipients) != 1 || e.Lane != "down.example" || !strings.Contains(e.Reply(0), "refused") {
			t.Fatalf("left is %+v, %v", e, err)
		}
		w.behave("down.example", nil)
		time.Sleep(time.Hour)
		if s := w.left(); s.Waiting+s.Active != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// A message for several next hops gets a place in a lane that always has more to
// do.
func TestABusyLaneKeepsAPlaceForOneOfSeveral(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.behave("a.example", takes(2*time.Second))
		w.behave("b.example", takes(2*time.Second))
		w.backlog(5000, "a.example")
		w.backlog(5000, "b.example")
		w.run()
		time.Sleep(time.Minute)
		id := w.enqueue("bob@a.example", "bob@b.example")
		time.Sleep(time.Minute)
		if e, err := w.q.Show(ctx, id); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("after a minute it is there: %+v", e)
		}
		if s := w.left(); s.Waiting < 5000 {
			t.Fatalf("the lanes were not busy: %+v", s)
		}
	})
}

// Mail that has no turn for days because there is too much of it expires in time.
func TestABacklogExpires(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const n = 4000
		w.behave("slow.example", takes(50*time.Minute))
		w.backlog(n, "slow.example")
		w.run()
		time.Sleep(5*day - time.Hour)
		got := len(w.times(w.got, "slow.example"))
		if s := w.left(); s.Waiting+s.Active != n-got || got == 0 {
			t.Fatalf("%d arrived, %+v", got, s)
		}
		time.Sleep(2 * time.Hour)
		failed, first, last := w.told("failed")
		if s, got := w.left(), len(w.times(w.got, "slow.example")); failed+got+s.Active != n || s.Waiting != 0 {
			t.Errorf("%d arrived, %d failed, %+v", got, failed, s)
		}
		if first < 5*day || last > 5*day+3*time.Minute {
			t.Errorf("the failures came from %v to %v", first, last)
		}
	})
}

// tries counts what the queue tells of lanes.
type tries struct {
	mu sync.Mutex
	n  map[string]int
}

func (o *tries) Queued(int64)                                  {}
func (o *tries) Attempted(string, mail.Outcome, time.Duration) {}
func (o *tries) Notified(string)                               {}
func (o *tries) Tried(lane string, outcome mail.Outcome, took time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n[fmt.Sprint(lane, " ", outcome, " ", took)]++
}

func TestAttemptsAreCountedByLane(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		o := &tries{n: map[string]int{}}
		w.q.Observer = o
		w.behave("slow.example", takes(time.Second))
		w.behave("down.example", down)
		w.run()
		w.enqueue("bob@slow.example")
		w.enqueue("bob@crepes.fr", "bob@down.example")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if want := map[string]int{"slow.example relayed 1s": 1, " relayed 0s": 1, "down.example deferred 0s": 1}; !maps.Equal(o.n, want) {
			t.Errorf("counted %v, want %v", o.n, want)
		}
	})
}
