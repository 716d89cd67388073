package redis

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/wasmta/wasmta/sdk/host"
)

// A Space is what one plugin keeps. It implements [host.KV]. Safe for concurrent
// use, also by several nodes: each method is atomic.
type Space struct {
	store *Store
	name  string
}

var _ host.KV = (*Space)(nil)

// Get implements [host.KV].
func (sp *Space) Get(ctx context.Context, key string) ([]byte, error) {
	value, err := sp.call(ctx, getScript, "", key)
	if err != nil {
		return nil, err
	}
	return []byte(value), nil
}

// Set implements [host.KV]. Asking again after a lost answer leaves what was to
// be there.
func (sp *Space) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := sp.check(key, value); err != nil {
		return err
	}
	_, err := sp.call(ctx, setScript, "", key, sp.limited(ttl, value)...)
	return err
}

// Delete implements [host.KV].
func (sp *Space) Delete(ctx context.Context, key string) error {
	if err := sp.check(key, nil); err != nil {
		return err
	}
	_, err := sp.call(ctx, deleteScript, "", key)
	return err
}

// Add implements [host.KV].
func (sp *Space) Add(ctx context.Context, key string, delta int64, ttl time.Duration) (int64, error) {
	if err := sp.check(key, nil); err != nil {
		return 0, err
	}
	sum, err := sp.call(ctx, addScript, sp.store.newOp(), key, sp.limited(ttl, delta)...)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(sum, 10, 64)
}

// CompareAndSwap implements [host.KV].
func (sp *Space) CompareAndSwap(ctx context.Context, key string, old, new []byte, ttl time.Duration) error {
	if err := sp.check(key, new); err != nil {
		return err
	}
	is := func(b []byte) string { return map[bool]string{true: "1", false: "0"}[b != nil] }
	_, err := sp.call(ctx, swapScript, sp.store.newOp(), key, sp.limited(ttl, is(old), old, is(new), new)...)
	return err
}

// check holds keys and values to the size they may have.
func (sp *Space) check(key string, value []byte) error {
	limits := &sp.store.o.Limits
	if len(key) > limits.Key {
		return fmt.Errorf("%w: a key of %d octets, and %d is the most", host.ErrLimit, len(key), limits.Key)
	}
	if len(value) > limits.Value {
		return fmt.Errorf("%w: a value of %d octets, and %d is the most", host.ErrLimit, len(value), limits.Value)
	}
	return nil
}

// limited is a ttl, what a part of a space may have, and more arguments.
func (sp *Space) limited(ttl time.Duration, more ...any) []any {
	keys, octets := sp.share()
	return append([]any{millis(ttl), keys, octets}, more...)
}

// share is how many keys and octets one part may have.
func (sp *Space) share() (keys, octets int64) {
	l := &sp.store.o.Limits
	return share(int64(l.Keys)), share(l.Octets)
}

func share(of int64) int64 { return of/parts + of/parts/4 + 1 }

// millis is a time in ms, rounded up; zero is for ever.
func millis(ttl time.Duration) int64 {
	if ttl > math.MaxInt64-time.Millisecond {
		return int64(ttl / time.Millisecond)
	}
	if ttl < 0 {
		return int64(ttl / time.Millisecond)
	}
	return int64((ttl + time.Millisecond - 1) / time.Millisecond)
}

// call runs a script on the part that a key is in. op is what tells it from all
// other operations, where it must not be made twice.
func (sp *Space) call(ctx context.Context, script *redis.Script, op, key string, args ...any) (string, error) {
	tag := sp.tag(key)
	keys := []string{tag + ":h", tag + ":e"}
	if op != "" {
		keys = append(keys, tag+":op:"+op)
	}
	now := ""
	if sp.store.o.Now != nil {
		now = strconv.FormatInt(sp.store.o.Now().UnixMilli(), 10)
	}
	answer, err := sp.store.run(ctx, script, keys, append([]any{now, key}, args...))
	if err != nil {
		return "", err
	}
	return sp.understand(answer)
}

// tag is what the keys of a part begin with; what is in braces is what a Cluster
// places it by.
func (sp *Space) tag(key string) string {
	h := fnv.New32a()
	h.Write([]byte(key)) // never fails (package hash)
	part := strconv.Itoa(int(h.Sum32() % parts))
	return sp.store.o.Prefix + ":kv:{" + braceless.Replace(sp.name) + "/" + part + "}"
}

// braceless makes a name one that can stand in braces, and no two names the same.
var braceless = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D", "/", "%2F")

// understand makes a value or an error of an answer.
func (sp *Space) understand(answer []any) (string, error) {
	field := func(i int) string {
		if i >= len(answer) {
			return ""
		}
		s, _ := answer[i].(string)
		return s
	}
	switch status := field(0); status {
	case "OK":
		return field(1), nil
	case "NONE":
		return "", host.ErrNotFound
	case "CONFLICT":
		return "", host.ErrConflict
	case "RANGE":
		return "", fmt.Errorf("%w: the counter has 64 bits", host.ErrLimit)
	case "LIMIT":
		keys, octets := sp.share()
		return "", fmt.Errorf("%w: this part of what the plugin keeps has %s keys with %s octets, and %d with %d is the most",
			host.ErrLimit, field(1), field(2), keys, octets)
	default:
		return "", fmt.Errorf("the plugins' store: an unknown answer %q", status)
	}
}
