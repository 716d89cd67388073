package testcase

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/wasmta/wasmta/sdk/host"
)

func TestKV(t *testing.T) {
	now := time.Unix(0, 0)
	kv := NewKV(map[string]string{"a": "1"}, func() time.Time { return now })
	ctx := t.Context()
	want := func(key, value string) {
		t.Helper()
		b, err := kv.Get(ctx, key)
		if string(b) != value || (value == "") != errors.Is(err, host.ErrNotFound) {
			t.Errorf("%s is %q, %v; want %q", key, b, err, value)
		}
	}
	is := func(err, wanted error) {
		t.Helper()
		if !errors.Is(err, wanted) {
			t.Errorf("got %v, want %v", err, wanted)
		}
	}
	want("a", "1")
	is(kv.Set(ctx, "b", []byte("x"), time.Second), nil)
	is(kv.CompareAndSwap(ctx, "b", nil, []byte("y"), 0), host.ErrConflict)
	is(kv.CompareAndSwap(ctx, "b", []byte("y"), []byte("z"), 0), host.ErrConflict)
	is(kv.CompareAndSwap(ctx, "b", []byte("x"), []byte("y"), time.Second), nil)
	want("b", "y")
	if n, err := kv.Add(ctx, "n", 5, time.Second); n != 5 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	now = now.Add(600 * time.Millisecond)
	if n, err := kv.Add(ctx, "n", 1, time.Second); n != 6 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	_, err := kv.Add(ctx, "b", 1, 0)
	is(err, host.ErrConflict)
	_, err = kv.Add(ctx, "n", math.MaxInt64, 0)
	is(err, host.ErrLimit)
	now = now.Add(600 * time.Millisecond)
	want("b", "")
	want("n", "") // the second add did not prolong it
	is(kv.CompareAndSwap(ctx, "a", []byte("1"), nil, 0), nil)
	is(kv.CompareAndSwap(ctx, "a", []byte("1"), nil, 0), host.ErrConflict)
	is(kv.Delete(ctx, "a"), nil)
	if left := kv.Values(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
