package kv

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/wasmta/wasmta/sdk/host"
)

// A Space is what one plugin keeps. It implements [host.KV]. Safe for
// concurrent use: each method is atomic.
type Space struct {
	store *Store
	name  string

	mu       sync.Mutex        // guards what follows; held while the file is read, never while it is written
	pending  map[string]record // newer than what is below; without a file all there is
	flushing map[string]record // on its way to the file, not changed; nil: nothing is
	keys     int               // of all, those that have expired and are not swept yet too
	octets   int64             // likewise, as [Limits].Octets counts
}

var _ host.KV = (*Space)(nil)

// A record is a value. The zero record is a key that is not there.
type record struct {
	value   []byte // not changed once it is here
	expires int64  // ms since 1970; zero: never
	there   bool
}

func (r record) live(now int64) bool { return r.there && (r.expires == 0 || now < r.expires) }

// cost is what r takes of the octets of a space.
func (r record) cost(key string) int64 {
	if !r.there {
		return 0
	}
	return int64(len(key)+len(r.value)) + recordCost
}

// Get implements [host.KV].
func (sp *Space) Get(ctx context.Context, key string) ([]byte, error) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	r, err := sp.live(ctx, key)
	if err != nil {
		return nil, err
	}
	if !r.there {
		return nil, host.ErrNotFound
	}
	return bytes.Clone(r.value), nil
}

// Set implements [host.KV].
func (sp *Space) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return sp.change(ctx, key, func(record) (record, error) {
		return sp.record(value, ttl), nil
	})
}

// Delete implements [host.KV].
func (sp *Space) Delete(ctx context.Context, key string) error {
	return sp.change(ctx, key, func(record) (record, error) { return record{}, nil })
}

// Add implements [host.KV].
func (sp *Space) Add(ctx context.Context, key string, delta int64, ttl time.Duration) (sum int64, err error) {
	err = sp.change(ctx, key, func(old record) (record, error) {
		r := sp.record(nil, ttl)
		if old.there {
			if sum, err = strconv.ParseInt(string(old.value), 10, 64); err != nil {
				return old, fmt.Errorf("%w: it is no counter", host.ErrConflict)
			}
			r.expires = old.expires
		}
		if delta > 0 && sum > math.MaxInt64-delta || delta < 0 && sum < math.MinInt64-delta {
			return old, fmt.Errorf("%w: the counter has 64 bits", host.ErrLimit)
		}
		sum += delta
		r.value = strconv.AppendInt(nil, sum, 10)
		return r, nil
	})
	if err != nil {
		return 0, err
	}
	return sum, nil
}

// CompareAndSwap implements [host.KV].
func (sp *Space) CompareAndSwap(ctx context.Context, key string, old, new []byte, ttl time.Duration) error {
	return sp.change(ctx, key, func(r record) (record, error) {
		if r.there != (old != nil) || !bytes.Equal(r.value, old) {
			return r, host.ErrConflict
		}
		if new == nil {
			return record{}, nil
		}
		return sp.record(new, ttl), nil
	})
}

func (sp *Space) record(value []byte, ttl time.Duration) record {
	r := record{value: bytes.Clone(value), there: true}
	if ttl != 0 {
		r.expires = expiry(sp.store.now(), ttl)
	}
	return r
}

// expiry is when a value ends, to the millisecond above.
func expiry(now time.Time, ttl time.Duration) int64 {
	ms := int64((ttl + time.Millisecond - 1) / time.Millisecond)
	if ttl > math.MaxInt64-time.Millisecond {
		ms = int64(ttl / time.Millisecond)
	}
	return max(now.UnixMilli()+ms, 1) // zero is never
}

// change replaces what a key has by what next makes of it.
func (sp *Space) change(ctx context.Context, key string, next func(record) (record, error)) error {
	limits := &sp.store.limits
	if len(key) > limits.Key {
		return fmt.Errorf("%w: a key of %d octets, and %d is the most", host.ErrLimit, len(key), limits.Key)
	}
	if err := sp.store.makeRoom(); err != nil {
		return err
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	old, err := sp.live(ctx, key)
	if err != nil {
		return err
	}
	r, err := next(old)
	if err != nil {
		return err
	}
	if len(r.value) > limits.Value {
		return fmt.Errorf("%w: a value of %d octets, and %d is the most", host.ErrLimit, len(r.value), limits.Value)
	}
	return sp.put(key, r)
}

// live is what a key has now; the zero record if that has expired. Called with
// mu held.
func (sp *Space) live(ctx context.Context, key string) (record, error) {
	if err := ctx.Err(); err != nil {
		return record{}, err
	}
	r, err := sp.read(key)
	if err != nil || !r.live(sp.store.now().UnixMilli()) {
		return record{}, err
	}
	return r, nil
}

// read is what a key has, expired or not. Called with mu held.
func (sp *Space) read(key string) (record, error) {
	if r, ok := sp.pending[key]; ok {
		return r, nil
	}
	if r, ok := sp.flushing[key]; ok {
		return r, nil
	}
	if sp.store.file == nil {
		return record{}, nil
	}
	return sp.store.readFile(sp.name, key)
}

// put sets what a key has, within the limits. Called with mu held.
func (sp *Space) put(key string, r record) error {
	old, err := sp.read(key)
	if err != nil {
		return err
	}
	if !old.there && !r.there {
		return nil
	}
	if r.there && !sp.fits(key, old, r) {
		if err := sp.purge(); err != nil {
			return err
		}
		if old, err = sp.read(key); err != nil { // it may be gone now
			return err
		}
		if !sp.fits(key, old, r) {
			l := &sp.store.limits
			return fmt.Errorf("%w: the plugin keeps %d keys with %d octets, and %d with %d is the most",
				host.ErrLimit, sp.keys, sp.octets, l.Keys, l.Octets)
		}
	}
	sp.write(key, old, r)
	return nil
}

func (sp *Space) fits(key string, old, r record) bool {
	l := &sp.store.limits
	return (old.there || sp.keys < l.Keys) && sp.octets-old.cost(key)+r.cost(key) <= l.Octets
}

// write puts down that a key has r instead of old. Called with mu held.
func (sp *Space) write(key string, old, r record) {
	sp.octets += r.cost(key) - old.cost(key)
	if r.there != old.there {
		sp.keys--
		if r.there {
			sp.keys += 2
		}
	}
	if sp.store.file == nil && !r.there {
		delete(sp.pending, key)
		return
	}
	if _, again := sp.pending[key]; !again && sp.store.file != nil {
		sp.store.pending.Add(recordCost)
	}
	sp.pending[key] = r
	if sp.store.file != nil {
		sp.store.pending.Add(int64(len(key) + len(r.value)))
	}
}

// purge takes out what has expired. Called with mu held.
func (sp *Space) purge() error {
	now := sp.store.now().UnixMilli()
	for key, r := range sp.pending {
		if r.there && !r.live(now) {
			sp.write(key, r, record{})
		}
	}
	if sp.store.file == nil {
		return nil
	}
	return sp.store.expired(now, math.MaxInt, func(space, key string) error {
		if space != sp.name {
			return nil
		}
		return sp.expire(key, now)
	})
}

// expire takes a key out if it has expired. Called with mu held.
func (sp *Space) expire(key string, now int64) error {
	r, err := sp.read(key)
	if err != nil || !r.there || r.live(now) {
		return err
	}
	sp.write(key, r, record{})
	return nil
}
