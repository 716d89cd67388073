package shared

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// What a server that was stopped while Redis was away left in its spool is decided
// before the spool or Redis is moved.
func TestReconcile(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fault // of the last call
		act   func(n *node, f fault) mail.QueueID
		want  []string
	}{
		{"never asked to take", away, putInto, []string{"spool"}},
		{"in doubt, and redis has it", lostReply, putInto, []string{"redis"}},
		{"in doubt, and redis has it not", lostCall, putInto, []string{"spool stay"}},
		{"finished", away, finish, []string{"copies"}},
		{"deferred", away, deferOne, []string{"redis", "copies"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, newServer()).use()
				id := tt.act(n, tt.fault)
				n.redis.set(away)
				o := Options{Redis: n.redis, Spool: n.spool, Log: n.log}
				pending, err := Pending(ctx, n.spool)
				if undecided := tt.name != "never asked to take"; err != nil || pending > 0 != undecided {
					t.Errorf("%d pending, %v", pending, err)
				}
				if _, err := Reconcile(ctx, o); (err == nil) != (pending == 0) {
					t.Errorf("without redis: %v", err)
				}
				n.redis.set(works)
				if left, err := Reconcile(ctx, o); left != 0 || err != nil {
					t.Errorf("%d left, %v", left, err)
				}
				n.redis.arriveLate()
				n.wantPlaces(id, tt.want...)
			})
		})
	}
}

func putInto(n *node, f fault) mail.QueueID {
	n.redis.set(f)
	return n.put(time.Time{}).ID
}

func finish(n *node, f fault) mail.QueueID {
	e := n.put(time.Now().Add(lease))
	n.redis.set(f)
	if err := n.store.Remove(ctx, e); err != nil {
		n.t.Fatal(err)
	}
	return e.ID
}

func deferOne(n *node, f fault) mail.QueueID {
	e := n.put(time.Now().Add(lease))
	n.redis.set(f)
	e.Attempts, e.Due = 1, time.Now().Add(time.Hour)
	if err := n.store.Update(ctx, e); err != nil {
		n.t.Fatal(err)
	}
	return e.ID
}
