package host

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
)

// KvGet is kv_get.
func (c *Call) KvGet(key string) ([]byte, abi.Errno) {
	if e := c.store(key, 0, 0); e != abi.OK {
		return nil, e
	}
	b, err := c.in.KV.Get(c.in.Ctx, key)
	return b, c.serviceErrno("kv_get", err)
}

// KvSet is kv_set.
func (c *Call) KvSet(key string, value []byte, ttlMS int64) abi.Errno {
	if e := c.store(key, len(value), ttlMS); e != abi.OK {
		return e
	}
	return c.serviceErrno("kv_set", c.in.KV.Set(c.in.Ctx, key, value, ttl(ttlMS)))
}

// KvDel is kv_del.
func (c *Call) KvDel(key string) abi.Errno {
	if e := c.store(key, 0, 0); e != abi.OK {
		return e
	}
	return c.serviceErrno("kv_del", c.in.KV.Delete(c.in.Ctx, key))
}

// KvAdd is kv_add.
func (c *Call) KvAdd(key string, delta, ttlMS int64) (int64, abi.Errno) {
	if e := c.store(key, 0, ttlMS); e != abi.OK {
		return 0, e
	}
	n, err := c.in.KV.Add(c.in.Ctx, key, delta, ttl(ttlMS))
	return n, c.serviceErrno("kv_add", err)
}

// KvCas is kv_cas: 1 if the value was old and is swapped, 0 if it was not. An
// empty old is a key that is not there, an empty value deletes.
func (c *Call) KvCas(key string, old, value []byte, ttlMS int64) int32 {
	if e := c.store(key, max(len(old), len(value)), ttlMS); e != abi.OK {
		return int32(e)
	}
	err := c.in.KV.CompareAndSwap(c.in.Ctx, key, orNil(old), orNil(value), ttl(ttlMS))
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) {
		return 0
	}
	return first(1, c.serviceErrno("kv_cas", err))
}

func orNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// store is what is checked of every call of the key-value store.
func (c *Call) store(key string, octets int, ttlMS int64) abi.Errno {
	if e := c.may(abi.AccessKV); e != abi.OK {
		return e
	}
	switch {
	case c.in.KV == nil:
		return abi.Unsupported
	case key == "" || ttlMS < 0:
		return abi.BadArg
	case len(key) > c.limits.KVKey || octets > c.limits.KVValue || c.used.kv >= c.limits.KVCalls:
		return abi.Limit
	}
	c.used.kv++
	return abi.OK
}

// ttl is a number of milliseconds; what a Duration cannot say is 292 years.
func ttl(ms int64) time.Duration {
	return time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
}

// serviceErrno is an error of a service. What is none of ours goes to the log,
// as the plugin hears no more than [abi.IO].
func (c *Call) serviceErrno(function string, err error) abi.Errno {
	switch {
	case err == nil:
		return abi.OK
	case errors.Is(err, ErrNotFound):
		return abi.NotFound
	case errors.Is(err, ErrConflict):
		return abi.BadArg
	case errors.Is(err, ErrLimit):
		return abi.Limit
	case errors.Is(err, ErrUnsupported):
		return abi.Unsupported
	case errors.Is(err, ErrTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return abi.Timeout
	}
	c.Log(abi.LevelWarn, function+": "+err.Error())
	return abi.IO
}
