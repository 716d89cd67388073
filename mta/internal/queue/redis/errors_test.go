package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// A replyError is an error that Redis replied, as the client has it.
type replyError string

func (e replyError) Error() string { return string(e) }
func (replyError) RedisError()     {}

func TestAway(t *testing.T) {
	for _, test := range []struct {
		err           error
		away, unknown bool
		also          error
	}{
		{err: replyError("LOADING Redis is loading the dataset in memory"), away: true},
		{err: replyError("READONLY You can't write against a read only replica."), away: true, also: syscall.EROFS},
		{err: replyError("MISCONF Errors writing to the AOF file: No space left on device"), away: true, also: ErrFull},
		{err: replyError("OOM command not allowed when used memory > 'maxmemory'."), away: true, also: syscall.ENOSPC},
		{err: replyError("CLUSTERDOWN The cluster is down"), away: true},
		{err: replyError("TRYAGAIN Multiple keys request during rehashing of slot"), away: true},
		{err: replyError("MOVED 3999 127.0.0.1:6381"), away: true},
		{err: replyError("ASK 3999 127.0.0.1:6381"), away: true},
		{err: replyError("MASTERDOWN Link with MASTER is down"), away: true},
		{err: replyError("NOREPLICAS Not enough good replicas to write."), away: true},
		{err: replyError("BUSY Redis is busy running a script."), away: true},
		{err: replyError("NOAUTH Authentication required."), away: true},
		{err: replyError("WRONGPASS invalid username-password pair"), away: true, also: ErrLogin},
		{err: replyError("NOPERM this user has no permissions"), away: true},
		{err: replyError("ERR max number of clients reached"), away: true},
		{err: replyError("ERR unknown command"), away: false}, // it will not go away
		{err: io.EOF, away: true, unknown: true},
		{err: context.DeadlineExceeded, away: true, unknown: true},
		{err: fmt.Errorf("%w: 0 of 1", errTooFew), away: true, unknown: true},
		{err: errUnsent, away: true},
		{err: fmt.Errorf("%w: %w", errUnsent, replyError("ERR DB index is out of range")), away: true},
		{err: &unsafeError{}, away: true},
	} {
		err := away("put", test.err)
		_, unknown := errors.AsType[*UnknownError](err)
		if got := errors.Is(err, ErrAway) && errors.Is(err, queue.ErrAway); got != test.away || unknown != test.unknown {
			t.Errorf("%v: away %v, unknown %v; want %v, %v", test.err, got, unknown, test.away, test.unknown)
		}
		if test.also != nil && !errors.Is(err, test.also) {
			t.Errorf("%v is not %v", err, test.also)
		}
		if _, unknown := errors.AsType[*UnknownError](away("", test.err)); unknown {
			t.Errorf("%v: unknown, though nothing was to be changed", test.err)
		}
	}
}

// wantRefused wants a put to be refused without a doubt, so that nothing is there.
func wantRefused(t *testing.T, s *Store, also error) {
	t.Helper()
	err := s.Put(ctx, message(), mail.Bytes(hello), time.Time{})
	if _, unknown := errors.AsType[*UnknownError](err); !errors.Is(err, ErrAway) || unknown || also != nil && !errors.Is(err, also) {
		t.Errorf("put: got %v, want it refused: %v", err, also)
	}
}

// A Redis whose memory is full takes no mail, and its queue can be worked off.
func TestMemoryIsFull(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	s := real(t, Options{URL: server.URL()})
	var put []*queue.Entry
	for range 10 {
		e := message()
		must(t, s.Put(ctx, e, mail.Bytes(hello), time.Time{}))
		put = append(put, e)
	}
	if _, err := server.Do("CONFIG", "SET", "maxmemory", "1"); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, s, ErrFull)
	wantRefused(t, s, syscall.ENOSPC)
	if err := s.Put(ctx, message(), mail.Bytes(make([]byte, 100_000)), time.Time{}); !errors.Is(err, ErrFull) {
		t.Errorf("put of chunks: got %v", err)
	}
	got, err := s.Claim(ctx, time.Now(), time.Now().Add(lease), 10, nil)
	if err != nil || len(got) != len(put) {
		t.Fatalf("claimed %d, %v; want %d", len(got), err, len(put))
	}
	must(t, s.Update(ctx, got[0]))
	must(t, s.Extend(ctx, got[1].ID, got[1].Lease.Token, time.Now().Add(lease)))
	must(t, s.Conclude(ctx, got[2], deposits(beside(got[2])))) // a DSN ends the entry that it is about
	got[3].Envelope.Recipients = nil
	must(t, s.Conclude(ctx, got[3], deposits(beside(got[3]))))
	for _, e := range append(got[4:], got[1]) {
		must(t, s.Remove(ctx, e))
	}
	if n := count(t, s); n != 4 {
		t.Errorf("%d entries are left, want 4", n)
	}
}

func TestReadOnly(t *testing.T) {
	r := redistest.NewReplicated(t, redistest.Options{}, 1)
	s := real(t, Options{URL: r.Servers[1].URL()})
	wantRefused(t, s, syscall.EROFS)
}

// Redis cannot save, which it is set to do.
func TestMisconfigured(t *testing.T) {
	server := redistest.New(t, redistest.Options{Config: map[string]string{"save": "3600 1"}})
	s := real(t, Options{URL: server.URL()})
	put(t, s)
	must(t, os.Mkdir(filepath.Join(server.Dir(), "dump.rdb"), 0o700)) // where the file has to be
	if _, err := server.Do("SAVE"); err == nil {
		t.Fatal("it was saved")
	}
	if _, err := server.Do("BGSAVE"); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool {
		_, err := server.Do("SET", "x", "1")
		return err != nil
	})
	wantRefused(t, s, ErrFull)
}

func TestNoReplicas(t *testing.T) {
	server := redistest.New(t, redistest.Options{Config: map[string]string{"min-replicas-to-write": "1"}})
	wantRefused(t, real(t, Options{URL: server.URL()}), nil)
}

// What no replica confirmed may be there, and may be lost with the master.
func TestTooFewReplicas(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	s := real(t, Options{URL: server.URL(), Replicas: 1, ReplyTimeout: time.Second})
	err := s.Put(ctx, message(), mail.Bytes(hello), time.Time{})
	if _, unknown := errors.AsType[*UnknownError](err); !unknown || !errors.Is(err, errTooFew) {
		t.Errorf("got %v", err)
	}
}

// WAITAOF is there from Redis 7.2 on; here the answer is ours, all else Redis's.
func TestWaitAOF(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	for name, test := range map[string]struct {
		answer any
		want   error
	}{
		"on this disk and another":   {[]any{int64(1), int64(1)}, nil},
		"on another only":            {[]any{int64(0), int64(1)}, errTooFew},
		"on this disk only":          {[]any{int64(1), int64(0)}, errTooFew},
		"an append-only file is off": {replyError("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."), errTooFew},
	} {
		s := real(t, Options{URL: server.URL(), Replicas: 1})
		if _, err := s.Get(ctx, message().ID); !errors.Is(err, queue.ErrNotFound) {
			t.Fatal(err)
		}
		s.waitAOF.Store(true) // what the connection said is over
		asked := &waitAOF{answer: test.answer}
		s.client.AddHook(asked)
		err := s.Put(ctx, message(), mail.Bytes(hello), time.Time{})
		_, unknown := errors.AsType[*UnknownError](err)
		if !errors.Is(err, test.want) || unknown != (test.want != nil) {
			t.Errorf("%s: got %v", name, err)
		}
		if got := fmt.Sprint(asked.args); got != "[WAITAOF 1 1 2000]" {
			t.Errorf("%s: asked %q", name, got)
		}
	}
}

// A waitAOF answers WAITAOF in pipelines.
type waitAOF struct {
	answer any
	args   []any // of the last
}

func (w *waitAOF) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (w *waitAOF) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (w *waitAOF) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		last := cmds[len(cmds)-1]
		if last.Name() != "waitaof" {
			return next(ctx, cmds)
		}
		err := next(ctx, cmds[:len(cmds)-1])
		w.args = last.Args()
		if refused, ok := w.answer.(error); ok {
			last.SetErr(refused)
			return errors.Join(err, refused)
		}
		last.(*redis.Cmd).SetVal(w.answer)
		return err
	}
}

func TestClusterIsDown(t *testing.T) {
	c := redistest.NewCluster(t, redistest.Options{}, 3)
	s := real(t, Options{URL: c.URL(), DialTimeout: time.Second})
	put(t, s)
	must(t, c.Servers[2].Kill())
	await(t, func() bool {
		_, err := c.Servers[0].Do("GET", "x")
		return err != nil && !errors.Is(err, io.EOF) && err.Error()[:5] == "CLUST"
	})
	for shard := range mail.Shards {
		_, err := s.run(ctx, probeScript, shard, zero, "")
		if !errors.Is(err, ErrAway) {
			t.Errorf("shard %d: got %v", shard, err)
		}
	}
	wantRefused(t, s, nil)
	must(t, c.Servers[2].Restart(), c.Await())
	await(t, func() bool { return s.Put(ctx, message(), mail.Bytes(hello), time.Time{}) == nil })
}

// A server that is paused does what it was sent once it goes on.
func TestPaused(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	s := real(t, Options{URL: server.URL(), ReplyTimeout: 100 * time.Millisecond})
	put(t, s)
	must(t, server.Pause())
	e := message()
	err := s.Put(ctx, e, mail.Bytes(hello), time.Time{})
	if _, unknown := errors.AsType[*UnknownError](err); !unknown {
		t.Errorf("put: got %v", err)
	}
	must(t, server.Resume())
	wantSettled(t, s, e, true)
}

func TestRefusedConnection(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	s := real(t, Options{URL: server.URL()})
	put(t, s)
	must(t, server.Kill())
	await(t, func() bool { // once it is known that the connection is none
		_, err := s.Get(ctx, "0")
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	wantRefused(t, s, syscall.ECONNREFUSED)
}

// await waits until a thing is so.
func await(t testing.TB, so func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come to be")
		}
	}
}
