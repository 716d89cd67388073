// Package redis keeps the queue in Redis, for one node or many. It is a
// [queue.Store] and the limits that all nodes together have at a next hop. What
// to do while Redis is away is left to its caller.
//
// Every change is one script, which is atomic, and carries an operation ID, so
// that asking again after a lost answer changes nothing twice. An entry's shard,
// by [mail.QueueID.Shard], is its keys' hash tag, {q0} to {q31}, so that a
// Cluster spreads them. After PREFIX:{qN} come
//
//	:m                      what the shard is, and how many changes each node made
//	:e:ID                   an entry
//	:c:ID:…                 its content, in chunks, if that is too large for it
//	:i                      all IDs
//	:d:LANE :l :b           what waits, by lane and due time
//	:x :h                   what is leased, and what is held
//	:n                      how many entries lanes have
//	:g:ID :o:OP :k          what was answered, for calls that are repeated
//	:r                      nodes that put back entries
//	:f                      files of contents to be removed
//	:p:LANE :t:LANE         places, and messages that may go
//
// and PREFIX:nodes has the nodes that live. lua/core.lua tells of their fields.
//
// Times of the queue are the server's: a lease, and the wait until an entry is
// due, are handed over as how long they are by the caller's clock, and counted by
// the shard's, which never goes back. A node whose clock jumps neither steals
// leases nor loses them.
package redis

import (
	"cmp"
	"crypto/rand"
	_ "embed"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/redisurl"
)

// Durability is what Redis has to promise.
type Durability string

// The zero Durability is Strict.
const (
	Strict  Durability = "strict"  // acknowledged mail is on its disk
	Relaxed Durability = "relaxed" // whatever it is set to
)

// Defaults of the fields of [Options] that are zero.
const (
	DefaultPrefix       = "mta"
	DefaultDialTimeout  = 2 * time.Second
	DefaultReplyTimeout = 5 * time.Second // of a server that syncs for each answer, and may wait for its disk
	DefaultConnections  = 32              // to each server; changes share a few
	DefaultHeartbeat    = time.Second
	DefaultContentLimit = 1 << 20 // octets; Redis keeps all in memory
)

// Limits of what is said to Redis and what it says.
const (
	chunkSize = 512 << 10 // octets of a content in one request or reply
	inline    = 64 << 10  // octets of a content within its entry
	pageBytes = 512 << 10 // octets of records in one reply, but for a single one that is larger

	// chunkLife is how long chunks wait for the entry that they belong to.
	chunkLife = 10 * time.Minute

	// deadBeats is after how many missed heartbeats a node is no longer one.
	deadBeats = 5
)

// Options say where Redis is and what is asked of it.
type Options struct {
	URL        string     // redis://, rediss://, unix://, redis+sentinel://, redis+cluster://
	Durability Durability // what Redis has to promise
	Replicas   int        // how many have to have a change before it is acknowledged

	// Contents is a folder that all nodes share, and no other queue, for contents
	// over ContentLimit octets. Without one those go to Redis in chunks.
	Contents     string
	ContentLimit int64

	Node   string // this node's name, which no other has; default: the host's
	Prefix string // what all keys begin with
	Log    *slog.Logger

	DialTimeout  time.Duration
	ReplyTimeout time.Duration // from a request to the end of its reply
	Connections  int           // at most, to each server
	Heartbeat    time.Duration // how often a node shows that it lives

	// Emptied is called by Run, once a heartbeat until [Store.BeginRestore], for
	// each shard that is not what it was. It may be called for several at once.
	Emptied func(shard int)

	// Opened is called by Run for each lane that a node announced; see
	// [Store.Announce].
	Opened func(lane string)

	// CallersClock has times be those of the callers, as they are: for tests that
	// make up the time.
	CallersClock bool
}

func (o Options) withDefaults() (Options, error) {
	o.Durability = cmp.Or(o.Durability, Strict)
	o.Prefix = cmp.Or(o.Prefix, DefaultPrefix)
	o.DialTimeout = cmp.Or(o.DialTimeout, DefaultDialTimeout)
	o.ReplyTimeout = cmp.Or(o.ReplyTimeout, DefaultReplyTimeout)
	o.Connections = cmp.Or(o.Connections, DefaultConnections)
	o.Heartbeat = cmp.Or(o.Heartbeat, DefaultHeartbeat)
	o.ContentLimit = cmp.Or(o.ContentLimit, DefaultContentLimit)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Node == "" {
		name, err := os.Hostname()
		if err != nil {
			return o, fmt.Errorf("name of this node: %w", err)
		}
		o.Node = name
	}
	switch {
	case o.Durability != Strict && o.Durability != Relaxed:
		return o, fmt.Errorf("durability %q is neither strict nor relaxed", o.Durability)
	case o.Replicas < 0:
		return o, errors.New("replicas is below zero")
	}
	return o, nil
}

// A Store is a queue in Redis. Safe for concurrent use.
type Store struct {
	o       Options
	address *redisurl.URL
	client  redis.UniversalClient
	log     *slog.Logger
	ops     string // what this process's operation IDs begin with
	op      atomic.Uint64
	pipes   sync.WaitGroup // pipelines under way
	waitAOF atomic.Bool    // the server knows WAITAOF, and has an append-only file

	claiming sync.Mutex          // one Claim at a time
	pending  [mail.Shards]string // operations of claims whose answer was lost; guarded by claiming

	mu     sync.Mutex // guards what follows; never held during I/O
	closed bool
	pipe   map[*redis.Client]*pipe
	shards [mail.Shards]view
	mine   *[mail.Shards]bool      // the shards that this node schedules; nil: all of them
	given  map[mail.QueueID]string // operations of puts whose outcome is unknown
	runs   map[string]bool         // runs of servers that were seen
	calm   time.Time               // before then nothing is claimed
}

// A view is what this node knows of a shard.
type view struct {
	epoch string // which it is; empty: not known
	seq   int64  // how many changes of this node it has
}

// Open checks the options. It does not need Redis to be there.
func Open(o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	u, err := redisurl.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	quiet() // errors are returned; the client's own log lines have no queue ID and no level
	s := &Store{
		o: o, address: u, log: o.Log, ops: random(),
		pipe: map[*redis.Client]*pipe{}, given: map[mail.QueueID]string{}, runs: map[string]bool{},
	}
	if err := s.openContents(); err != nil {
		return nil, err
	}
	s.client = u.Client(s.options())
	return s, nil
}

// options are those that all kinds of servers share. go-redis makes no retries:
// what can be tried again is tried again here, under the same operation ID.
func (s *Store) options() *redis.UniversalOptions {
	o := s.address.Options()
	o.Protocol, o.DisableIdentity = 2, true
	o.MaxRetries, o.DialerRetries = -1, 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = s.o.DialTimeout, s.o.ReplyTimeout, s.o.ReplyTimeout
	o.PoolSize, o.MaxActiveConns, o.PoolTimeout = s.o.Connections, s.o.Connections, s.o.ReplyTimeout
	o.ContextTimeoutEnabled = true
	o.OnConnect = s.connected
	return o
}

var quiet = sync.OnceFunc(logging.Disable)

// Close ends all connections, having waited for what is under way. What it was
// asked to do after that is [ErrAway].
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.pipes.Wait()
	err := s.client.Close()
	if errors.Is(err, redis.ErrClosed) {
		return nil
	}
	return err
}

// newOp returns an ID that no other operation has.
func (s *Store) newOp() string { return s.ops + "." + strconv.FormatUint(s.op.Add(1), 36) }

func random() string {
	var b [10]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base32.StdEncoding.EncodeToString(b[:])
}

// OwnClock implements [queue.Clocked]: due times are by the clocks of the shards,
// which never go back.
func (s *Store) OwnClock() bool { return true }
