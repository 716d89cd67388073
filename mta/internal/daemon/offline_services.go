package daemon

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/sdk/host"
	"github.com/wasmta/wasmta/sdk/testcase"
)

// A memory is what one plugin remembers in a run. It has it from when it is
// loaded; what is in it is the run's.
type memory struct {
	o      *Offline
	plugin string
}

func (m memory) store() *testcase.KV {
	kv := m.o.stores[m.plugin]
	if kv == nil {
		kv = testcase.NewKV(nil, m.o.now)
		m.o.stores[m.plugin] = kv
	}
	return kv
}

// Get implements [host.KV].
func (m memory) Get(ctx context.Context, key string) ([]byte, error) { return m.store().Get(ctx, key) }

// Set implements [host.KV].
func (m memory) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return m.store().Set(ctx, key, value, ttl)
}

// Delete implements [host.KV].
func (m memory) Delete(ctx context.Context, key string) error { return m.store().Delete(ctx, key) }

// Add implements [host.KV].
func (m memory) Add(ctx context.Context, key string, delta int64, ttl time.Duration) (int64, error) {
	return m.store().Add(ctx, key, delta, ttl)
}

// CompareAndSwap implements [host.KV].
func (m memory) CompareAndSwap(ctx context.Context, key string, old, next []byte, ttl time.Duration) error {
	return m.store().CompareAndSwap(ctx, key, old, next, ttl)
}

// remembered is what the plugin of a stage remembers, a line for each key.
func (o *Offline) remembered(stage string) (lines []string) {
	i := slices.IndexFunc(o.Config.Pipeline, func(s config.Stage) bool { return s.Name == stage })
	values := memory{o, o.Config.Pipeline[i].Plugin}.store().Values()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		lines = append(lines, key+"="+values[key])
	}
	return lines
}

// records are the DNS of a run.
type records struct{ o *Offline }

// Lookup implements [host.Resolver].
func (r records) Lookup(ctx context.Context, qtype uint16, name string) ([]string, error) {
	found, err := r.o.dns.Lookup(ctx, qtype, name)
	if err == host.ErrNotFound {
		r.o.Recorder.Note(fmt.Sprintf("DNS was asked for %s %s, and had no such record", name, testcase.DNSName(qtype)))
	}
	return found, err
}

// counts tell the report what a stage counts.
type counts struct{ o *Offline }

// Count implements [host.Metrics].
func (c counts) Count(name string, delta int64) {
	c.o.Recorder.Counted(name + " +" + strconv.FormatInt(delta, 10))
}

// Observe implements [host.Metrics].
func (c counts) Observe(name string, value float64) {
	c.o.Recorder.Counted(name + " = " + strconv.FormatFloat(value, 'g', -1, 64))
}

var (
	_ host.KV       = memory{}
	_ host.Resolver = records{}
	_ host.Metrics  = counts{}
)
