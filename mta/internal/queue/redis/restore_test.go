package redis

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// wantEmptied wants all that is asked of a shard to be ErrEmptied.
func wantEmptied(t *testing.T, s *Store, e *queue.Entry) {
	t.Helper()
	_, get := s.Get(ctx, e.ID)
	_, content := s.Content(ctx, e.ID)
	_, take := s.Take(ctx, e.ID, time.Now(), time.Now().Add(lease))
	_, present := s.Present(ctx, []mail.QueueID{e.ID})
	for what, err := range map[string]error{
		"get": get, "content": content, "take": take, "present": present,
		"put":    s.Put(ctx, beside(e), mail.Bytes(hello), time.Time{}),
		"update": s.Update(ctx, e), "remove": s.Remove(ctx, e),
	} {
		if emptied, ok := errors.AsType[*EmptiedError](err); !ok || emptied.Shard != e.ID.Shard() || !errors.Is(err, ErrEmptied) || !errors.Is(err, queue.ErrAway) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

func TestFlushAll(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	s := real(t, Options{URL: server.URL()})
	e := put(t, s)
	_, err := server.Do("FLUSHALL")
	must(t, err)
	wantEmptied(t, s, e)
	must(t, s.BeginRestore(ctx, e.ID.Shard()))
	restored, err := s.Restore(ctx, e, mail.Bytes(hello))
	if err != nil || !restored {
		t.Fatalf("restored %v, %v", restored, err)
	}
	again, err := s.Restore(ctx, e, mail.Bytes(hello))
	if err != nil || again {
		t.Errorf("restored again: %v, %v", again, err)
	}
	if got, err := s.Claim(ctx, time.Now(), time.Now().Add(lease), 10, nil); err != nil || len(got) != 0 {
		t.Errorf("claimed while nodes put back: %v, %v", got, err)
	}
	must(t, s.EndRestore(ctx, e.ID.Shard()))
	var got []*queue.Entry
	await(t, func() bool {
		var err error
		got, err = s.Claim(ctx, time.Now(), time.Now().Add(lease), 10, nil)
		must(t, err)
		return len(got) > 0
	})
	if len(got) != 1 || got[0].ID != e.ID || got[0].Lease.Token <= e.Lease.Token {
		t.Errorf("claimed %v; the token was %d", got, e.Lease.Token)
	}
	wantContent(t, s, e.ID, mail.Bytes(hello))
	if err := s.Remove(ctx, e); !errors.Is(err, queue.ErrLease) {
		t.Errorf("remove with the lease from before: %v", err)
	}
}

// Until all nodes that put back entries have ended nothing is claimed; the end of
// one that died does not have to be waited for.
func TestTwoNodesRestore(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	a, b := real(t, Options{URL: server.URL(), Node: "a"}), real(t, Options{URL: server.URL(), Node: "b"})
	e := put(t, a)
	shard := e.ID.Shard()
	_, err := b.Get(ctx, e.ID)
	must(t, err)
	_, err = server.Do("FLUSHALL")
	must(t, err)
	must(t, a.BeginRestore(ctx, shard), b.BeginRestore(ctx, shard))
	_, err = a.Restore(ctx, e, mail.Bytes(hello))
	must(t, err, a.EndRestore(ctx, shard))
	if got, err := a.Claim(ctx, time.Now(), time.Now().Add(lease), 10, nil); err != nil || len(got) != 0 {
		t.Errorf("claimed while another puts back: %v, %v", got, err)
	}
	_, err = b.run(ctx, beginScript, shard, zero, "", time.Millisecond.Microseconds()) // it dies
	must(t, err)
	await(t, func() bool {
		got, err := a.Claim(ctx, time.Now(), time.Now().Add(lease), 10, nil)
		must(t, err)
		return len(got) == 1
	})
}

// The newest state wins, whoever puts back first.
func TestNewestStateWins(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	for name, order := range map[string][2]int{"old first": {0, 1}, "new first": {1, 0}} {
		t.Run(name, func(t *testing.T) {
			s := real(t, Options{URL: server.URL(), Prefix: t.Name()})
			old := put(t, s)
			must(t, s.Extend(ctx, old.ID, old.Lease.Token, time.Time{}))
			taken, err := s.Take(ctx, old.ID, time.Now(), time.Now().Add(lease))
			must(t, err)
			taken.Attempts = 7
			states := [2]*queue.Entry{old, taken}
			_, err = server.Do("FLUSHALL")
			must(t, err)
			must(t, s.BeginRestore(ctx, old.ID.Shard()))
			for _, i := range order {
				_, err := s.Restore(ctx, states[i], mail.Bytes(hello))
				must(t, err)
			}
			if got, err := s.Get(ctx, old.ID); err != nil || got.Attempts != 7 {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// A Redis that was set back to an older state has what was finished since: Bury
// ends that, and nobody puts it back.
func TestSetBack(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	s := real(t, Options{URL: server.URL()})
	finished := put(t, s)
	kept := beside(finished)
	must(t, s.Put(ctx, kept, mail.Bytes(hello), time.Now().Add(lease)))
	saved := t.TempDir() + "/saved"
	must(t, server.Save(saved))
	must(t, s.Remove(ctx, finished))
	after := beside(finished)
	must(t, s.Put(ctx, after, mail.Bytes(hello), time.Now().Add(lease)))
	must(t, server.Kill(), server.Load(saved), server.Restart())
	await(t, func() bool { _, err := s.Get(ctx, kept.ID); return errors.Is(err, ErrEmptied) })
	wantEmptied(t, s, kept)

	shard := kept.ID.Shard()
	must(t, s.BeginRestore(ctx, shard))
	// Of the other somebody has a later lease than this node knows to be finished.
	must(t, s.Bury(ctx, map[mail.QueueID]uint64{finished.ID: finished.Lease.Token, kept.ID: kept.Lease.Token - 1}))
	for e, want := range map[*queue.Entry]bool{finished: false, kept: false, after: true} {
		if restored, err := s.Restore(ctx, e, mail.Bytes(hello)); err != nil || restored != want {
			t.Errorf("restored %s: %v, %v; want %v", e.ID, restored, err, want)
		}
	}
	must(t, s.EndRestore(ctx, shard))
	there, err := s.Present(ctx, []mail.QueueID{finished.ID, kept.ID, after.ID})
	if err != nil || there[0] || !there[1] || !there[2] {
		t.Errorf("there: %v, %v; want the last two", there, err)
	}
}

// What an earlier process knew of the shards tells, too, that they were emptied.
func TestMarks(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	s := real(t, Options{URL: server.URL()})
	e := put(t, s)
	marks := s.Marks()
	next := real(t, Options{URL: server.URL()})
	next.Recall(marks)
	if _, err := next.Get(ctx, e.ID); err != nil {
		t.Errorf("nothing happened, and: %v", err)
	}
	_, err := server.Do("FLUSHALL")
	must(t, err)
	next = real(t, Options{URL: server.URL()})
	next.Recall(marks)
	wantEmptied(t, next, e)
}

// Run notices by itself.
func TestRunTellsOfEmptied(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	var mu sync.Mutex
	told := map[int]bool{}
	s := real(t, Options{URL: server.URL(), Heartbeat: 10 * time.Millisecond, Emptied: func(shard int) {
		mu.Lock()
		defer mu.Unlock()
		told[shard] = true
	}})
	e := put(t, s)
	running, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		s.Run(running)
		close(done)
	}()
	defer func() { stop(); <-done }()
	_, err := server.Do("FLUSHALL")
	must(t, err)
	await(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return told[e.ID.Shard()]
	})
}
