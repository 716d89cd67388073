package redis

import (
	"context"
	"errors"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// maxNodes is how many nodes take part in scheduling.
const maxNodes = 256

var (
	nodeScript  = redis.NewScript(source("node"))
	probeScript = newScript("probe", false)
)

// Run shows the other nodes that this one lives, and learns which shards are its
// to schedule, until ctx is done. It looks after each shard, and tells
// [Options.Emptied] of those that are not what they were. A store that Run is not
// called for schedules all shards.
func (s *Store) Run(ctx context.Context) {
	ticker := time.NewTicker(s.o.Heartbeat)
	defer ticker.Stop()
	var swept time.Time
	heard := 0.0 // until when it knows of lanes that were announced
	for {
		s.beat(ctx)
		heard = s.hear(ctx, heard)
		s.unlinkReleased(ctx)
		if time.Since(swept) > sweepEvery {
			s.sweepContents(ctx, time.Now().Add(-orphanAge))
			swept = time.Now()
		}
		select {
		case <-ctx.Done():
			s.resign()
			return
		case <-ticker.C:
		}
	}
}

func (s *Store) beat(ctx context.Context) {
	nodes, err := s.register(ctx, deadBeats*s.o.Heartbeat)
	switch {
	case err == nil:
		s.divide(nodes)
	case ctx.Err() == nil:
		s.log.Debug("queue store", "err", err) // what was known of the nodes holds
		return
	}
	s.each(everyShard(), func(shard int) error {
		_, err := s.run(ctx, probeScript, shard, zero, "")
		if errors.Is(err, ErrEmptied) && s.o.Emptied != nil {
			s.o.Emptied(shard)
		}
		return err
	})
}

// resign has the other nodes take over at once.
func (s *Store) resign() {
	ctx, cancel := context.WithTimeout(context.Background(), s.o.DialTimeout)
	defer cancel()
	if _, err := s.register(ctx, 0); err != nil {
		s.log.Debug("queue store", "err", err)
	}
}

func (s *Store) register(ctx context.Context, life time.Duration) ([]string, error) {
	key := s.o.Prefix + ":nodes"
	nodes, err := nodeScript.Run(ctx, s.client, []string{key}, s.o.Node, life.Microseconds(), maxNodes).StringSlice()
	if err != nil {
		return nil, away("", err)
	}
	return nodes, nil
}

// divide notes which shards are this node's: of each shard all nodes rank all
// nodes by a hash, so that they agree, and that only those of a node that comes
// or goes change hands. Where they do not agree, for a moment, two nodes claim
// from one shard, each what the other has not.
func (s *Store) divide(nodes []string) {
	var mine [mail.Shards]bool
	for shard := range mine {
		best, rank := s.o.Node, uint64(0)
		for _, node := range nodes {
			if r := weight(node, shard); r > rank || r == rank && node < best {
				best, rank = node, r
			}
		}
		mine[shard] = best == s.o.Node
	}
	s.mu.Lock()
	s.mine = &mine
	s.mu.Unlock()
}

func weight(node string, shard int) uint64 {
	h := fnv.New64a()
	h.Write([]byte(node + " " + strconv.Itoa(shard)))
	x := h.Sum64() // whose last characters move little
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return x
}

// scheduled are the shards that are this node's.
func (s *Store) scheduled() []int {
	s.mu.Lock()
	mine := s.mine
	s.mu.Unlock()
	if mine == nil {
		return everyShard()
	}
	var out []int
	for shard, is := range mine {
		if is {
			out = append(out, shard)
		}
	}
	return out
}
