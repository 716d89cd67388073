package testcase

import (
	"bytes"
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wasmta/wasmta/sdk/host"
)

// KV is a key-value store in memory, on a clock of its own. Safe for concurrent
// use.
type KV struct {
	now func() time.Time

	mu      sync.Mutex // guards entries
	entries map[string]entry
}

type entry struct {
	value []byte
	until time.Time // zero: for ever
}

// NewKV makes a store that begins with these values.
func NewKV(values map[string]string, now func() time.Time) *KV {
	kv := &KV{now: now, entries: map[string]entry{}}
	for k, v := range values {
		kv.entries[k] = entry{value: []byte(v)}
	}
	return kv
}

// Values are all values that are there now.
func (kv *KV) Values() map[string]string {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	values := map[string]string{}
	for k := range kv.entries {
		if e, ok := kv.live(k); ok {
			values[k] = string(e.value)
		}
	}
	return values
}

// live is the entry of a key, if its time is not over. The lock is held.
func (kv *KV) live(key string) (entry, bool) {
	e, ok := kv.entries[key]
	if ok && !e.until.IsZero() && !e.until.After(kv.now()) {
		delete(kv.entries, key)
		return entry{}, false
	}
	return e, ok
}

func (kv *KV) put(key string, value []byte, ttl time.Duration) {
	e := entry{value: bytes.Clone(value)}
	if ttl > 0 {
		e.until = kv.now().Add(ttl)
	}
	kv.entries[key] = e
}

// Get implements [host.KV].
func (kv *KV) Get(ctx context.Context, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	kv.mu.Lock()
	defer kv.mu.Unlock()
	e, ok := kv.live(key)
	if !ok {
		return nil, host.ErrNotFound
	}
	return bytes.Clone(e.value), nil
}

// Set implements [host.KV].
func (kv *KV) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	kv.mu.Lock()
	defer kv.mu.Unlock()
	kv.put(key, value, ttl)
	return nil
}

// Delete implements [host.KV].
func (kv *KV) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	kv.mu.Lock()
	defer kv.mu.Unlock()
	delete(kv.entries, key)
	return nil
}

// Add implements [host.KV].
func (kv *KV) Add(ctx context.Context, key string, delta int64, ttl time.Duration) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	kv.mu.Lock()
	defer kv.mu.Unlock()
	e, ok := kv.live(key)
	if !ok {
		kv.put(key, strconv.AppendInt(nil, delta, 10), ttl)
		return delta, nil
	}
	n, err := strconv.ParseInt(string(e.value), 10, 64)
	if err != nil {
		return 0, host.ErrConflict
	}
	if delta > 0 && n > math.MaxInt64-delta || delta < 0 && n < math.MinInt64-delta {
		return 0, host.ErrLimit
	}
	e.value = strconv.AppendInt(nil, n+delta, 10)
	kv.entries[key] = e
	return n + delta, nil
}

// CompareAndSwap implements [host.KV].
func (kv *KV) CompareAndSwap(ctx context.Context, key string, old, next []byte, ttl time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	kv.mu.Lock()
	defer kv.mu.Unlock()
	e, ok := kv.live(key)
	if ok != (old != nil) || ok && !bytes.Equal(e.value, old) {
		return host.ErrConflict
	}
	if next == nil {
		delete(kv.entries, key)
	} else {
		kv.put(key, next, ttl)
	}
	return nil
}

// DNS has the records of a test: by name in lower case, a blank and the type's
// number. A record [NoAnswer] is one that times out.
type DNS map[string][]string

// NoAnswer is the data of a record that a resolver waits for in vain.
const NoAnswer = "!timeout"

// Lookup implements [host.Resolver].
func (d DNS) Lookup(_ context.Context, qtype uint16, name string) ([]string, error) {
	records := d[dnsKey(name, qtype)]
	switch {
	case len(records) == 0:
		return nil, host.ErrNotFound
	case slices.Contains(records, NoAnswer):
		return nil, host.ErrTimeout
	}
	return slices.Clone(records), nil
}

// Add adds a record.
func (d DNS) Add(name string, qtype uint16, data string) {
	key := dnsKey(name, qtype)
	d[key] = append(d[key], data)
}

func dnsKey(name string, qtype uint16) string {
	return strings.ToLower(strings.TrimSuffix(name, ".")) + " " + strconv.Itoa(int(qtype))
}

// dnsTypes are the types that have a name in a case; the others have "TYPE99"
// (RFC 3597 §5).
var dnsTypes = map[string]uint16{
	"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "TLSA": 52,
}

// DNSType is the number of a type of records, by its name.
func DNSType(s string) (uint16, bool) {
	s = strings.ToUpper(s)
	if t, ok := dnsTypes[s]; ok {
		return t, true
	}
	number, ok := strings.CutPrefix(s, "TYPE")
	n, err := strconv.ParseUint(number, 10, 16)
	return uint16(n), ok && err == nil
}

// DNSName is the name of a type of records, or TYPE and its number.
func DNSName(qtype uint16) string {
	for name, number := range dnsTypes {
		if number == qtype {
			return name
		}
	}
	return "TYPE" + strconv.Itoa(int(qtype))
}

// Metrics keep what a plugin counts. Safe for concurrent use.
type Metrics struct {
	mu       sync.Mutex // guards what follows
	counters map[string]int64
	observed []string // "name=value"
}

// Count implements [host.Metrics].
func (m *Metrics) Count(name string, delta int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counters == nil {
		m.counters = map[string]int64{}
	}
	m.counters[name] += delta
}

// Observe implements [host.Metrics].
func (m *Metrics) Observe(name string, value float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.observed = append(m.observed, name+"="+strconv.FormatFloat(value, 'g', -1, 64))
}

// Lines are all that was counted: "counter: name=1", "observed: name=0.5".
func (m *Metrics) Lines() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(m.counters)) {
		lines = append(lines, "counter: "+name+"="+strconv.FormatInt(m.counters[name], 10))
	}
	for _, s := range m.observed {
		lines = append(lines, "observed: "+s)
	}
	return lines
}
