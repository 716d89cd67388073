package redis

import (
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// What replicas confirmed is there after a failover, and the store finds the next
// master by itself.
func TestFailover(t *testing.T) {
	r := redistest.NewReplicated(t, redistest.Options{}, 2)
	s := real(t, Options{URL: r.URL(), Replicas: 1, DialTimeout: time.Second})
	var all []*queue.Entry
	for range 20 {
		all = append(all, put(t, s))
	}
	master, err := r.Master()
	must(t, err, master.Kill(), r.Failover())
	await(t, func() bool { return s.Put(ctx, message(), mail.Bytes(hello), time.Time{}) == nil })
	for _, e := range all {
		if err := s.Update(ctx, e); err != nil { // under the lease from before
			t.Errorf("update %s after the failover: %v", e.ID, err)
		}
	}
}

// A shard that moves within a Cluster is followed.
func TestShardMoves(t *testing.T) {
	c := redistest.NewCluster(t, redistest.Options{}, 3)
	s := real(t, Options{URL: c.URL()})
	e := message()
	shard := e.ID.Shard()
	if _, err := s.run(ctx, probeScript, shard, zero, ""); err != nil { // it knows where it is, and nothing is there
		t.Fatal(err)
	}
	slot, err := c.Servers[0].Do("CLUSTER", "KEYSLOT", s.key(shard))
	must(t, err)
	owner := int(slot.(int64)) * 3 / 16384
	next := c.Servers[(owner+1)%3]
	id, err := next.Do("CLUSTER", "MYID")
	must(t, err)
	for _, server := range []*redistest.Server{next, c.Servers[owner], c.Servers[(owner+2)%3]} {
		if _, err := server.Do("CLUSTER", "SETSLOT", slot, "NODE", id); err != nil {
			t.Fatal(err)
		}
	}
	must(t, s.Put(ctx, e, mail.Bytes(hello), time.Time{}))
	if n, err := next.Do("CLUSTER", "COUNTKEYSINSLOT", slot); err != nil || n.(int64) == 0 {
		t.Errorf("where the shard is now are %v keys, %v", n, err)
	}
}
