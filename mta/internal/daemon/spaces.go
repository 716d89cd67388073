package daemon

import (
	"context"
	"path/filepath"

	"github.com/wasmta/wasmta/mta/internal/kv"
	kvredis "github.com/wasmta/wasmta/mta/internal/kv/redis"
	"github.com/wasmta/wasmta/sdk/host"
)

// Spaces are what plugins remember, and what else the nodes of a queue share. The
// caller must Close it, and has Run run meanwhile.
type spaces interface {
	Space(name string) host.KV
	Run(ctx context.Context)
	Sync() error // returns once what was written is on stable storage
	Close() error
}

// openSpaces opens the embedded store, or that of the Redis that has the queue,
// which need not be there.
func (s *Server) openSpaces() (spaces, error) {
	q := &s.cfg.Queue
	if !q.Shared() {
		store, err := kv.Open(filepath.Join(s.cfg.State, "kv.bolt"), kv.Options{Log: s.log})
		if err != nil {
			return nil, err
		}
		return ownSpaces{store}, nil
	}
	store, err := kvredis.Open(kvredis.Options{URL: string(q.Store), Prefix: q.Prefix, Log: s.log})
	if err != nil {
		return nil, err
	}
	return sharedSpaces{store}, nil
}

type ownSpaces struct{ *kv.Store }

func (m ownSpaces) Space(name string) host.KV { return m.Store.Space(name) }

// Sync implements spaces.
func (m ownSpaces) Sync() error { return m.Flush() }

type sharedSpaces struct{ *kvredis.Store }

func (m sharedSpaces) Space(name string) host.KV { return m.Store.Space(name) }

// Run has nothing to do: all that is written is in Redis.
func (sharedSpaces) Run(context.Context) {}

// Sync has nothing to do either.
func (sharedSpaces) Sync() error { return nil }
