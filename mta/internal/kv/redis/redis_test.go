package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"github.com/wasmta/wasmta/mta/internal/kv"
	"github.com/wasmta/wasmta/mta/internal/kv/kvtest"
	"github.com/wasmta/wasmta/sdk/host"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

// A clock stands still unless it is moved.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// suite runs the tests of every store; each has a prefix of its own.
func suite(t *testing.T, url string) {
	n := 0
	kvtest.Run(t, func(t *testing.T) kvtest.Subject {
		n++
		c := newClock()
		s := open(t, Options{URL: url, Prefix: fmt.Sprintf("test%d", n), Now: c.now})
		return kvtest.Subject{Space: func(name string) host.KV { return s.Space(name) }, Advance: c.advance}
	})
}

// mini starts a server in this process.
func mini(t testing.TB) (server *miniredis.Miniredis, url string) {
	t.Helper()
	server = miniredis.RunT(t)
	return server, "redis://" + server.Addr()
}

func TestMiniredis(t *testing.T) {
	_, url := mini(t)
	suite(t, url)
}

// inPart returns n keys that are in one part.
func inPart(sp *Space, n int) (keys []string) {
	want := sp.tag("0")
	for i := 0; len(keys) < n; i++ {
		if key := fmt.Sprint(i); sp.tag(key) == want {
			keys = append(keys, key)
		}
	}
	return keys
}

func TestLimits(t *testing.T) {
	_, url := mini(t)
	c := newClock()
	// A part may have two keys, with 246 octets as they are counted.
	limits := kv.Limits{Key: 3, Value: 100, Keys: parts, Octets: 245 * parts * 4 / 5}
	s := open(t, Options{URL: url, Limits: limits, Now: c.now})
	sp := s.Space("a")
	k := inPart(sp, 3)
	for _, tt := range []struct {
		what, key string
		size      int
		refused   bool
	}{
		{"a long key", "abcd", 1, true},
		{"a large value", k[0], 101, true},
		{"the first", k[0], 50, false},
		{"more octets than there may be", k[1], 90, true},
		{"the second", k[1], 50, false},
		{"one key more than there may be", k[2], 1, true},
		{"a larger one instead", k[1], 80, true},
		{"a smaller one instead", k[1], 10, false},
	} {
		err := sp.Set(ctx, tt.key, make([]byte, tt.size), time.Minute)
		if errors.Is(err, host.ErrLimit) != tt.refused || err != nil && !tt.refused {
			t.Errorf("%s: got %v", tt.what, err)
		}
	}
	if err := s.Space("another").Set(ctx, k[2], make([]byte, 100), 0); err != nil {
		t.Errorf("another plugin: %v", err)
	}
	if _, err := sp.Add(ctx, k[2], 1, 0); !errors.Is(err, host.ErrLimit) {
		t.Errorf("a counter: %v", err)
	}
	if err := sp.CompareAndSwap(ctx, k[2], nil, []byte("v"), 0); !errors.Is(err, host.ErrLimit) {
		t.Errorf("a swap: %v", err)
	}
	c.advance(time.Minute)
	if err := sp.Set(ctx, k[2], make([]byte, 100), 0); err != nil {
		t.Errorf("once the others have ended: %v", err)
	}
}

// TestSpaceIsBounded fills a space: it has to end between its limit and a quarter
// above.
func TestSpaceIsBounded(t *testing.T) {
	_, url := mini(t)
	const most = 3200
	sp := open(t, Options{URL: url, Limits: kv.Limits{Keys: most}}).Space("a")
	there := 0
	for i := range 2 * most {
		switch err := sp.Set(ctx, fmt.Sprint(i), nil, time.Hour); {
		case err == nil:
			there++
		case !errors.Is(err, host.ErrLimit):
			t.Fatal(err)
		}
	}
	if there < most || there > most*5/4+parts {
		t.Errorf("it has %d keys, and %d is the limit", there, most)
	}
}

// TestNothingStays: a part whose values are gone is gone, and one whose values end
// is ended by Redis itself.
func TestNothingStays(t *testing.T) {
	server, url := mini(t)
	sp := open(t, Options{URL: url}).Space("a")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(sp.Set(ctx, "k", []byte("v"), 0))
	must(sp.Delete(ctx, "k"))
	if keys := server.Keys(); len(keys) != 0 {
		t.Errorf("after a delete there are %q", keys)
	}
	k := inPart(sp, 2)
	must(sp.Set(ctx, k[0], []byte("v"), time.Hour))
	must(sp.Set(ctx, k[1], []byte("v"), time.Minute))
	server.FastForward(59 * time.Minute)
	if keys := server.Keys(); len(keys) != 2 {
		t.Errorf("before the last value ends there are %q", keys)
	}
	server.FastForward(3 * time.Minute)
	if keys := server.Keys(); len(keys) != 0 {
		t.Errorf("after all values ended there are %q", keys)
	}
	must(sp.Set(ctx, k[0], []byte("v"), time.Hour))
	must(sp.Set(ctx, k[1], []byte("v"), 0))
	server.FastForward(100_000 * time.Hour)
	if got, err := sp.Get(ctx, k[1]); string(got) != "v" {
		t.Errorf("what is for ever: %q, %v", got, err)
	}
}

// TestNamesDoNotMeet: two spaces never have a key of Redis in common.
func TestNamesDoNotMeet(t *testing.T) {
	s := &Store{o: Options{Prefix: "p"}}
	seen := map[string]string{}
	for _, name := range []string{"a", "a/1", "a%2F1", "{a}", "a}", "%7Ba%7D", ""} {
		tag := s.Space(name).tag("k")
		if other, twice := seen[tag]; twice || strings.Count(tag, "}") != 1 || strings.Count(tag, "{") != 1 {
			t.Errorf("%q has %s, as %q", name, tag, other)
		}
		seen[tag] = name
	}
}

// TestAway: calls end in bounded time, with an error of their own, and go on once
// Redis is back.
func TestAway(t *testing.T) {
	server, url := mini(t)
	var log bytes.Buffer
	s := open(t, Options{URL: url, Log: slog.New(slog.NewTextHandler(&log, nil))})
	sp := s.Space("a")
	if err := sp.Set(ctx, "k", []byte("v"), 0); err != nil {
		t.Fatal(err)
	}
	server.Close()
	for range 100 {
		if _, err := sp.Get(ctx, "k"); !errors.Is(err, ErrAway) || errors.Is(err, host.ErrNotFound) {
			t.Fatalf("while it is away: %v", err)
		}
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	back := func() bool { _, err := sp.Get(ctx, "k"); return err == nil }
	for deadline := time.Now().Add(10 * time.Second); !back(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come back")
		}
	}
	if text := log.String(); strings.Count(text, "is away") != 1 || strings.Count(text, "is back") != 1 {
		t.Errorf("log:\n%s", text)
	}
}

// TestSilent: a server that takes connections and says nothing holds a call for
// its time, and those after it not at all.
func TestSilent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := open(t, Options{URL: "redis://" + l.Addr().String(), Timeout: 50 * time.Millisecond})
	begun := time.Now()
	for range 5 {
		if _, err := s.Space("a").Add(ctx, "n", 1, 0); !errors.Is(err, ErrAway) {
			t.Errorf("got %v", err)
		}
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("five calls took %v", took)
	}
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	<-short.Done()
	if _, err := s.Space("a").Get(short, "k"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller's time is over: %v", err)
	}
}

// A proxy passes on what is sent to Redis, and drops some of the answers
// with their connection.
type proxy struct {
	net.Listener
	to   string
	drop atomic.Int32 // so many answers
}

func (p *proxy) run() {
	for {
		c, err := p.Accept()
		if err != nil {
			return
		}
		go p.pass(c)
	}
}

func (p *proxy) pass(c net.Conn) {
	defer c.Close()
	up, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer up.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := up.Write(buf[:n]); err != nil {
			return
		}
		if n, err = up.Read(buf); err != nil || p.drop.Add(-1) >= 0 {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// TestLostAnswers: what is asked again was done, and is not done again.
func TestLostAnswers(t *testing.T) {
	server, _ := mini(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, to: server.Addr()}
	go p.run()
	defer l.Close()
	sp := open(t, Options{URL: "redis://" + l.Addr().String()}).Space("a")
	add := func(want int64) {
		t.Helper()
		if got, err := sp.Add(ctx, "n", 1, 0); got != want || err != nil {
			t.Errorf("got %d, %v; want %d", got, err, want)
		}
	}
	swap := func(old, new string) {
		t.Helper()
		if err := sp.CompareAndSwap(ctx, "k", []byte(old), []byte(new), 0); err != nil {
			t.Errorf("%s for %s: %v", new, old, err)
		}
	}
	add(1) // the scripts are known now
	if err := sp.Set(ctx, "k", []byte("v"), 0); err != nil {
		t.Fatal(err)
	}
	swap("v", "w")
	p.drop.Store(1)
	add(2)
	p.drop.Store(1)
	swap("w", "x")
	p.drop.Store(1)
	if err := sp.Set(ctx, "k", []byte("y"), 0); err != nil {
		t.Error(err)
	}
	p.drop.Store(1)
	if err := sp.Delete(ctx, "k"); err != nil {
		t.Error(err)
	}
	add(3)
	if p.drop.Load() > -1 {
		t.Error("no answer was lost")
	}
}

func TestRefuses(t *testing.T) {
	for _, url := range []string{"", "spool", "redis://h/secret"} {
		if _, err := Open(Options{URL: url}); err == nil {
			t.Errorf("%q was taken", url)
		}
	}
}
