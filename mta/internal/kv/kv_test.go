package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/wasmta/wasmta/mta/internal/kv/kvtest"
	"github.com/wasmta/wasmta/sdk/host"
	"github.com/wasmta/wasmta/sdk/testcase"
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

func open(t *testing.T, path string, o Options) *Store {
	t.Helper()
	s, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newFile(t *testing.T) string { return filepath.Join(t.TempDir(), "kv.bolt") }

// count counts the keys that are in the file.
func count(t *testing.T, s *Store, bucket []byte) (n int) {
	t.Helper()
	if err := s.file.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(_, _ []byte) error { n++; return nil })
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestMemory(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kvtest.Subject {
		c := newClock()
		s := NewMemory(Options{Now: c.now})
		return kvtest.Subject{Space: func(n string) host.KV { return s.Space(n) }, Advance: c.advance}
	})
}

// TestThatOfTestCases holds that what plugins have in their tests behaves as
// what they have in a server.
func TestThatOfTestCases(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kvtest.Subject {
		c := newClock()
		spaces := map[string]host.KV{}
		return kvtest.Subject{Advance: c.advance, Space: func(n string) host.KV {
			if spaces[n] == nil {
				spaces[n] = testcase.NewKV(nil, c.now)
			}
			return spaces[n]
		}}
	})
}

func TestFile(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kvtest.Subject {
		c := newClock()
		s := open(t, newFile(t), Options{Now: c.now})
		return kvtest.Subject{Space: func(n string) host.KV { return s.Space(n) }, Advance: c.advance}
	})
}

// TestFileWritten is TestFile where all that is read was written to the file
// before, and swept.
func TestFileWritten(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kvtest.Subject {
		c := newClock()
		s := open(t, newFile(t), Options{Now: c.now})

		return kvtest.Subject{
			Space: func(n string) host.KV { return writtenSpace{s.Space(n), s} },
			Advance: func(d time.Duration) {
				c.advance(d)
				s.Sweep()
			},
		}
	})
}

// A writtenSpace has every write in the file before it returns.
type writtenSpace struct {
	*Space
	s *Store
}

func (w writtenSpace) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return errors.Join(w.Space.Set(ctx, key, value, ttl), w.s.Flush())
}

func (w writtenSpace) Delete(ctx context.Context, key string) error {
	return errors.Join(w.Space.Delete(ctx, key), w.s.Flush())
}

func TestWhatIsKeptOverARestart(t *testing.T) {
	path, c := newFile(t), newClock()
	s := open(t, path, Options{Now: c.now})
	sp := s.Space("greylist")
	for _, err := range []error{
		sp.Set(ctx, "kept", []byte("v"), time.Hour),
		sp.Set(ctx, "ends", []byte("v"), time.Minute),
		sp.Set(ctx, "changed", []byte("old"), time.Minute),
		s.Flush(),
		sp.Set(ctx, "changed", []byte("new"), 0),
		sp.Delete(ctx, "ends"),
		s.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c.advance(2 * time.Minute)
	s = open(t, path, Options{Now: c.now})
	sp = s.Space("greylist")
	for key, want := range map[string]string{"kept": "v", "changed": "new", "ends": ""} {
		if got, err := sp.Get(ctx, key); string(got) != want || (want == "") != errors.Is(err, host.ErrNotFound) {
			t.Errorf("%s: got %q, %v", key, got, err)
		}
	}
	if sp.keys != 2 || sp.octets != int64(len("keptvchangednew"))+2*recordCost {
		t.Errorf("it counts %d keys with %d octets", sp.keys, sp.octets)
	}
	if n := count(t, s, expiryBucket); n != 1 {
		t.Errorf("%d keys are to expire, want 1", n)
	}
}

// TestCrash holds that what a second of Run wrote is there after a crash, which
// a copy of the file at that moment stands for.
func TestCrash(t *testing.T) {
	path := newFile(t)
	s := open(t, path, Options{})
	synctest.Test(t, func(t *testing.T) {
		running, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Run(running)
		}()
		if err := s.Space("a").Set(ctx, "k", []byte("v"), 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(flushEvery)
		synctest.Wait()
		stop()
		<-done
	})
	octets, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := newFile(t)
	if err := os.WriteFile(copied, octets, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := open(t, copied, Options{}).Space("a").Get(ctx, "k"); string(got) != "v" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSweepLeavesNothing(t *testing.T) {
	c := newClock()
	s := open(t, newFile(t), Options{Now: c.now})
	sp := s.Space("a")
	for i := range 100 {
		if err := sp.Set(ctx, fmt.Sprint(i), []byte("v"), time.Duration(1+i%2)*time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{100, 50, 0} {
		s.Sweep()
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		if v, e := count(t, s, valuesBucket), count(t, s, expiryBucket); v != want || e != want || sp.keys != want {
			t.Errorf("%d values, %d to expire, %d counted; want %d", v, e, sp.keys, want)
		}
		c.advance(time.Minute)
	}
	if sp.octets != 0 {
		t.Errorf("%d octets are counted", sp.octets)
	}
}

func TestLimits(t *testing.T) {
	limits := Limits{Key: 3, Value: 100, Keys: 3, Octets: 2*recordCost + 110}
	for name, open := range map[string]func(*testing.T, Options) *Store{
		"memory": func(_ *testing.T, o Options) *Store { return NewMemory(o) },
		"file":   func(t *testing.T, o Options) *Store { return open(t, newFile(t), o) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			s := open(t, Options{Limits: limits, Now: c.now})
			sp := s.Space("a")
			for _, tt := range []struct {
				what, key string
				size      int
				refused   bool
			}{
				{"a long key", "abcd", 1, true},
				{"a large value", "a", 101, true},
				{"the first", "a", 50, false},
				{"the second", "b", 50, false},
				{"more octets than there may be", "c", 50, true},
				{"a larger one instead", "b", 59, true},
				{"a smaller one instead", "b", 10, false},
			} {
				err := sp.Set(ctx, tt.key, make([]byte, tt.size), time.Minute)
				if errors.Is(err, host.ErrLimit) != tt.refused || err != nil && !tt.refused {
					t.Errorf("%s: got %v", tt.what, err)
				}
			}
			if err := s.Space("another").Set(ctx, "a", make([]byte, 100), 0); err != nil {
				t.Errorf("another plugin: %v", err)
			}
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
			c.advance(time.Minute)
			if err := sp.Set(ctx, "c", make([]byte, 100), 0); err != nil {
				t.Errorf("once the others have expired: %v", err)
			}
		})
	}
}

func TestTooManyKeys(t *testing.T) {
	sp := NewMemory(Options{Limits: Limits{Keys: 2}}).Space("a")
	for i, refused := range []bool{false, false, true} {
		if err := sp.Set(ctx, fmt.Sprint(i), nil, 0); errors.Is(err, host.ErrLimit) != refused {
			t.Errorf("key %d: got %v", i, err)
		}
	}
}

func TestManyWritesGoToTheFileWithoutRun(t *testing.T) {
	s := open(t, newFile(t), Options{})
	sp := s.Space("a")
	value := make([]byte, 64<<10)
	for i := range 2 * maxPending / len(value) {
		if err := sp.Set(ctx, fmt.Sprint(i), value, 0); err != nil {
			t.Fatal(err)
		}
		if n := s.pending.Load(); n > maxPending+int64(len(value))+100 {
			t.Fatalf("%d octets wait", n)
		}
	}
	if n := count(t, s, valuesBucket); n == 0 {
		t.Error("nothing is in the file")
	}
}

// TestWhatCannotBeWrittenStaysInMemory has the library refuse a key, and so the
// whole transaction.
func TestWhatCannotBeWrittenStaysInMemory(t *testing.T) {
	var log bytes.Buffer
	s := open(t, newFile(t), Options{Limits: Limits{Key: 1 << 20}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	sp, bad := s.Space("a"), strings.Repeat("k", bbolt.MaxKeySize)
	for _, key := range []string{"k", bad} {
		if err := sp.Set(ctx, key, []byte("v"), 0); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := s.Flush(); err == nil {
			t.Fatal("it was written")
		}
	}
	if got, err := sp.Get(ctx, "k"); string(got) != "v" || count(t, s, valuesBucket) != 0 {
		t.Errorf("got %q, %v", got, err)
	}
	if err := errors.Join(sp.Delete(ctx, bad), s.Flush()); err != nil || count(t, s, valuesBucket) != 1 {
		t.Errorf("once the bad key is gone: %v", err)
	}
	if text := log.String(); strings.Count(text, "cannot be written") != 1 || strings.Count(text, "can be written again") != 1 {
		t.Errorf("log: %s", text)
	}
}

func TestASecondProcessIsRefused(t *testing.T) {
	path := newFile(t)
	open(t, path, Options{})
	if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), "another process uses "+path) {
		t.Errorf("got %v", err)
	}
}

func TestADamagedFileIsMovedAside(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"garbage":          func(b []byte) []byte { return []byte(strings.Repeat("garbage ", len(b)/8)) },
		"cut":              func(b []byte) []byte { return b[:16<<10] },
		"cut after a page": func(b []byte) []byte { return b[:4096] },
		"a text":           func([]byte) []byte { return []byte("hello") },
		"pages of nothing": func(b []byte) []byte { clear(b[8192:]); return b },
	} {
		t.Run(name, func(t *testing.T) {
			path, c := newFile(t), newClock()
			s := open(t, path, Options{})
			for i := range 500 {
				if err := s.Space("a").Set(ctx, fmt.Sprint(i), bytes.Repeat([]byte("v"), 100), time.Hour); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			octets, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			damaged := damage(octets)
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			s = open(t, path, Options{Now: c.now, Log: slog.New(slog.NewTextHandler(&log, nil))})
			if err := s.Space("a").Set(ctx, "k", []byte("v"), 0); err != nil {
				t.Error(err)
			}
			if _, err := s.Space("a").Get(ctx, "1"); !errors.Is(err, host.ErrNotFound) {
				t.Errorf("an old value: %v", err)
			}
			aside := path + ".damaged-20261125T000000"
			if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), aside) {
				t.Errorf("log: %s", log.String())
			}
			if kept, err := os.ReadFile(aside); err != nil || !bytes.Equal(kept, damaged) {
				t.Errorf("the damaged file is not what it was: %v", err)
			}
		})
	}
}

// TestAnotherFileIsLeftAlone holds that a file which is no store of plugins,
// though a good one of the library, is not moved.
func TestAnotherFileIsLeftAlone(t *testing.T) {
	path := newFile(t)
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("other"))
		return err
	}), db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{}); !errors.Is(err, errFormat) {
		t.Errorf("got %v", err)
	}
}
