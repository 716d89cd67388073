package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

func benchEntry(now time.Time) *queue.Entry {
	return &queue.Entry{
		ID:       mail.NewQueueID(now),
		Received: now,
		Due:      now,
		Size:     4096,
		Lane:     "hamburger.edu",
		Envelope: mail.Envelope{
			ReversePath: mail.Path{Local: "alice", Domain: "crepes.fr"},
			Recipients:  []mail.Recipient{{Path: mail.Path{Local: "bob", Domain: "hamburger.edu"}}},
		},
	}
}

func benchStore(b *testing.B, s *redistest.Server) *Store {
	b.Helper()
	store, err := Open(Options{URL: s.URL()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	return store
}

// writers runs total calls of f from so many goroutines, and returns how many
// there were a second.
func writers(n, total int, f func()) float64 {
	var left atomic.Int64
	left.Store(int64(total))
	var wg sync.WaitGroup
	start := time.Now()
	for range n {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				f()
			}
		})
	}
	wg.Wait()
	return float64(total) / time.Since(start).Seconds()
}

// BenchmarkPut is a durable Put beside what Redis can do at best: SET, HSET and
// ZADD of the same octets in pipelines, on the same server in the same run, each
// synced by appendfsync always. They take many short turns, and the medians
// count: a disk has its moods, and so has a machine that others use. Redis does
// not rewrite its file meanwhile, which would slow whoever has the turn.
func BenchmarkPut(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("4KB/%d", n), func(b *testing.B) {
			server := redistest.New(b, redistest.Options{
				Unix: true, Config: map[string]string{"auto-aof-rewrite-percentage": "0"},
			})
			s := benchStore(b, server)
			content := mail.Bytes(make([]byte, 4096))
			raw := newRaw(b, server)
			turns := max(b.N/benchTurn, 1)
			store, plain := make([]float64, turns), make([]float64, turns)
			b.ResetTimer()
			for i := range turns {
				plain[i] = writers(n, benchTurn, func() { raw.put(b, benchEntry(time.Now())) })
				store[i] = writers(n, benchTurn, func() {
					if err := s.Put(ctx, benchEntry(time.Now()), content, time.Time{}); err != nil {
						b.Error(err)
					}
				})
			}
			b.StopTimer()
			slices.Sort(store)
			slices.Sort(plain)
			b.ReportMetric(store[turns/2], "msg/s")
			b.ReportMetric(plain[turns/2], "raw-msg/s")
			b.ReportMetric(100*store[turns/2]/plain[turns/2], "%-of-raw")
		})
	}
}

// benchTurn is how many are put in one turn.
const benchTurn = 500

// A raw writes as fast as Redis can: pipelines of all who wait, as many under way
// as the store has.
type raw struct {
	client  *redis.Client
	content []byte
	puts    chan rawPut
}

type rawPut struct {
	id     mail.QueueID
	record []byte
	done   chan error
}

func newRaw(b *testing.B, s *redistest.Server) *raw {
	r := &raw{client: s.Client(), content: make([]byte, 4096), puts: make(chan rawPut)}
	var wg sync.WaitGroup
	for range maxFlights {
		wg.Go(r.run)
	}
	b.Cleanup(func() {
		close(r.puts)
		wg.Wait()
		r.client.Close()
	})
	return r
}

func (r *raw) put(b *testing.B, e *queue.Entry) {
	record, err := json.Marshal(e)
	if err != nil {
		b.Error(err)
		return
	}
	done := make(chan error, 1)
	r.puts <- rawPut{e.ID, record, done}
	if err := <-done; err != nil {
		b.Error(err)
	}
}

func (r *raw) run() {
	for first := range r.puts {
		batch := []rawPut{first}
		for more := true; more && len(batch) < maxBatch; {
			select {
			case p, ok := <-r.puts:
				if more = ok; ok {
					batch = append(batch, p)
				}
			default:
				more = false
			}
		}
		pipeline := r.client.Pipeline()
		for _, p := range batch {
			pipeline.Set(ctx, "raw:c:"+string(p.id), r.content, 0)
			pipeline.HSet(ctx, "raw:e:"+string(p.id), "r", p.record)
			pipeline.ZAdd(ctx, "raw:d", redis.Z{Score: float64(time.Now().UnixMicro()), Member: string(p.id)})
		}
		_, err := pipeline.Exec(ctx)
		for _, p := range batch {
			p.done <- err
		}
	}
}

// BenchmarkClaim is a Claim of a hundred with so many queued in a thousand lanes.
// It grows until each shard has all the lanes. A million takes minutes to make,
// so that MTA_BENCH_MILLION has to be set.
func BenchmarkClaim(b *testing.B) {
	sizes := []int{1000, 10_000, 100_000}
	if os.Getenv("MTA_BENCH_MILLION") != "" {
		sizes = append(sizes, 1_000_000)
	}
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			server := redistest.New(b, redistest.Options{Unix: true, Config: map[string]string{"appendonly": "no"}})
			s, err := Open(Options{URL: server.URL(), Durability: Relaxed, Heartbeat: time.Millisecond})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			empty := memory(b, s)
			writers(64, size, func() { fill(b, s) })
			each := float64(memory(b, s)-empty) / float64(size)
			room := func(string) (int, time.Time) { return 20, time.Time{} } // relay.concurrency
			b.ResetTimer()
			for range b.N {
				got, err := s.Claim(ctx, time.Now(), time.Now().Add(time.Minute), 100, room)
				if err != nil || len(got) != 100 {
					b.Fatalf("claimed %d: %v", len(got), err)
				}
				b.StopTimer()
				for _, e := range got {
					if err := s.Extend(ctx, e.ID, e.Lease.Token, time.Time{}); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
			}
			b.ReportMetric(each, "octets-in-redis/msg")
		})
	}
}

// fill puts one that is due in one of a thousand lanes.
func fill(b *testing.B, s *Store) {
	e := benchEntry(time.Now())
	e.Lane = fmt.Sprintf("example%d.org", time.Now().UnixNano()/1000%1000)
	if err := s.Put(context.Background(), e, mail.Bytes(nil), time.Time{}); err != nil {
		b.Error(err)
	}
}

// memory is what Redis has in use.
func memory(b *testing.B, s *Store) int64 {
	info, err := s.client.Info(ctx, "memory").Result()
	if err != nil {
		b.Fatal(err)
	}
	var used int64
	for line := range strings.Lines(info) {
		fmt.Sscanf(line, "used_memory:%d", &used)
	}
	return used
}
