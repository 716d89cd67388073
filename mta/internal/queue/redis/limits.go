package redis

import (
	"context"
	"hash/fnv"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

var (
	placesScript = newScript("places", false)
	giveScript   = newScript("give", false)
	spendScript  = newScript("spend", false)
)

// burstPart is which part of a rate may come at once, as where one node is alone.
const burstPart = 10

// Limits are what all nodes together may do at a next hop, kept beside the queue.
// Safe for concurrent use.
type Limits struct{ s *Store }

var _ queue.Limits = Limits{}

// Limits returns the limits that are kept with s.
func (s *Store) Limits() Limits { return Limits{s} }

// laneShard is where a lane's limits are kept.
func laneShard(lane string) int {
	h := fnv.New32a()
	h.Write([]byte(lane))
	return int(h.Sum32() % mail.Shards)
}

// Take implements [queue.Limits]. Places come back when their time is over by the
// server's clock, also those of a node that is no more.
func (l Limits) Take(ctx context.Context, lane string, want, most int, until time.Time) (got int, err error) {
	now := time.Now()
	a, err := l.s.run(ctx, placesScript, laneShard(lane), now, "", lane, want, most, l.s.from(until, now))
	if err != nil || len(a.rest) == 0 {
		return 0, err
	}
	return int(number(a.rest[0])), nil
}

// Give implements [queue.Limits].
func (l Limits) Give(ctx context.Context, lane string, n int) error {
	_, err := l.s.run(ctx, giveScript, laneShard(lane), zero, "", lane, n)
	return err
}

// Spend implements [queue.Limits].
func (l Limits) Spend(ctx context.Context, lane string, want int, rate queue.Rate) (got int, next time.Time, err error) {
	burst := max(rate.Messages/burstPart, 1)
	a, err := l.s.run(ctx, spendScript, laneShard(lane), time.Now(), "", lane, want, rate.Messages, rate.Per.Microseconds(), burst)
	if err != nil || len(a.rest) < 2 {
		return 0, time.Time{}, err
	}
	if got = int(number(a.rest[0])); got < want {
		next = l.s.local(a, number(a.rest[1]))
	}
	return got, next, nil
}
