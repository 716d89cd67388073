package shared

import (
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// Causes for which Redis takes nothing new.
func TestStatesOfRedis(t *testing.T) {
	for _, tt := range []struct {
		fault fault
		want  State
		works bool // for what it has
	}{
		{full, Full, true},
		{readOnly, ReadOnly, false},
		{unsafe, Unsafe, false},
		{away, Away, false},
	} {
		t.Run(string(tt.want), func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *node) {
				there := n.put(time.Time{})
				n.redis.set(tt.fault)
				here := n.put(time.Time{})
				n.want(tt.want)
				n.settle(time.Minute)
				n.want(tt.want)
				n.wantPlaces(here.ID, "spool")
				want := []mail.QueueID{here.ID}
				if tt.works {
					want = append(want, there.ID)
				}
				if lacks := n.store.Lacks(); (lacks == "") != tt.works {
					t.Errorf("the operator is told of a part that is missing: %q", lacks)
				}
				n.wantDelivered("meanwhile", want...)
				last := n.put(time.Time{})
				n.redis.set(works)
				n.settle(20 * time.Second)
				n.want(OK)
				n.wantPlaces(last.ID, "redis", "copies")
			})
		})
	}
}

// Only the first client waits for a Redis that does not answer.
func TestClientsDoNotWaitForASlowRedis(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		n.redis.set(slow)
		for i, most := range []time.Duration{DefaultPutLimit, 0, 0, 0} {
			began := time.Now()
			n.put(time.Time{})
			if took := time.Since(began); took > most {
				t.Errorf("put %d took %v", i, took)
			}
		}
	})
}
