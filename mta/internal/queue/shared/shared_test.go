package shared

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/queuetest"
	"github.com/wasmta/wasmta/mta/internal/queue/redis"
)

var ctx = context.Background()

// A node is one server of several that share a Redis.
type node struct {
	t             rapid.TB
	log           *slog.Logger
	server        *server
	redis         *client
	spool, copies *memory
	store         *Store
	stop          func()
}

func newNode(t testing.TB, v *server) *node {
	n := &node{t: t, server: v, redis: v.connect(), spool: newMemory(), copies: newMemory()}
	n.log = slog.New(slog.NewTextHandler(testLog{t}, nil))
	n.open()
	return n
}

func (n *node) open() {
	n.t.Helper()
	s, err := Open(ctx, Options{Redis: n.redis, Spool: n.spool, Copies: n.copies, Log: n.log})
	if err != nil {
		n.t.Fatal(err)
	}
	n.store = s
}

// run starts the background work.
func (n *node) run() {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		n.store.Run(ctx)
		close(done)
	}()
	n.stop = func() {
		cancel()
		<-done
		n.stop = nil
	}
}

// use has Redis be there from the first call on, without background work.
func (n *node) use() *node {
	n.store.link.set(OK, nil)
	return n
}

// Both stores together are one: whether Redis is there or was never there.
func TestShared(t *testing.T) {
	for name, there := range map[string]bool{"redis is there": true, "redis is away": false} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			nodes := map[string]*node{}
			queuetest.Run(t, func(t testing.TB, dir string) queue.Store {
				mu.Lock()
				defer mu.Unlock()
				n := nodes[dir]
				if n == nil {
					n = newNode(t, newServer())
					nodes[dir] = n
				}
				for _, m := range []*memory{n.server.memory, n.spool, n.copies} {
					m.restart()
				}
				n.open()
				if there {
					return n.use().store
				}
				return alone{n.store}
			})
		})
	}
}

// alone is a store whose Redis is away, and has nothing anyway: what it cannot
// know is not there.
type alone struct{ *Store }

func known(err error) error {
	if errors.Is(err, redis.ErrAway) {
		return queue.ErrNotFound
	}
	return err
}

func (s alone) Get(ctx context.Context, id mail.QueueID) (*queue.Entry, error) {
	e, err := s.Store.Get(ctx, id)
	return e, known(err)
}

func (s alone) Content(ctx context.Context, id mail.QueueID) (mail.Content, error) {
	c, err := s.Store.Content(ctx, id)
	return c, known(err)
}

func (s alone) Take(ctx context.Context, id mail.QueueID, now, until time.Time) (*queue.Entry, error) {
	e, err := s.Store.Take(ctx, id, now, until)
	return e, known(err)
}

func (s alone) NextDue(ctx context.Context, now time.Time) (time.Time, bool, error) {
	due, ok, err := s.Store.NextDue(ctx, now)
	if here, there, _ := s.spool.NextDue(ctx, now); due.Equal(now.Add(lookAgain)) {
		return here, there, err
	}
	return due, ok, err
}

// message is a new entry.
func message() *queue.Entry {
	now := time.Now()
	return &queue.Entry{
		ID: mail.NewQueueID(now), Received: now, Due: now, Size: 5,
		Envelope: mail.Envelope{
			ReversePath: mail.Path{Local: "alice", Domain: "crepes.fr"},
			Recipients:  []mail.Recipient{{Path: mail.Path{Local: "bob", Domain: "hamburger.edu"}}},
		},
	}
}

// testLog is the log of a node, for those who read how a test went.
type testLog struct{ t rapid.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", p)
	return len(p), nil
}

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
