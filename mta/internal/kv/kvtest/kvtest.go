// Package kvtest has the tests that every key-value store of plugins passes.
package kvtest

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/wasmta/wasmta/sdk/host"
)

// A Subject is a new, empty store under test.
type Subject struct {
	Space   func(plugin string) host.KV
	Advance func(time.Duration) // moves the clock that the store's expiry goes by
}

// Run tests the stores that open makes.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for name, test := range map[string]func(*testing.T, Subject){
		"a value is there as it was set":           testSet,
		"what is deleted is not there":             testDelete,
		"a value expires":                          testExpiry,
		"the last write decides when":              testExpiryAnew,
		"a counter":                                testAdd,
		"a counter's window is not prolonged":      testWindow,
		"a counter that cannot be":                 testAddRefuses,
		"compare and swap":                         testSwap,
		"spaces do not see each other":             testSpaces,
		"octets are not shared with the caller":    testOwnership,
		"a context that has ended":                 testContext,
		"counters lose nothing to each other":      testConcurrentAdd,
		"one of many swaps wins":                   testConcurrentSwap,
		"any calls do as they do with a plain map": testModel,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

var ctx = context.Background()

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wants checks what a key has; nil is nothing.
func wants(t *testing.T, kv host.KV, key string, want []byte) {
	t.Helper()
	got, err := kv.Get(ctx, key)
	switch {
	case want == nil:
		if !errors.Is(err, host.ErrNotFound) {
			t.Errorf("%q: got %q, %v; want not found", key, got, err)
		}
	case err != nil || !bytes.Equal(got, want):
		t.Errorf("%q: got %q, %v; want %q", key, got, err, want)
	}
}

func testSet(t *testing.T, s Subject) {
	kv := s.Space("a")
	wants(t, kv, "k", nil)
	for _, v := range [][]byte{[]byte("v"), {}, []byte("a\x00\r\n\xff"), bytes.Repeat([]byte("x"), 64<<10)} {
		must(t, kv.Set(ctx, "k", v, 0))
		wants(t, kv, "k", v)
	}
	for _, key := range []string{"\x00", "a\x00b", "\xff\xfe", "a b", string(bytes.Repeat([]byte("k"), 512))} {
		must(t, kv.Set(ctx, key, []byte(key), time.Hour))
		wants(t, kv, key, []byte(key))
	}
	wants(t, kv, "a", nil)
}

func testDelete(t *testing.T, s Subject) {
	kv := s.Space("a")
	must(t, kv.Delete(ctx, "k"))
	must(t, kv.Set(ctx, "k", []byte("v"), time.Hour))
	must(t, kv.Delete(ctx, "k"))
	wants(t, kv, "k", nil)
	must(t, kv.Set(ctx, "k", []byte("again"), 0))
	wants(t, kv, "k", []byte("again"))
}

func testExpiry(t *testing.T, s Subject) {
	kv := s.Space("a")
	must(t, kv.Set(ctx, "short", []byte("v"), time.Second))
	must(t, kv.Set(ctx, "long", []byte("v"), time.Hour))
	must(t, kv.Set(ctx, "for ever", []byte("v"), 0))
	must(t, kv.Set(ctx, "as long as can be", []byte("v"), math.MaxInt64))
	s.Advance(999 * time.Millisecond)
	wants(t, kv, "short", []byte("v"))
	s.Advance(time.Millisecond)
	wants(t, kv, "short", nil)
	wants(t, kv, "long", []byte("v"))
	s.Advance(1000 * time.Hour)
	wants(t, kv, "long", nil)
	wants(t, kv, "for ever", []byte("v"))
	wants(t, kv, "as long as can be", []byte("v"))
	must(t, kv.CompareAndSwap(ctx, "long", nil, []byte("new"), 0))
	wants(t, kv, "long", []byte("new"))
}

func testExpiryAnew(t *testing.T, s Subject) {
	kv := s.Space("a")
	must(t, kv.Set(ctx, "k", []byte("v"), time.Second))
	must(t, kv.Set(ctx, "k", []byte("v"), time.Minute))
	s.Advance(30 * time.Second)
	wants(t, kv, "k", []byte("v"))
	must(t, kv.Set(ctx, "k", []byte("w"), 0))
	s.Advance(time.Hour)
	wants(t, kv, "k", []byte("w"))
	must(t, kv.CompareAndSwap(ctx, "k", []byte("w"), []byte("x"), time.Second))
	s.Advance(time.Second)
	wants(t, kv, "k", nil)
}

// adds checks what adding to a counter gives.
func adds(t *testing.T, kv host.KV, key string, delta int64, ttl time.Duration, want int64) {
	t.Helper()
	if got, err := kv.Add(ctx, key, delta, ttl); err != nil || got != want {
		t.Errorf("%q and %d: got %d, %v; want %d", key, delta, got, err, want)
	}
}

func testAdd(t *testing.T, s Subject) {
	kv := s.Space("a")
	adds(t, kv, "n", 3, 0, 3)
	adds(t, kv, "n", -5, 0, -2)
	wants(t, kv, "n", []byte("-2"))
	must(t, kv.Set(ctx, "n", []byte("41"), 0))
	adds(t, kv, "n", 1, 0, 42)
	adds(t, kv, "n", 0, 0, 42)
	adds(t, kv, "new", 0, 0, 0)
	wants(t, kv, "new", []byte("0"))
}

func testWindow(t *testing.T, s Subject) {
	kv := s.Space("a")
	adds(t, kv, "n", 1, time.Minute, 1)
	s.Advance(40 * time.Second)
	adds(t, kv, "n", 1, time.Minute, 2)
	s.Advance(19 * time.Second)
	adds(t, kv, "n", 1, time.Hour, 3)
	s.Advance(time.Second)
	wants(t, kv, "n", nil)
	adds(t, kv, "n", 1, time.Minute, 1)
}

func testAddRefuses(t *testing.T, s Subject) {
	kv := s.Space("a")
	for _, v := range []string{"", "x", "1.5", "1 "} {
		must(t, kv.Set(ctx, "k", []byte(v), 0))
		if _, err := kv.Add(ctx, "k", 1, 0); !errors.Is(err, host.ErrConflict) {
			t.Errorf("%q and 1: got %v", v, err)
		}
		wants(t, kv, "k", []byte(v))
	}
	for _, c := range []struct{ has, delta int64 }{{math.MaxInt64, 1}, {math.MinInt64, -1}, {-1, math.MinInt64}} {
		text := []byte(strconv.FormatInt(c.has, 10))
		must(t, kv.Set(ctx, "k", text, 0))
		if _, err := kv.Add(ctx, "k", c.delta, 0); !errors.Is(err, host.ErrLimit) {
			t.Errorf("%d and %d: got %v", c.has, c.delta, err)
		}
		wants(t, kv, "k", text)
	}
}

func testSwap(t *testing.T, s Subject) {
	kv := s.Space("a")
	for _, tt := range []struct {
		name          string
		has, old, new []byte
		conflict      bool
	}{
		{name: "nothing for nothing"},
		{name: "new for nothing", new: []byte("v")},
		{name: "new, but there is one", has: []byte("v"), new: []byte("w"), conflict: true},
		{name: "new, but there is an empty one", has: []byte{}, new: []byte("w"), conflict: true},
		{name: "another for what is there", has: []byte("v"), old: []byte("v"), new: []byte("w")},
		{name: "an empty one for an empty one", has: []byte{}, old: []byte{}, new: []byte{}},
		{name: "another for what is not there", old: []byte("v"), new: []byte("w"), conflict: true},
		{name: "an empty one is not nothing", old: []byte{}, new: []byte("w"), conflict: true},
		{name: "another for another", has: []byte("x"), old: []byte("v"), new: []byte("w"), conflict: true},
		{name: "nothing for what is there", has: []byte("v"), old: []byte("v")},
		{name: "nothing for another", has: []byte("v"), old: []byte("w"), conflict: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			must(t, kv.Delete(ctx, "k"))
			if tt.has != nil {
				must(t, kv.Set(ctx, "k", tt.has, 0))
			}
			err := kv.CompareAndSwap(ctx, "k", tt.old, tt.new, 0)
			if errors.Is(err, host.ErrConflict) != tt.conflict || err != nil && !tt.conflict {
				t.Errorf("got %v", err)
			}
			want := tt.new
			if tt.conflict {
				want = tt.has
			}
			wants(t, kv, "k", want)
		})
	}
}

func testSpaces(t *testing.T, s Subject) {
	a, b := s.Space("a"), s.Space("ab")
	must(t, a.Set(ctx, "bk", []byte("a's"), 0))
	wants(t, b, "k", nil)
	must(t, b.Set(ctx, "k", []byte("b's"), 0))
	must(t, b.Set(ctx, "bk", []byte("b's too"), 0))
	must(t, b.Delete(ctx, "bk"))
	wants(t, a, "bk", []byte("a's"))
	wants(t, s.Space("a"), "bk", []byte("a's"))
}

func testOwnership(t *testing.T, s Subject) {
	kv := s.Space("a")
	v := []byte("value")
	must(t, kv.Set(ctx, "k", v, 0))
	v[0] = 'X'
	got, err := kv.Get(ctx, "k")
	must(t, err)
	got[1] = 'X'
	wants(t, kv, "k", []byte("value"))
}

func testContext(t *testing.T, s Subject) {
	kv := s.Space("a")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := kv.Set(ended, "k", []byte("v"), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	wants(t, kv, "k", nil)
}

// atOnce calls do n times at the same time.
func atOnce(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

func testConcurrentAdd(t *testing.T, s Subject) {
	kv := s.Space("a")
	atOnce(8, func(int) {
		for range 200 {
			if _, err := kv.Add(ctx, "n", 1, time.Hour); err != nil {
				t.Error(err)
				return
			}
		}
	})
	wants(t, kv, "n", []byte("1600"))
}

func testConcurrentSwap(t *testing.T, s Subject) {
	kv := s.Space("a")
	for range 50 {
		won := make([]bool, 8)
		atOnce(len(won), func(i int) {
			err := kv.CompareAndSwap(ctx, "k", nil, []byte{byte(i)}, 0)
			if won[i] = err == nil; err != nil && !errors.Is(err, host.ErrConflict) {
				t.Error(err)
			}
		})
		got, err := kv.Get(ctx, "k")
		must(t, err)
		for i, w := range won {
			if w != (int(got[0]) == i) {
				t.Fatalf("%d is there, and those who won are %v", got[0], won)
			}
		}
		must(t, kv.Delete(ctx, "k"))
	}
}
