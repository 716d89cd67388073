package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/metrics"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/redis"
	"github.com/wasmta/wasmta/mta/internal/queue/shared"
	"github.com/wasmta/wasmta/mta/internal/queue/spool"
)

// firstLook is how long a start waits for Redis to say how it is set. One that
// does not answer is no reason not to start.
const firstLook = 5 * time.Second

// openStore opens what keeps the queue: the spool, and with it the Redis that
// the file names.
func (s *Server) openStore(ctx context.Context) error {
	here, err := openSpool(s.cfg, s.log)
	if err != nil {
		return err
	}
	s.store = here
	if !s.cfg.Queue.Shared() {
		return nil
	}
	emptied := func(int) {} // until the store is there, nobody can be told
	there, err := openRedis(s.cfg, s.log, func(shard int) { emptied(shard) }, s.opened)
	if err != nil {
		return err
	}
	s.store = closing{here, there}
	if err := checkRedis(ctx, s.cfg, there); err != nil {
		return err
	}
	if err := changePlace(s.cfg.State, there.Place(), s.log); err != nil {
		return err
	}
	copies, err := openCopies(filepath.Join(s.cfg.State, copiesDir), s.log)
	if err != nil {
		return err
	}
	s.store = closing{s.store, copies}
	s.shared, err = shared.Open(ctx, shared.Options{
		Redis: &shared.Judge{Store: there, Relaxed: s.relaxed(), Log: s.log}, Spool: here, Copies: copies, Log: s.log,
		Marks: filepath.Join(s.cfg.State, marksFile), Place: there.Place(),
	})
	if err != nil {
		return err
	}
	s.store, s.limits, emptied = s.shared, there.Limits(), s.shared.Emptied
	s.metrics.WatchStore(s.storeState)
	return nil
}

// closing closes two stores, in a start that fails.
type closing struct {
	queue.Store
	also queue.Store
}

func (c closing) Close() error { return errors.Join(c.Store.Close(), c.also.Close()) }

func (s *Server) relaxed() bool { return s.cfg.Queue.Durability == string(redis.Relaxed) }

func openSpool(cfg *config.Config, log *slog.Logger) (*spool.Store, error) {
	store, err := spool.Open(filepath.Join(cfg.State, "queue"), log)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	return store, nil
}

// openRedis makes the client of the Redis of the file. It does not need Redis to
// be there.
func openRedis(cfg *config.Config, log *slog.Logger, emptied func(int), opened func(lane string)) (*redis.Store, error) {
	q := &cfg.Queue
	store, err := redis.Open(redis.Options{
		URL: string(q.Store), Durability: redis.Durability(q.Durability), Replicas: q.Replicas,
		Contents: q.Contents, ContentLimit: int64(q.ContentLimit), Node: q.Node, Prefix: q.Prefix,
		Log: log, Emptied: emptied, Opened: opened,
	})
	if err != nil {
		what := strings.TrimPrefix(err.Error(), "redis: ")
		return nil, config.Findings{cfg.Finding("queue.store", what, "write spool, or redis://host:port/0")}
	}
	return store, nil
}

// checkRedis refuses a Redis that refuses the login, and one that would lose
// acknowledged mail, unless the file says that this may be. One that is away is
// looked at once it is back.
func checkRedis(ctx context.Context, cfg *config.Config, store *redis.Store) error {
	if cfg.Queue.Durability == string(redis.Relaxed) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, firstLook)
	defer cancel()
	found, err := store.Check(ctx)
	if errors.Is(err, redis.ErrLogin) {
		return config.Findings{cfg.Finding("queue.store", redis.ErrLogin.Error(), "write redis://user:password@host:port/0 as the server has them")}
	}
	if err != nil {
		return nil
	}
	var refused config.Findings
	for _, f := range found {
		if f.Loses {
			what, cure, _ := cutLast(f.String(), "; ")
			refused = append(refused, cfg.Finding("queue.store", what, cmp.Or(cure, "write durability: relaxed")))
		}
	}
	return refused.Err()
}

// cutLast is [strings.Cut] at the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// checkStore is what a start refuses about the store of the queue.
func checkStore(ctx context.Context, cfg *config.Config, log *slog.Logger) error {
	if !cfg.Queue.Shared() {
		return nil
	}
	store, err := openRedis(cfg, log, nil, nil)
	if err != nil {
		return err
	}
	defer store.Close()
	return checkRedis(ctx, cfg, store)
}

// opened hears from another node that an operator has a next hop tried again. Only
// runStore calls it, so the queue is there.
func (s *Server) opened(lane string) { s.queue.Opened(context.Background(), lane) }

// runStore does what goes on between Redis and the spool.
func (s *Server) runStore(ctx context.Context) {
	if s.shared != nil {
		s.shared.Run(ctx)
	}
}

// storeState is how Redis and the spool stand to each other.
func (s *Server) storeState() (metrics.StoreState, error) {
	st, err := s.shared.Status(context.Background())
	if err != nil {
		return metrics.StoreState{}, err
	}
	states := map[string]bool{}
	for _, state := range shared.States {
		states[string(state)] = state == st.State
	}
	c := s.shared.Counts()
	return metrics.StoreState{
		States: states, In: time.Since(st.Since), Spool: st.Spool, Doubts: st.Doubts, Copies: st.Copies,
		Puts:         map[string]int64{"redis": c.PutShared.Load(), "spool": c.PutSpool.Load(), "doubt": c.Doubts.Load()},
		Settled:      map[string]int64{"redis": c.SettledThere.Load(), "spool": c.SettledHere.Load(), "late": c.Late.Load()},
		Results:      map[string]int64{"kept": c.Results.Load(), "applied": c.Applied.Load(), "overtaken": c.Overtaken.Load()},
		Doubled:      c.Doubled.Load(),
		HandedOver:   c.HandedOver.Load(),
		PutBack:      c.PutBack.Load(),
		CopiesFailed: c.CopiesFailed.Load(),
	}, nil
}
