package queue_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

func TestOperator(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.decide = always(deferred)
		b.run()
		bob := b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		carol := b.enqueue(transaction("alice@crepes.fr", "carol@example.org"))
		b.taken()

		e, err := b.q.Show(ctx, bob)
		if err != nil || e.Attempts != 1 || e.Reply(0) != "451 4.3.0 busy" || !e.Due.Equal(b.start.Add(time.Minute)) {
			t.Errorf("show: %+v, %v", e, err)
		}
		if c, err := b.q.Content(ctx, bob); err != nil || c.Size() != int64(len(crepe)) {
			t.Errorf("content: %v, %v", c, err)
		}

		retried, err := b.operate(queue.Order{Do: queue.Retry, Filter: queue.Filter{Domain: "hamburger.edu"}})
		if got, _ := b.taken(); retried != 1 || err != nil || len(got) != 1 || got[0].at != 0 || got[0].id != bob {
			t.Errorf("retry: %d, %v; attempts %+v", retried, err, got)
		}

		held, err := b.operate(queue.Order{Do: queue.Hold, Reason: "wait for the lawyer"})
		time.Sleep(time.Hour)
		if got, _ := b.taken(); held != 2 || err != nil || len(got) != 0 {
			t.Errorf("hold: %d, %v; attempts %+v", held, err, got)
		}
		b.wantStats(queue.Stats{Held: 2})

		dropped, err := b.operate(queue.Order{Do: queue.Drop, Filter: queue.Filter{IDs: []mail.QueueID{carol}}})
		if dropped != 1 || err != nil {
			t.Errorf("drop: %d, %v", dropped, err)
		}
		if _, err := b.q.Show(ctx, carol); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("show what was dropped: %v", err)
		}

		released, err := b.operate(queue.Order{Do: queue.Release})
		if got, _ := b.taken(); released != 1 || err != nil || len(got) != 1 {
			t.Errorf("release: %d, %v; attempts %+v", released, err, got)
		}
		b.stop()
		for _, event := range []string{"retried", "held", "released", "dropped"} {
			if !strings.Contains(b.log.String(), "msg="+event+" queue_id=") || !strings.Contains(b.log.String(), "who=root") {
				t.Errorf("%q is not logged:\n%s", event, b.log)
			}
		}
	})
}

// operate carries out an order of root's, and returns how much it changed.
func (b *bench) operate(o queue.Order) (int, error) {
	o.Who = "root"
	c, err := b.q.Operate(ctx, o)
	return c.Changed, err
}

// deferredTo is a queue with one message to three people, which was attempted.
func deferredTo(b *bench, rcpts ...string) mail.QueueID {
	b.decide = always(deferred)
	b.run()
	id := b.enqueue(transaction("alice@crepes.fr", rcpts...))
	b.taken()
	return id
}

// paths are the recipients that a message still has.
func (b *bench) paths(id mail.QueueID) (paths []string) {
	b.t.Helper()
	e, err := b.q.Show(ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		return nil
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if len(e.Last) != len(e.Envelope.Recipients) {
		b.t.Errorf("%d replies of %d recipients", len(e.Last), len(e.Envelope.Recipients))
	}
	for _, rcpt := range e.Envelope.Recipients {
		paths = append(paths, rcpt.Path.String())
	}
	return paths
}

func TestOperatorBouncesWhomTheFilterChooses(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		id := deferredTo(b, "bob@hamburger.edu", "carol@example.org", "dave@hamburger.edu")
		n, err := b.operate(queue.Order{Do: queue.Bounce, Filter: queue.Filter{Domain: "hamburger.edu"}, Reason: "no such firm"})
		if n != 1 || err != nil {
			t.Fatalf("bounce: %d, %v", n, err)
		}
		if diff := cmp.Diff([]string{"carol@example.org"}, b.paths(id)); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
		_, got := b.taken()
		if len(got) != 1 || got[0].to[0] != "alice@crepes.fr" {
			t.Fatalf("no DSN: %+v", got)
		}
		for _, want := range []string{"Returned by the operator: no such firm", "5.7.1", "bob@hamburger.edu", "dave@hamburger.edu"} {
			if !strings.Contains(got[0].content, want) {
				t.Errorf("no %q in the DSN:\n%s", want, got[0].content)
			}
		}
		if strings.Contains(got[0].content, "carol@") {
			t.Error("the DSN speaks of one that was not returned")
		}
		if n, err := b.operate(queue.Order{Do: queue.Bounce}); n != 1 || err != nil || b.paths(id) != nil {
			t.Errorf("bounce of the rest: %d, %v", n, err)
		}
		b.stop()
		for _, want := range []string{"msg=returned queue_id=" + string(id) + " who=root", `msg=operated action=bounce who=root filter="domain=\"hamburger.edu\"" changed=1 active=0 refused=0 reason="no such firm"`} {
			if !strings.Contains(b.log.String(), want) {
				t.Errorf("%q is not logged:\n%s", want, b.log)
			}
		}
	})
}

// A report that cannot be delivered has no sender to return it to.
func TestWhatNobodyCanBeToldOfStaysAndTheOthersGo(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.decide = always(deferred)
		report := b.enqueue(transaction("", "bob@hamburger.edu"))
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		c, err := b.q.Operate(ctx, queue.Order{Do: queue.Bounce, Who: "root", Filter: queue.Filter{Domain: "hamburger.edu"}})
		if c.Changed != 1 || c.Refused != 1 || err != nil {
			t.Errorf("%+v, %v", c, err)
		}
		c, err = b.q.Operate(ctx, queue.Order{Do: queue.Bounce, Who: "root", Filter: queue.Filter{IDs: []mail.QueueID{report}}})
		if c.Changed != 0 || c.Failed[report] == nil || err != nil {
			t.Errorf("by ID: %+v, %v", c, err)
		}
		if e, err := b.q.Show(ctx, report); err != nil || e.State(time.Now()) != queue.Waiting || len(e.Envelope.Recipients) != 1 {
			t.Errorf("%+v, %v", e, err)
		}
	})
}

func TestOperatorDropsWhomTheFilterChooses(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		id := deferredTo(b, "bob@hamburger.edu", "carol@example.org")
		if n, err := b.operate(queue.Order{Do: queue.Drop, Filter: queue.Filter{To: "bob@*"}}); n != 1 || err != nil {
			t.Fatalf("drop: %d, %v", n, err)
		}
		if diff := cmp.Diff([]string{"carol@example.org"}, b.paths(id)); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
		time.Sleep(10 * day)
		_, got := b.taken()
		if len(got) != 2 { // delayed and failed, of the other
			t.Errorf("%d DSNs", len(got))
		}
		for _, dsn := range got {
			if strings.Contains(dsn.content, "bob@") {
				t.Errorf("somebody heard of it: %+v", dsn)
			}
		}
	})
}

func TestOperatorReroutesWhomTheFilterChooses(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		hop := &mail.NextHop{Host: "127.0.0.1", Port: 2525, NoMX: true}
		routes := map[string]*mail.NextHop{}
		b.before = func(_ context.Context, m *mail.Message) {
			for _, rcpt := range m.Envelope.Recipients {
				routes[rcpt.Path.String()] = rcpt.Route
			}
		}
		deferredTo(b, "bob@hamburger.edu", "carol@example.org")
		for _, want := range []*mail.NextHop{hop, nil} {
			n, err := b.operate(queue.Order{Do: queue.Reroute, NextHop: want, Filter: queue.Filter{Domain: "hamburger.edu"}})
			got, _ := b.taken()
			if n != 1 || err != nil || len(got) != 1 {
				t.Fatalf("reroute: %d, %v; attempts %+v", n, err, got)
			}
			if diff := cmp.Diff(map[string]*mail.NextHop{"bob@hamburger.edu": want, "carol@example.org": nil}, routes); diff != "" {
				t.Errorf("routes (-want +got):\n%s", diff)
			}
		}
	})
}

func TestFlushLeavesWhatIsHeld(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		id := deferredTo(b, "bob@hamburger.edu")
		b.operate(queue.Order{Do: queue.Hold})
		b.enqueue(transaction("alice@crepes.fr", "carol@example.org"))
		b.taken()
		n, err := b.operate(queue.Order{Do: queue.Flush})
		got, _ := b.taken()
		if n != 1 || err != nil || len(got) != 1 || got[0].id == id {
			t.Errorf("flush: %d, %v; attempts %+v", n, err, got)
		}
	})
}

func TestAStoreThatFailsEndsTheOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := b.q.Operate(ended, queue.Order{Do: queue.Drop, Who: "root"}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		b.wantStats(queue.Stats{Waiting: 1})
		if !strings.Contains(b.log.String(), "level=ERROR msg=operated action=drop who=root filter=all changed=0") {
			t.Errorf("not logged:\n%s", b.log)
		}
		if _, err := b.q.Operate(ctx, queue.Order{Do: "burn"}); err == nil {
			t.Error("an action that is none")
		}
	})
}

func TestOperatorLeavesAttemptsInFlightAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.before = func(context.Context, *mail.Message) { time.Sleep(time.Minute) }
		b.run()
		id := b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		for _, action := range []queue.Action{queue.Drop, queue.Hold, queue.Retry, queue.Bounce, queue.Reroute} {
			c, err := b.q.Operate(ctx, queue.Order{Do: action, Who: "root"})
			if c.Changed != 0 || c.Active != 1 || err != nil {
				t.Errorf("%s: %+v, %v", action, c, err)
			}
			c, err = b.q.Operate(ctx, queue.Order{Do: action, Who: "root", Filter: queue.Filter{IDs: []mail.QueueID{id, "Z9"}}})
			if c.Changed != 0 || !errors.Is(c.Failed[id], queue.ErrActive) || !errors.Is(c.Failed["Z9"], queue.ErrNotFound) || err != nil {
				t.Errorf("%s by ID: %+v, %v", action, c, err)
			}
		}
		time.Sleep(2 * time.Minute)
		if got, _ := b.taken(); len(got) != 1 {
			t.Errorf("%d attempts", len(got))
		}
	})
}

func TestOperatorOnManyEntries(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.q.Window = -1
		for range 1200 { // more than two pages
			b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		}
		if n, err := b.operate(queue.Order{Do: queue.Hold, Filter: queue.Filter{From: "*@crepes.fr"}}); n != 1200 || err != nil {
			t.Errorf("hold: %d, %v", n, err)
		}
		if n, err := b.operate(queue.Order{Do: queue.Drop, Filter: queue.Filter{State: queue.Held}}); n != 1200 || err != nil {
			t.Errorf("drop: %d, %v", n, err)
		}
		b.wantStats(queue.Stats{})
	})
}
