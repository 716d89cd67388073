package redis

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

const lease = time.Minute

// real opens a store that counts time by the server's clock. Its heartbeat is
// short, so that a new shard is claimed from at once.
func real(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Heartbeat == 0 {
		o.Heartbeat = time.Millisecond
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// message is a new entry of one shard, due now.
func message() *queue.Entry {
	return inShard(mail.NewQueueID(time.Now()))
}

func inShard(id mail.QueueID) *queue.Entry {
	now := time.Now()
	return &queue.Entry{
		ID: id, Received: now, Due: now.Add(-time.Second), Size: 5, Lane: "crepes.fr",
		Envelope: mail.Envelope{
			ReversePath: mail.Path{Local: "alice", Domain: "hamburger.edu"},
			Recipients:  []mail.Recipient{{Path: mail.Path{Local: "bob", Domain: "crepes.fr"}}},
		},
	}
}

func beside(e *queue.Entry) *queue.Entry { return inShard(mail.NewQueueIDBeside(time.Now(), e.ID)) }

const hello = "hello"

// put puts a message that is leased to the caller.
func put(t testing.TB, s *Store) *queue.Entry {
	t.Helper()
	e := message()
	if err := s.Put(ctx, e, mail.Bytes(hello), time.Now().Add(lease)); err != nil {
		t.Fatalf("put: %v", err)
	}
	return e
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func deposits(entries ...*queue.Entry) (all []queue.Deposit) {
	for _, e := range entries {
		all = append(all, queue.Deposit{Entry: e, Content: mail.Bytes(hello)})
	}
	return all
}

// changes are all that is done to an entry, which the caller has a lease of. Each
// counts as one change of its shard.
var changes = map[string]func(s *Store, e *queue.Entry) error{
	"put":     func(s *Store, e *queue.Entry) error { return s.Put(ctx, beside(e), mail.Bytes(hello), time.Time{}) },
	"put all": func(s *Store, e *queue.Entry) error { return s.PutAll(ctx, deposits(beside(e), beside(e))) },
	"put big": func(s *Store, e *queue.Entry) error {
		return s.Put(ctx, beside(e), mail.Bytes(make([]byte, 70_000)), time.Time{})
	},
	"update":   func(s *Store, e *queue.Entry) error { return s.Update(ctx, e) },
	"remove":   func(s *Store, e *queue.Entry) error { return s.Remove(ctx, e) },
	"conclude": func(s *Store, e *queue.Entry) error { return s.Conclude(ctx, e, deposits(beside(e))) },
	"end": func(s *Store, e *queue.Entry) error {
		e.Envelope.Recipients = nil
		return s.Conclude(ctx, e, deposits(beside(e)))
	},
	"replace": func(s *Store, e *queue.Entry) error { return s.Replace(ctx, e, mail.Bytes("bye"), deposits(beside(e))) },
	"extend":  func(s *Store, e *queue.Entry) error { return s.Extend(ctx, e.ID, e.Lease.Token, time.Now().Add(lease)) },
	"give back": func(s *Store, e *queue.Entry) error {
		return s.Extend(ctx, e.ID, e.Lease.Token, time.Time{})
	},
}

// repeated are those that do the same again: an end of a lease moves twice.
var repeated = map[string]bool{"extend": true}

func TestAnswerIsLost(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	for octets, how := range map[int]string{0: "all of it", 7: "half of it"} {
		for name, change := range changes {
			t.Run(name+", "+how, func(t *testing.T) {
				p := newProxy(t, server)
				s := real(t, Options{URL: p.url(), Prefix: t.Name()})
				e := put(t, s)
				before, entries := s.Marks()[e.ID.Shard()].Seq, count(t, s)
				p.lose(1, octets)
				if err := change(s, e); err != nil {
					t.Fatalf("got %v", err)
				}
				p.pass()
				if p.calls < 2 {
					t.Fatal("no reply was lost")
				}
				once := real(t, Options{URL: server.URL(), Prefix: t.Name() + "2"})
				e2 := put(t, once)
				must(t, change(once, e2))
				if got, want := count(t, s)-entries, count(t, once)-1; got != want {
					t.Errorf("there are %d entries more, want %d", got, want)
				}
				if got := s.Marks()[e.ID.Shard()].Seq - before; got != 1 && !repeated[name] {
					t.Errorf("it was done %d times", got)
				}
			})
		}
	}
}

func count(t testing.TB, s *Store) int {
	t.Helper()
	stats, err := s.Stats(ctx, time.Now())
	must(t, err)
	return stats.Waiting + stats.Active + stats.Held
}

func TestAnswerOfClaimIsLost(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	p := newProxy(t, server)
	s := real(t, Options{URL: p.url()})
	e := message()
	must(t, s.Put(ctx, e, mail.Bytes(hello), time.Time{}))
	op := s.newOp()
	p.lose(1, 0)
	claimed, err := s.run(ctx, claimScript, e.ID.Shard(), time.Now(), op, s.from(time.Now().Add(lease), time.Now()), pageBytes, "", string(e.ID))
	must(t, err)
	if len(claimed.rest) != 1 {
		t.Fatalf("claimed %d", len(claimed.rest))
	}
}

// A claim of which no try was answered is answered to the next.
func TestClaimIsRecovered(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	p := newProxy(t, server)
	s := real(t, Options{URL: p.url()})
	e := message()
	must(t, s.Put(ctx, e, mail.Bytes(hello), time.Time{}))
	c := &claim{Store: s, now: time.Now(), until: time.Now().Add(lease), left: 10, lanes: map[string]*room{}}
	p.lose(1000, 0)
	c.take(ctx, map[int][]named{e.ID.Shard(): {{id: e.ID}}})
	p.pass()
	if c.err == nil || len(c.got) != 0 {
		t.Fatalf("got %v, %v", c.got, c.err)
	}
	if got, err := s.Claim(ctx, time.Now(), time.Now().Add(lease), 10, nil); err != nil || len(got) != 1 || got[0].ID != e.ID {
		t.Errorf("then got %v, %v", got, err)
	}
}

// The outcome of a put that no try had an answer to is unknown, and Settle
// decides.
func TestSettle(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	p := newProxy(t, server)
	s, other := real(t, Options{URL: p.url()}), real(t, Options{URL: server.URL(), Node: "other"})
	put(t, s)
	e := message()
	p.lose(1000, 0)
	err := s.Put(ctx, e, mail.Bytes(hello), time.Time{})
	var unknown *UnknownError
	if !errors.As(err, &unknown) || !errors.Is(err, ErrAway) {
		t.Fatalf("put: got %v", err)
	}
	p.pass()
	wantSettled(t, s, e, true)
	found, err := other.Claim(ctx, time.Now(), time.Now().Add(lease), 10, nil)
	if err != nil || len(found) != 1 {
		t.Fatalf("claim: %v, %v", found, err)
	}
	s.given[e.ID] = "" // it is not kept for ever
	must(t, other.Remove(ctx, found[0]))

	late := message()
	wantSettled(t, s, late, false)
	wantSettled(t, s, late, false)
	if err := other.Put(ctx, late, mail.Bytes(hello), time.Time{}); !errors.Is(err, ErrRefused) || !errors.Is(err, queue.ErrExists) {
		t.Errorf("put after it was settled: got %v", err)
	}
}

// One that was finished meanwhile was there.
func TestSettleFinished(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	p := newProxy(t, server)
	s, other := real(t, Options{URL: p.url()}), real(t, Options{URL: server.URL(), Node: "other"})
	put(t, s)
	e := message()
	p.lose(1000, 0)
	if err := s.Put(ctx, e, mail.Bytes(hello), time.Time{}); err == nil {
		t.Fatal("no answer was lost")
	}
	p.pass()
	taken, err := other.Take(ctx, e.ID, time.Now(), time.Now().Add(lease))
	must(t, err, other.Remove(ctx, taken))
	wantSettled(t, s, e, true)
}

// Another process knows a put by its name. Without one, it takes any end of the
// entry for that of the put: the mail has arrived.
func TestSettleInAnotherProcess(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	s := real(t, Options{URL: server.URL()})
	for op, want := range map[string]bool{"this": true, "": true, "another": false} {
		e := message()
		must(t, s.PutAs(ctx, "this", e, mail.Bytes(hello)))
		taken, err := s.Take(ctx, e.ID, time.Now(), time.Now().Add(lease))
		must(t, err, s.Remove(ctx, taken))
		if there, err := real(t, Options{URL: server.URL()}).Settle(ctx, e.ID, op); err != nil || there != want {
			t.Errorf("settled as %q: %v, %v; want %v", op, there, err, want)
		}
	}
}

// The answer is lost, and then there is no server: that is no ErrAway without a
// doubt.
func TestServerEndsAfterPut(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	p := newProxy(t, server)
	s := real(t, Options{URL: p.url(), DialTimeout: time.Second})
	put(t, s)
	e := message()
	p.mu.Lock()
	p.cut = func([]byte) (int, bool) { p.l.Close(); return 0, true }
	p.mu.Unlock()
	err := s.Put(ctx, e, mail.Bytes(hello), time.Time{})
	if _, ok := errors.AsType[*UnknownError](err); !ok {
		t.Errorf("got %v", err)
	}
	if there, err := real(t, Options{URL: server.URL()}).Present(ctx, []mail.QueueID{e.ID}); err != nil || !there[0] {
		t.Errorf("it is there: %v, %v", there, err)
	}
}

func wantSettled(t *testing.T, s *Store, e *queue.Entry, want bool) {
	t.Helper()
	if there, err := s.Settle(ctx, e.ID, ""); err != nil || there != want {
		t.Errorf("settled: %v, %v; want %v", there, err, want)
	}
}

func TestScriptsAreForgotten(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	for name, change := range changes {
		s := real(t, Options{URL: server.URL(), Prefix: name})
		e := put(t, s)
		if _, err := server.Do("SCRIPT", "FLUSH"); err != nil {
			t.Fatal(err)
		}
		if err := change(s, e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// No reply grows with the queue, or with its lanes: neither by what scripts are
// asked for at most nor by how large records are.
func TestRepliesAreBounded(t *testing.T) {
	server := redistest.New(t, redistest.Options{Config: map[string]string{"appendonly": "no"}})
	s := real(t, Options{URL: server.URL(), Durability: Relaxed})
	first := message()
	shard := first.ID.Shard()
	var ids []any
	for i := range 400 {
		e := beside(first)
		e.Lane = fmt.Sprintf("%d.example.org", i)
		e.Envelope.EnvID = strings.Repeat("x", 10_000)
		must(t, s.Put(ctx, e, mail.Bytes(hello), time.Time{}))
		ids = append(ids, string(e.ID))
	}
	record := 11_000 // one more than the limit
	until := s.from(time.Now().Add(lease), time.Now())
	for name, ask := range map[string]struct {
		script *script
		args   []any
		most   int
	}{
		"list":  {pageScript, []any{"", 200, pageBytes}, pageBytes + record},
		"claim": {claimScript, append([]any{until, pageBytes, ""}, ids[:maxNamed]...), pageBytes + record},
		"peek":  {peekScript, []any{maxLanes, maxNamed, 2 * maxNamed, 0, ""}, 100 * (maxLanes + 2*maxNamed)},
		"stats": {countScript, []any{queue.MaxLanes}, 100 * queue.MaxLanes},
		"next":  {nextScript, []any{0}, 100},
	} {
		a, err := s.run(ctx, ask.script, shard, time.Now(), "", ask.args...)
		must(t, err)
		if got := octets(a.rest); got > ask.most || got == 0 {
			t.Errorf("%s: a reply of %d octets, want at most %d", name, got, ask.most)
		}
	}
	all, err := s.List(ctx, time.Now(), queue.Filter{}, "", 1000)
	if err != nil || len(all) != len(ids) {
		t.Errorf("listed %d, %v; want %d", len(all), err, len(ids))
	}
}

// octets is how long a reply is.
func octets(v any) (n int) {
	switch v := v.(type) {
	case string:
		return len(v)
	case []any:
		for _, part := range v {
			n += octets(part)
		}
		return n
	}
	return 8
}
