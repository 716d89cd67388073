package shared

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/queuetest"
	"github.com/wasmta/wasmta/mta/internal/queue/redis"
	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// These tests are against real servers. Nothing in them takes a fixed time: they
// wait for what has to become true.

const patience = 30 * time.Second

// await waits until a thing is so.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it is not so after %v: %s", patience, what)
		}
	}
}

// A real is a node on a real Redis. Its own stores are in memory, which a crash
// of Redis does not touch.
type real struct {
	t             testing.TB
	redis         *redis.Store
	spool, copies *memory
	marks         string
	*Store
	stop func()
}

// newReal starts a node with the name of its own, and its work.
func newReal(t testing.TB, name string, o redis.Options) *real {
	t.Helper()
	n := &real{t: t, spool: newMemory(), copies: newMemory(), marks: filepath.Join(t.TempDir(), "marks")}
	n.start(name, o)
	t.Cleanup(func() { n.stop() })
	return n
}

// start starts the node, with what it had on its disk.
func (n *real) start(name string, o redis.Options) {
	t := n.t
	t.Helper()
	log := quietLog()
	o.Node, o.Log, o.Heartbeat = name, log, 100*time.Millisecond
	o.Emptied = func(shard int) { n.Store.Emptied(shard) }
	var err error
	if n.redis, err = redis.Open(o); err != nil {
		t.Fatal(err)
	}
	n.Store, err = Open(ctx, Options{
		Redis: &Judge{Store: n.redis, Log: log}, Spool: n.spool, Copies: n.copies, Log: log, Marks: n.marks, Place: n.redis.Place(),
		PutLimit: 300 * time.Millisecond, Limit: time.Second, Probe: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		n.Run(running)
		close(done)
	}()
	n.stop = func() {
		stop()
		<-done
		n.Close()
	}
}

func (n *real) await(want State) {
	n.t.Helper()
	await(n.t, fmt.Sprintf("the state is %s", want), func() bool { got, _ := n.link.now(); return got == want })
}

// put accepts messages.
func (n *real) put(count int) (ids []mail.QueueID) {
	n.t.Helper()
	for range count {
		e := message()
		if err := n.Put(ctx, e, mail.Bytes("hello"), time.Time{}); err != nil {
			n.t.Fatalf("put: %v", err)
		}
		ids = append(ids, e.ID)
	}
	return ids
}

// awaitShared waits until exactly those messages are in Redis, and nothing is in
// the spool.
func (n *real) awaitShared(want []mail.QueueID) {
	n.t.Helper()
	await(n.t, fmt.Sprintf("%d messages are in Redis, and no other", len(want)), func() bool {
		entries, err := n.redis.List(ctx, time.Now(), queue.Filter{}, "", 1000)
		here, _ := n.spool.Stats(ctx, time.Now())
		there := map[mail.QueueID]bool{}
		for _, e := range entries {
			there[e.ID] = true
		}
		for _, id := range want {
			if !there[id] {
				return false
			}
		}
		return err == nil && len(entries) == len(want) && here.Waiting+here.Held+here.Active == 0
	})
}

// deliverAll attempts all, here and at other nodes, and counts.
func deliverAll(t testing.TB, want []mail.QueueID, nodes ...*real) {
	t.Helper()
	count := map[mail.QueueID]int{}
	await(t, "all is delivered", func() bool {
		for _, n := range nodes {
			now := time.Now()
			entries, err := n.Claim(ctx, now, now.Add(time.Minute), 100, nil)
			if err != nil {
				t.Fatalf("claim: %v", err)
			}
			for _, e := range entries {
				count[e.ID]++
				if err := n.Remove(ctx, e); err != nil {
					t.Errorf("remove: %v", err)
				}
			}
		}
		return len(count) >= len(want)
	})
	for _, id := range want {
		if count[id] != 1 {
			t.Errorf("%s was delivered %d times", id, count[id])
		}
	}
}

func TestRealRedisPassesTheSuite(t *testing.T) {
	url := redistest.New(t, redistest.Options{Unix: true}).URL()
	var mu sync.Mutex
	own := map[string]*memory{}
	queuetest.Run(t, func(t testing.TB, dir string) queue.Store {
		there, err := redis.Open(redis.Options{
			URL: url, CallersClock: true, Prefix: filepath.Base(filepath.Dir(dir)) + filepath.Base(dir),
		})
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if own[dir] == nil {
			own[dir] = newMemory()
		}
		own[dir].restart()
		s, err := Open(ctx, Options{Redis: &Judge{Store: there, Log: quietLog()}, Spool: own[dir], Log: quietLog()})
		if err != nil {
			t.Fatal(err)
		}
		s.link.set(OK, nil)
		return s
	})
}

func TestRealRedisIsKilled(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	n := newReal(t, "a", redis.Options{URL: server.URL()})
	n.await(OK)
	ids := n.put(10)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	ids = append(ids, n.put(10)...)
	n.await(Away)
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	n.await(OK)
	n.awaitShared(ids)
	deliverAll(t, ids, n)
}

func TestRealRedisIsPaused(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	n := newReal(t, "a", redis.Options{URL: server.URL()})
	n.await(OK)
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	ids := n.put(3) // the first is in doubt, and the others do not ask
	n.await(Away)
	if got := len(n.twinsOf(doubt)); got != 1 {
		t.Errorf("%d are in doubt", got)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	n.await(OK)
	await(t, "nothing is in doubt", func() bool { return len(n.twinsOf(doubt)) == 0 })
	deliverAll(t, ids, n)
}

// What a FLUSHALL takes, and a restart without any data.
func TestRealRedisIsEmptied(t *testing.T) {
	for name, empty := range map[string]func(*redistest.Server) error{
		"flushed": func(s *redistest.Server) error {
			_, err := s.Do("FLUSHALL")
			return err
		},
		"restarted empty": func(s *redistest.Server) error {
			for _, step := range []func() error{s.Kill, s.Wipe, s.Restart} {
				if err := step(); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.New(t, redistest.Options{})
			a := newReal(t, "a", redis.Options{URL: server.URL()})
			b := newReal(t, "b", redis.Options{URL: server.URL()})
			a.await(OK)
			b.await(OK)
			ids := append(a.put(20), b.put(20)...)
			now := time.Now()
			e, err := b.Take(ctx, ids[0], now, now.Add(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			e.Attempts = 7
			if err := b.Update(ctx, e); err != nil {
				t.Fatal(err)
			}
			if err := empty(server); err != nil {
				t.Fatal(err)
			}
			await(t, "both put back", func() bool {
				return a.Counts().PutBack.Load() > 0 && b.Counts().PutBack.Load() > 0
			})
			a.await(OK)
			b.await(OK)
			a.awaitShared(ids)
			if got, err := a.Get(ctx, ids[0]); err != nil || got.Attempts != 7 {
				t.Errorf("the newest state is not the one that was put back: %+v, %v", got, err)
			}
			deliverAll(t, ids, a, b)
		})
	}
}

// What Redis lost while no node was there is noticed by the next process.
func TestRealRedisIsEmptiedBetween(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	o := redis.Options{URL: server.URL()}
	n := newReal(t, "a", o)
	n.await(OK)
	ids := n.put(20)
	n.stop()
	n.spool.restart()
	n.copies.restart()
	if _, err := server.Do("FLUSHALL"); err != nil {
		t.Fatal(err)
	}
	n.start("a", o)
	n.await(OK)
	if got := n.Counts().PutBack.Load(); got != 20 {
		t.Errorf("%d were put back", got)
	}
	deliverAll(t, ids, n)
}

// States in which a real Redis takes nothing new.
func TestRealRedisRefuses(t *testing.T) {
	for _, tt := range []struct {
		want       State
		begin, end []any
	}{
		{Full, []any{"CONFIG", "SET", "maxmemory", "1"}, []any{"CONFIG", "SET", "maxmemory", "0"}},
		{ReadOnly, []any{"REPLICAOF", "127.0.0.1", "1"}, []any{"REPLICAOF", "NO", "ONE"}},
		{Unsafe, []any{"CONFIG", "SET", "appendfsync", "everysec"}, []any{"CONFIG", "SET", "appendfsync", "always"}},
	} {
		t.Run(string(tt.want), func(t *testing.T) {
			server := redistest.New(t, redistest.Options{})
			n := newReal(t, "a", redis.Options{URL: server.URL()})
			n.await(OK)
			ids := n.put(5)
			if _, err := server.Do(tt.begin...); err != nil {
				t.Fatal(err)
			}
			server.Do("CLIENT", "KILL", "TYPE", "normal") // a connection keeps what it was told
			await(t, "it is noticed", func() bool {
				ids = append(ids, n.put(1)...)
				state, _ := n.link.now()
				return state == tt.want
			})
			ids = append(ids, n.put(5)...)
			if n.Counts().PutSpool.Load() < 5 {
				t.Errorf("%d were put into the spool", n.Counts().PutSpool.Load())
			}
			if _, err := server.Do(tt.end...); err != nil {
				t.Fatal(err)
			}
			n.await(OK)
			n.awaitShared(ids)
			deliverAll(t, ids, n)
		})
	}
}

func TestRealRedisFailsOver(t *testing.T) {
	servers := redistest.NewReplicated(t, redistest.Options{}, 2)
	n := newReal(t, "a", redis.Options{URL: servers.URL(), Replicas: 1})
	n.await(OK)
	var ids []mail.QueueID
	stop := make(chan struct{})
	var accepting sync.WaitGroup
	accepting.Go(func() {
		often := time.NewTicker(5 * time.Millisecond)
		defer often.Stop()
		for {
			select {
			case <-stop:
				return
			case <-often.C:
				ids = append(ids, n.put(1)...)
			}
		}
	})
	master, err := servers.Master()
	if err == nil {
		err = master.Kill()
	}
	if err == nil {
		err = servers.Failover()
	}
	close(stop)
	accepting.Wait()
	if err != nil {
		t.Fatal(err)
	}
	n.await(OK)
	await(t, "nothing is in doubt", func() bool { return len(n.twinsOf(doubt)) == 0 })
	deliverAll(t, ids, n)
}
