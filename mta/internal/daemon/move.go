package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/wasmta/wasmta/mta/internal/admin"
	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/redis"
	"github.com/wasmta/wasmta/mta/internal/queue/shared"
	"github.com/wasmta/wasmta/mta/internal/queue/spool"
)

// MoveQueue carries the queue from another store into that of the file: from the
// spool of the state folder, or from a Redis by its URL and the prefix of its keys.
// The server of the file must not run.
func MoveQueue(ctx context.Context, cfg *config.Config, from, prefix string, log *slog.Logger, done func(queue.Moved)) (queue.Moved, error) {
	if from == string(cfg.Queue.Store) && (from == config.Spool || prefix == cfg.Queue.Prefix) {
		return queue.Moved{}, fmt.Errorf("%s keeps its queue there already; write the new store into it first", cfg.File)
	}
	if err := makeFolders(cfg.State); err != nil {
		return queue.Moved{}, err
	}
	socket, err := admin.ListenSocket(cfg.State) // nobody is running, or will be meanwhile
	if err != nil {
		return queue.Moved{}, err
	}
	defer socket.Close()
	source, err := openSource(cfg, from, prefix, log)
	if err != nil {
		return queue.Moved{}, err
	}
	defer source.Close()
	target, err := openTarget(ctx, cfg, log)
	if err != nil {
		return queue.Moved{}, err
	}
	defer target.Close()
	if err := decide(ctx, cfg, source, target, log); err != nil {
		return queue.Moved{}, err
	}
	moved, err := queue.Move(ctx, source, target, done)
	if old, shared := source.(*redis.Store); shared && err == nil && moved.Active+moved.Damaged == 0 {
		err = dropCopies(cfg.State, old.Place()) // it has lost nothing that they should be put back for
	}
	return moved, err
}

// decide has Redis say what becomes of entries that the spool of the state folder
// may have in common with it, since a server stopped while it was away. That is the
// Redis that is moved from, else the one that is moved to.
func decide(ctx context.Context, cfg *config.Config, source, target queue.Store, log *slog.Logger) error {
	here, _ := source.(*spool.Store)
	there, _ := target.(*redis.Store)
	if old, shared := source.(*redis.Store); shared {
		there = old
		here, _ = target.(*spool.Store)
	}
	if here == nil { // it is from Redis to Redis
		store, err := openSpool(cfg, log)
		if err != nil {
			return err
		}
		defer store.Close()
		here = store
	}
	n, err := shared.Pending(ctx, here)
	if n == 0 || err != nil {
		return err
	}
	if last, err := lastPlace(cfg.State); err != nil || last != "" && last != there.Place() {
		return errors.Join(err, fmt.Errorf("the spool may have %d messages in common with the Redis at %s; move from that one first: mta queue move --from URL", n, last))
	}
	left, err := shared.Reconcile(ctx, shared.Options{Redis: &shared.Judge{Store: there, Relaxed: true, Log: log}, Spool: here, Log: log})
	if err == nil && left > 0 {
		err = fmt.Errorf("another node attempts %d messages that the spool may have, too; stop it, and run this again", left)
	}
	return err
}

func openSource(cfg *config.Config, from, prefix string, log *slog.Logger) (queue.Store, error) {
	if from == config.Spool {
		store, err := spool.Open(filepath.Join(cfg.State, "queue"), log)
		if err != nil {
			return nil, fmt.Errorf("queue: %w", err)
		}
		return store, nil
	}
	return redis.Open(redis.Options{
		URL: from, Prefix: prefix, Durability: redis.Relaxed, Contents: cfg.Queue.Contents, Node: cfg.Queue.Node, Log: log,
	})
}

// openTarget opens the store of the file. A Redis has to be there, and to be as
// durable as the file says.
func openTarget(ctx context.Context, cfg *config.Config, log *slog.Logger) (queue.Store, error) {
	if !cfg.Queue.Shared() {
		store, err := openSpool(cfg, log)
		if err != nil {
			return nil, err
		}
		return store, nil
	}
	store, err := openRedis(cfg, log, func(int) {}, nil)
	if err != nil {
		return nil, err
	}
	if err := checkRedis(ctx, cfg, store); err != nil {
		store.Close()
		return nil, err
	}
	return store, nil
}
