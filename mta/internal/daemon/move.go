package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/wasmta/wasmta/mta/internal/admin"
	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/redis"
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
	return queue.Move(ctx, source, target, done)
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
	store, err := openRedis(cfg, log, func(int) {})
	if err != nil {
		return nil, err
	}
	if err := checkRedis(ctx, cfg, store); err != nil {
		store.Close()
		return nil, err
	}
	return store, nil
}
