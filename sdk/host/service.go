package host

import (
	"context"
	"errors"
	"time"
)

// What services answer beside errors of their own, which are [abi.IO] for a
// plugin. The end of a context is [abi.Timeout].
var (
	ErrNotFound    = errors.New("not found")
	ErrConflict    = errors.New("another value is there")
	ErrLimit       = errors.New("limit reached")
	ErrTimeout     = errors.New("timed out")
	ErrUnsupported = errors.New("not supported")
)

// KV keeps keys and values of one plugin. What a plugin does there counts at
// once, and stays if its hook fails: a greylist answers 4xx and has to remember
// it. A ttl of zero is for ever. Keys have up to 512 octets, values up to 64 KiB
// ([Limits]); both can be any octets. Safe for concurrent use, by several nodes
// if it is shared.
type KV interface {
	// Get is ErrNotFound for a key that is not there, or not any more.
	Get(ctx context.Context, key string) ([]byte, error)

	// Set is ErrLimit if the store has no room left for this plugin.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error

	// Delete of a key that is not there is no error.
	Delete(ctx context.Context, key string) error

	// Add adds to a counter and returns what it is then: a value of decimal
	// digits, perhaps with a minus sign. One that is not there is zero before, and ttl
	// counts from then: later calls do not prolong it, so that it can count
	// what was in a window of time. A value that is no number is ErrConflict,
	// and a sum that is none of 64 bits ErrLimit.
	Add(ctx context.Context, key string, delta int64, ttl time.Duration) (int64, error)

	// CompareAndSwap sets new if old is there, and is ErrConflict otherwise.
	// A nil old is a key that is not there; a nil new deletes.
	CompareAndSwap(ctx context.Context, key string, old, new []byte, ttl time.Duration) error
}

// A Resolver looks up names. Lookup returns the data of each record of that
// type, in the presentation format of its kind (RFC 1035 §5.1) but for TXT, of
// which it is the text itself, its strings put together (RFC 7208 §3.3) and
// octets that do not print as \DDD. No record is ErrNotFound, be it that the
// name is not there or has none of that type; a type that it does not know is
// ErrUnsupported. Safe for concurrent use.
type Resolver interface {
	Lookup(ctx context.Context, qtype uint16, name string) ([]string, error)
}

// Metrics are the counters and histograms of one plugin. Names are checked
// before; how many there may be is for Metrics to bound. Safe for concurrent
// use.
type Metrics interface {
	Count(name string, delta int64)
	Observe(name string, value float64)
}
