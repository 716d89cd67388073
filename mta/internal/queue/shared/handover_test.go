package shared

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/redis"
	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// A process that ends in the middle of handing over leaves it to the next one to
// find out what came of that, also if others have finished the message since.
func TestKilledWhileHandingOver(t *testing.T) {
	server := redistest.New(t, redistest.Options{Unix: true})
	other := openRedis(t, server)
	for name, test := range map[string]struct {
		before, put, finish bool // it was in Redis before; Redis got it; another node finished it
		here                int
		there               bool
	}{
		"before redis has it":                         {here: 1},
		"after redis has it":                          {put: true, there: true},
		"after another node finished it":              {put: true, finish: true},
		"before redis has again what was moved here":  {before: true, here: 1},
		"after another node finished what came again": {before: true, put: true, finish: true},
	} {
		t.Run(name, func(t *testing.T) {
			e, spool := message(), newMemory()
			if test.before {
				if err := other.Put(ctx, e, mail.Bytes("hello"), time.Time{}); err != nil {
					t.Fatal(err)
				}
				finishThere(t, other, e.ID)
			}
			if err := spool.Put(ctx, e, mail.Bytes("hello"), time.Time{}); err != nil {
				t.Fatal(err)
			}
			first := openShared(t, server, spool)
			first.redis = &dying{first.redis, test.put}
			if first.handOne(ctx, e.ID) {
				t.Fatal("it outlived that")
			}
			if test.finish {
				finishThere(t, other, e.ID)
			}
			spool.restart()
			second := openShared(t, server, spool)
			if err := second.mend(ctx); err != nil {
				t.Fatal(err)
			}
			here, err := spool.Stats(ctx, time.Now())
			if err != nil || here.Waiting != test.here || here.Held != 0 {
				t.Errorf("%d wait here, %d are held, %v; want %d and none", here.Waiting, here.Held, err, test.here)
			}
			there, err := other.Present(ctx, []mail.QueueID{e.ID})
			if err != nil || there[0] != test.there {
				t.Errorf("in redis: %v, %v; want %v", there, err, test.there)
			}
		})
	}
}

func openRedis(t *testing.T, server *redistest.Server) *redis.Store {
	t.Helper()
	s, err := redis.Open(redis.Options{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openShared is a process of its own, without background work.
func openShared(t *testing.T, server *redistest.Server, spool queue.Store) *Store {
	t.Helper()
	s, err := Open(ctx, Options{Redis: &Judge{Store: openRedis(t, server), Log: quietLog()}, Spool: spool, Log: quietLog()})
	if err != nil {
		t.Fatal(err)
	}
	s.link.set(OK, nil)
	return s
}

func finishThere(t *testing.T, s *redis.Store, id mail.QueueID) {
	t.Helper()
	now := time.Now()
	e, err := s.Take(ctx, id, now, now.Add(time.Minute))
	if err == nil {
		err = s.Remove(ctx, e)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A dying process hears no answer any more.
type dying struct {
	Redis
	put bool // Redis gets what it sends
}

func (d *dying) PutAs(ctx context.Context, op string, e *queue.Entry, content mail.Content) error {
	if d.put {
		if err := d.Redis.PutAs(ctx, op, e, content); err != nil {
			return err
		}
	}
	return &redis.UnknownError{Op: "put", Err: errors.New("the process has ended")}
}
