// Package kv is the embedded key-value store of plugins: what they remember
// from one message to the next. Each plugin has a space of its own. What the
// values mean is the plugins' matter.
//
// A plugin waits for memory and never for a disk: a write is in memory when it
// returns, and goes to the file with all others of the same second. A crash
// therefore loses what was written in about the last second, and nothing older.
// What went to the file together is there together or not at all. Close loses nothing.
package kv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmta/wasmta/mta/internal/bolt"
)

const (
	// flushEvery is how much a crash may lose. Greylisting asks a client to
	// wait for minutes.
	flushEvery = time.Second

	// maxPending is how many octets wait for the file at most; whoever writes
	// more than that in a second writes at the speed of the disk.
	maxPending = 16 << 20

	// recordCost is what a key costs beside its octets, in memory or in the
	// file.
	recordCost = 64
)

// Limits bound what one plugin can keep.
type Limits struct {
	Key    int   // octets of a key
	Value  int   // octets of a value
	Keys   int   // in all
	Octets int64 // of all keys and values, and [recordCost] for each
}

// DefaultLimits stand for the fields of [Limits] that are zero.
var DefaultLimits = Limits{
	Key:    512,       // two addresses of the longest kind, hashed or not
	Value:  64 << 10,  // small facts, not messages
	Keys:   2_000_000, // a month of greylisting on a site with 60,000 triplets a day
	Octets: 512 << 20, // those with 200 octets each, and some room
}

// WithDefaults has [DefaultLimits] for the fields that are zero.
func (l Limits) WithDefaults() Limits {
	d := DefaultLimits
	for _, f := range []struct{ value, otherwise *int }{{&l.Key, &d.Key}, {&l.Value, &d.Value}, {&l.Keys, &d.Keys}} {
		if *f.value <= 0 {
			*f.value = *f.otherwise
		}
	}
	if l.Octets <= 0 {
		l.Octets = d.Octets
	}
	return l
}

// Options are what a [Store] needs beside its file.
type Options struct {
	Limits Limits
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil: no log
}

// A Store keeps the spaces of all plugins. Open it with [Open] or [NewMemory].
// Safe for concurrent use.
type Store struct {
	limits Limits
	now    func() time.Time
	log    *slog.Logger
	file   *bolt.File // nil: it is in memory alone

	pending  atomic.Int64 // octets that wait for the file
	flushing sync.Mutex   // one at a time; taken before mu and a space's mu

	mu     sync.Mutex // guards spaces; taken before a space's mu
	spaces map[string]*Space
	failed bool // the last flush; guarded by flushing
}

// NewMemory returns a store that keeps nothing over its end, for tests and for
// runs without a server. It needs neither Run nor Close.
func NewMemory(o Options) *Store {
	s := &Store{limits: o.Limits.WithDefaults(), now: o.Now, log: o.Log, spaces: map[string]*Space{}}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Space is what the plugin of that name keeps. The name has no NUL.
func (s *Store) Space(name string) *Space {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp, ok := s.spaces[name]
	if !ok {
		sp = &Space{store: s, name: name, pending: map[string]record{}}
		s.spaces[name] = sp
	}
	return sp
}

// Run writes to the file what plugins wrote, every second, and takes out of it
// what has expired, until ctx ends. Without it both happen only as room is
// needed, and at Close.
func (s *Store) Run(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.Sweep()
			s.Flush() // logged there
		}
	}
}

// Close writes what is left and closes the file. No method may be called after
// it, and Run must have returned.
func (s *Store) Close() error {
	if s.file == nil {
		return nil
	}
	if err := errors.Join(s.Flush(), s.file.Close()); err != nil {
		return fmt.Errorf("close the plugins' store: %w", err)
	}
	return nil
}

// all are the spaces there are.
func (s *Store) all() []*Space {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Space, 0, len(s.spaces))
	for _, sp := range s.spaces {
		out = append(out, sp)
	}
	return out
}
