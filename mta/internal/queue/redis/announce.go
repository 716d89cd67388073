package redis

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// announcedLife is how long nodes can hear of a lane: one that cannot ask Redis
	// for longer probes its next hops meanwhile.
	announcedLife = 15 * time.Minute

	// maxAnnounced is how many lanes nodes can hear of; the oldest are forgotten.
	maxAnnounced = 1000
)

var announceScript = redis.NewScript(source("announce"))

// Announce tells all nodes that a lane is to be tried again, whatever they know of
// its next hop: within a heartbeat their Run calls [Options.Opened]. It need not
// last: a node that does not hear of it tries in time all the same.
func (s *Store) Announce(ctx context.Context, lane string) error {
	err := announceScript.Run(ctx, s.client, []string{s.announced()}, lane, announcedLife.Microseconds(), maxAnnounced).Err()
	if err != nil {
		return away("", err)
	}
	return nil
}

func (s *Store) announced() string { return s.o.Prefix + ":opened" }

// hear tells of the lanes that were announced since then, and returns until when it
// has.
func (s *Store) hear(ctx context.Context, since float64) float64 {
	if s.o.Opened == nil {
		return since
	}
	lanes, err := s.client.ZRangeByScoreWithScores(ctx, s.announced(), &redis.ZRangeBy{
		Min: "(" + strconv.FormatFloat(since, 'f', 0, 64), Max: "+inf", Count: maxAnnounced,
	}).Result()
	if err != nil {
		if ctx.Err() == nil {
			s.log.Debug("queue store", "err", away("", err))
		}
		return since
	}
	for _, l := range lanes {
		since = max(since, l.Score)
		if name, ok := l.Member.(string); ok {
			s.o.Opened(name)
		}
	}
	return since
}
