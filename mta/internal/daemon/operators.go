package daemon

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/wasmta/wasmta/mta/internal/admin"
	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/kv"
	"github.com/wasmta/wasmta/mta/internal/standing"
)

// standingFile has this node's copy of standing orders that are kept in Redis.
const standingFile = "standing.bolt"

// openStanding reads the standing orders from where plugins' values are kept. One
// that shares them with others goes by a copy while they cannot be read.
func (s *Server) openStanding(ctx context.Context) error {
	s.standing = &standing.Orders{KV: s.kv.Space(standing.Space), Sync: s.kv.Sync, Log: s.log}
	if s.cfg.Queue.Shared() {
		var err error
		if s.orders, err = kv.Open(filepath.Join(s.cfg.State, standingFile), kv.Options{Log: s.log}); err != nil {
			return err
		}
		s.standing.Copy = s.orders.Space(standing.Space)
	}
	if err := s.standing.Load(ctx); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	return nil
}

// runStanding keeps the standing orders up to date until ctx ends.
func (s *Server) runStanding(ctx context.Context) {
	if s.orders != nil {
		stop := background(s.orders.Run)
		defer stop()
	}
	s.standing.Run(ctx)
}

// tokens are those of operators who come from elsewhere.
func tokens(cfg *config.Config) []admin.Token {
	var all []admin.Token
	for _, t := range cfg.Admin.Tokens {
		all = append(all, admin.Token{Name: t.Name, Hash: string(t.Hash)})
	}
	for _, t := range cfg.Admin.Readers {
		all = append(all, admin.Token{Name: t.Name, Hash: string(t.Hash), May: admin.LookOnly})
	}
	return all
}
