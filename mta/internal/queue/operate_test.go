package queue_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

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

		retried, err := b.q.Retry(ctx, "root", queue.Filter{Domain: "hamburger.edu"})
		if got, _ := b.taken(); retried != 1 || err != nil || len(got) != 1 || got[0].at != 0 || got[0].id != bob {
			t.Errorf("retry: %d, %v; attempts %+v", retried, err, got)
		}

		held, err := b.q.Hold(ctx, "root", "wait for the lawyer", queue.Filter{})
		time.Sleep(time.Hour)
		if got, _ := b.taken(); held != 2 || err != nil || len(got) != 0 {
			t.Errorf("hold: %d, %v; attempts %+v", held, err, got)
		}
		b.wantStats(queue.Stats{Held: 2})

		dropped, err := b.q.Drop(ctx, "root", queue.Filter{IDs: []mail.QueueID{carol}})
		if dropped != 1 || err != nil {
			t.Errorf("drop: %d, %v", dropped, err)
		}
		if _, err := b.q.Show(ctx, carol); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("show what was dropped: %v", err)
		}

		released, err := b.q.Release(ctx, "root", queue.Filter{})
		if got, _ := b.taken(); released != 1 || err != nil || len(got) != 1 {
			t.Errorf("release: %d, %v; attempts %+v", released, err, got)
		}
		b.stop()
		for _, event := range []string{"retried", "held", "dropped"} {
			if !strings.Contains(b.log.String(), "msg="+event+" queue_id=") || !strings.Contains(b.log.String(), "who=root") {
				t.Errorf("%q is not logged:\n%s", event, b.log)
			}
		}
	})
}

func TestOperatorLeavesAttemptsInFlightAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.before = func(context.Context, *mail.Message) { time.Sleep(time.Minute) }
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		for name, do := range map[string]func() (int, error){
			"drop":  func() (int, error) { return b.q.Drop(ctx, "root", queue.Filter{}) },
			"hold":  func() (int, error) { return b.q.Hold(ctx, "root", "", queue.Filter{}) },
			"retry": func() (int, error) { return b.q.Retry(ctx, "root", queue.Filter{}) },
		} {
			if n, err := do(); n != 0 || err != nil {
				t.Errorf("%s: %d, %v", name, n, err)
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
		if n, err := b.q.Hold(ctx, "root", "", queue.Filter{From: "*@crepes.fr"}); n != 1200 || err != nil {
			t.Errorf("hold: %d, %v", n, err)
		}
		if n, err := b.q.Drop(ctx, "root", queue.Filter{State: queue.Held}); n != 1200 || err != nil {
			t.Errorf("drop: %d, %v", n, err)
		}
		b.wantStats(queue.Stats{})
	})
}
