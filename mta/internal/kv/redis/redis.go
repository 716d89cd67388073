// Package redis is the key-value store of plugins in Redis, shared by all nodes:
// what package kv is on one. It behaves as that does, but for these:
//
//   - A call waits for the network, up to [Options.Timeout]. While Redis is away
//     it is [ErrAway], at once after the first that waited in vain.
//   - Each call is atomic and in Redis when it returns. What Redis loses in a crash
//     or a failover is what its own settings allow.
//   - Values end by the clock of Redis.
//   - The limits of a space are kept by each of its [parts], 5/4 of its share in
//     each: a plugin that keeps much, of whatever kind, is stopped between its
//     limit and a quarter above.
package redis

import (
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/wasmta/wasmta/mta/internal/kv"
	"github.com/wasmta/wasmta/mta/internal/redisurl"
)

// Defaults of the fields of [Options] that are zero.
const (
	DefaultPrefix      = "mta"
	DefaultTimeout     = 2 * time.Second // a session waits for it, and the stage's own time goes on
	DefaultConnections = 16              // to each server: as many calls at once
)

const (
	// parts is how many pieces a space is divided into, each with a hash tag: so
	// many nodes of a Cluster can share one.
	parts = 64

	// rest is how long nobody asks again after a call that waited in vain.
	rest = 500 * time.Millisecond

	// maxTries is how often a call is sent whose answer was lost. An operation that
	// must not be made twice bears an ID.
	maxTries = 2
)

// ErrAway says that Redis did not answer, or that it cannot do anything now. What
// was asked may have been done.
var ErrAway = errors.New("the plugins' store in Redis is away")

// Options say where Redis is.
type Options struct {
	URL         string // as package redisurl has it
	Prefix      string // what all keys begin with
	Limits      kv.Limits
	Timeout     time.Duration // of one call
	Connections int
	Log         *slog.Logger // nil: no log

	Now func() time.Time // nil: the clock of Redis; for tests
}

// A Store keeps the spaces of all plugins. Open it with [Open]. Safe for
// concurrent use.
type Store struct {
	o      Options
	client redis.UniversalClient
	ops    string // what this process's operation IDs begin with
	op     atomic.Uint64

	mu    sync.Mutex // guards what follows; never held during I/O
	away  bool
	until time.Time // nobody asks before then
}

// Open checks the options. It does not need Redis to be there. The caller must
// Close the store.
func Open(o Options) (*Store, error) {
	o.Prefix = cmp.Or(o.Prefix, DefaultPrefix)
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.Connections = cmp.Or(o.Connections, DefaultConnections)
	o.Limits = o.Limits.WithDefaults()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	u, err := redisurl.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("the plugins' store: %w", err)
	}
	c := u.Options()
	c.Protocol, c.DisableIdentity = 2, true
	c.MaxRetries, c.DialerRetries = -1, 1
	c.DialTimeout, c.ReadTimeout, c.WriteTimeout, c.PoolTimeout = o.Timeout, o.Timeout, o.Timeout, o.Timeout
	c.PoolSize, c.MaxActiveConns = o.Connections, o.Connections
	c.ContextTimeoutEnabled = true
	return &Store{o: o, client: u.Client(c), ops: rand.Text()}, nil
}

// Close ends all connections. No method may be called after it.
func (s *Store) Close() error {
	if err := s.client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return fmt.Errorf("close the plugins' store: %w", err)
	}
	return nil
}

// Space is what the plugin of that name keeps.
func (s *Store) Space(name string) *Space { return &Space{store: s, name: name} }

//go:embed lua
var sources embed.FS

func script(name string) *redis.Script { return redis.NewScript(source("lib") + source(name)) }

func source(name string) string {
	text, err := sources.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // they are in the program
	}
	return string(text)
}

var (
	getScript    = script("get")
	setScript    = script("set")
	deleteScript = script("delete")
	addScript    = script("add")
	swapScript   = script("swap")
)

// newOp returns an ID that no other operation has.
func (s *Store) newOp() string { return s.ops + "." + strconv.FormatUint(s.op.Add(1), 36) }

// run runs a script in bounded time and returns its answer, of one field at
// least.
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, args []any) ([]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.resting() {
		return nil, ErrAway
	}
	bounded, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	answer, err := s.try(bounded, script, keys, args)
	if err == nil {
		s.answered()
		return answer, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err // whose time is over; that says nothing of Redis
	}
	if _, said := errors.AsType[redis.Error](err); !said {
		s.failed(err)
	}
	return nil, fmt.Errorf("%w: %w", ErrAway, err)
}

// try asks again where an answer was lost.
func (s *Store) try(ctx context.Context, script *redis.Script, keys []string, args []any) ([]any, error) {
	for n := 1; ; n++ {
		answer, err := script.Run(ctx, s.client, keys, args...).Slice()
		if err == nil && len(answer) == 0 {
			return nil, errors.New("an empty answer")
		}
		if _, said := errors.AsType[redis.Error](err); err == nil || said || n == maxTries || ctx.Err() != nil {
			return answer, err
		}
	}
}

func (s *Store) resting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away && time.Now().Before(s.until)
}

// failed has nobody ask for a while: those who wait hold sessions.
func (s *Store) failed(err error) {
	s.mu.Lock()
	before := s.away
	s.away, s.until = true, time.Now().Add(rest)
	s.mu.Unlock()
	if !before {
		s.o.Log.Error("the plugins' store in Redis is away", "err", err)
	}
}

func (s *Store) answered() {
	s.mu.Lock()
	before := s.away
	s.away = false
	s.mu.Unlock()
	if before {
		s.o.Log.Warn("the plugins' store in Redis is back")
	}
}
