package shared

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// defer makes an attempt at an entry fail for now.
func (n *node) retry(id mail.QueueID, at time.Duration) {
	n.t.Helper()
	now := time.Now()
	e, err := n.store.Take(ctx, id, now, now.Add(lease))
	if err != nil {
		n.t.Fatalf("take %s: %v", id, err)
	}
	e.Attempts++
	e.Due = now.Add(at)
	if err := n.store.Update(ctx, e); err != nil {
		n.t.Fatalf("update %s: %v", id, err)
	}
}

// flushed has two nodes on a Redis that loses everything after before, while
// both can reach it or not.
func flushed(t *testing.T, before func(a, b *node), after func(a, b *node)) {
	synctest.Test(t, func(t *testing.T) {
		a := newNode(t, newServer())
		b := newNode(t, a.server)
		for _, n := range []*node{a, b} {
			n.run()
			defer func() { n.stop() }()
			n.settle(time.Second)
			n.want(OK)
		}
		before(a, b)
		a.server.flush()
		for _, n := range []*node{a, b} {
			n.claim() // it notices
			n.want(Emptied)
		}
		a.settle(20 * time.Second)
		for _, n := range []*node{a, b} {
			n.want(OK)
		}
		after(a, b)
	})
}

func TestWhatRedisLostIsPutBack(t *testing.T) {
	var mine, yours, changed, held *queue.Entry
	flushed(t, func(a, b *node) {
		mine, yours, changed, held = a.put(time.Time{}), b.put(time.Time{}), a.put(time.Time{}), b.put(time.Now().Add(lease))
		b.retry(changed.ID, time.Hour)
		finished := a.put(time.Time{})
		now := time.Now()
		e, err := b.store.Take(ctx, finished.ID, now, now.Add(lease))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.store.Remove(ctx, e); err != nil {
			t.Fatal(err)
		}
		a.wantPlaces(finished.ID, "copies")
		a.wantPlaces(held.ID, "redis")
	}, func(a, b *node) {
		if got, err := a.server.Get(ctx, changed.ID); err != nil || got.Attempts != 1 {
			t.Errorf("what b changed is %+v, %v", got, err)
		}
		a.wantDelivered("by a", mine.ID, yours.ID, held.ID)
		b.wantDelivered("by b")
		a.settle(time.Hour)
		b.wantDelivered("by b, an hour later", changed.ID)
		a.settle(2 * compareEvery)
		if stats, _ := a.copies.Stats(ctx, time.Now()); stats.Waiting != 0 {
			t.Errorf("%d copies are left", stats.Waiting)
		}
	})
}

// A node whose lease is in a Redis that was emptied has its result taken into
// account.
func TestAnAttemptIsUnderWayWhileRedisLosesAll(t *testing.T) {
	for name, finish := range map[string]bool{"finished": true, "changed": false} {
		t.Run(name, func(t *testing.T) {
			var e *queue.Entry
			synctest.Test(t, func(t *testing.T) {
				a := newNode(t, newServer())
				a.run()
				defer func() { a.stop() }()
				a.settle(time.Second)
				e = a.put(time.Now().Add(lease))
				b := newNode(t, a.server).use()
				a.server.flush()
				e.Attempts, e.Due = 1, time.Now().Add(time.Hour)
				if finish {
					e.Envelope.Recipients = nil
				}
				if err := a.store.Conclude(ctx, e, nil); err != nil {
					t.Fatal(err)
				}
				b.redis.views = a.server.epoch // it has nothing to put back, and waits for work
				for range 20 {
					a.settle(time.Second)
					if got := b.claim(); len(got) > 0 {
						t.Errorf("another node claimed it: %+v", got[0])
					}
				}
				if finish {
					a.wantPlaces(e.ID)
					return
				}
				a.wantPlaces(e.ID, "redis", "copies")
				if got, _ := a.server.Get(ctx, e.ID); got.Attempts != 1 {
					t.Errorf("it was put back as %+v", got)
				}
			})
		})
	}
}
