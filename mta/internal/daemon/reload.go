package daemon

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/delivery"
	"github.com/wasmta/wasmta/mta/internal/lookup"
	"github.com/wasmta/wasmta/mta/internal/postqueue"
	"github.com/wasmta/wasmta/sdk/host"
)

// newGeneration builds what a reload replaces.
func (s *Server) newGeneration(ctx context.Context, cfg *config.Config) (*generation, error) {
	p, runtime, err := loadPipeline(ctx, cfg, surroundings{
		observer: s.metrics.Pipeline(), log: s.log,
		kv:       func(plugin string) host.KV { return s.kv.Space(plugin) },
		resolver: lookup.New(dnsServer(cfg)),
		metrics:  func(stage string) host.Metrics { return s.metrics.Plugin(stage) },
	})
	if err != nil {
		return nil, err
	}
	dir, err := s.newDirectory(cfg)
	if err != nil {
		runtime.Close(ctx)
		return nil, err
	}
	r, endRelay := s.newRelay(cfg)
	router := &delivery.Router{Directory: places{dir}, Inbox: s.mailboxes, Relay: r, Log: s.log, Observer: s.metrics.Delivery()}
	return &generation{
		pipeline:  p.session,
		hooks:     postqueue.Hooks{Stages: p.queued},
		stages:    len(cfg.Pipeline),
		directory: dir,
		deliverer: &postqueue.Deliverer{Stages: p.queued, Local: places{dir}.account, Next: router},
		lane:      router.Lane,
		tokens:    tokens(cfg),
		close: func(ctx context.Context) {
			if err := errors.Join(endRelay(), runtime.Close(ctx)); err != nil {
				s.log.Warn("close the old pipeline", "err", err)
			}
		},
	}, nil
}

// Reload reads the file and the plugins again and uses them from the next
// message on, without dropping a session. If the file does not check, or a
// plugin does not load, everything stays as it is and the error says why.
// Addresses, limits and what the queue is kept in are those of the start.
func (s *Server) Reload(ctx context.Context) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	err := s.reload(ctx)
	s.metrics.Reloaded(err == nil, time.Now())
	if err != nil {
		s.log.Error("reload failed, the old pipeline stays", "err", err)
		return err
	}
	s.log.Info("reloaded", "pipeline", s.cfg.File, "stages", len(s.loaded.Pipeline))
	return nil
}

func (s *Server) reload(ctx context.Context) error {
	cfg, findings := LoadConfig(s.cfg.File)
	if len(findings) > 0 {
		return findings
	}
	gen, err := s.newGeneration(ctx, cfg)
	if err != nil {
		return err
	}
	err = refuseDemo(ctx, s.cfg, gen.directory)
	if err == nil {
		err = s.tls.load(cfg) // the last that can fail: it takes effect at once
	}
	if err != nil {
		gen.close(ctx)
		return err
	}
	if changed := needRestart(s.cfg, cfg); len(changed) > 0 {
		s.log.Warn("these changes take a restart", "keys", changed)
	}
	before := s.current.replace(gen)
	s.loaded = cfg
	s.retired.Go(func() { s.current.retire(context.WithoutCancel(ctx), before) })
	return nil
}

// needRestart names the keys whose change a reload does not take up.
func needRestart(running, next *config.Config) []string {
	var changed []string
	for _, k := range []struct {
		name string
		a, b any
	}{
		{"hostname", running.Hostname, next.Hostname},
		{"state", running.State, next.State},
		{"listen", running.Listen, next.Listen},
		{"limits", running.Limits, next.Limits},
		{"queue", running.Queue, next.Queue},
		{"postmaster", running.DoubleBounces(), next.DoubleBounces()},
		{"relay.allow", running.Relay.Allow, next.Relay.Allow},
		{"log", running.Log, next.Log},
		{"tls (added or removed)", running.TLS.Enabled(), next.TLS.Enabled()},
	} {
		if !reflect.DeepEqual(k.a, k.b) {
			changed = append(changed, k.name)
		}
	}
	return changed
}
