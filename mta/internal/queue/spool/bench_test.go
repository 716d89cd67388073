package spool

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

var benchContent = mail.Bytes(make([]byte, 4096))

func benchEntry(now time.Time) *queue.Entry {
	return &queue.Entry{
		ID:       mail.NewQueueID(now),
		Received: now,
		Due:      now,
		Size:     int64(len(benchContent)),
		Envelope: mail.Envelope{
			ReversePath: mail.Path{Local: "alice", Domain: "crepes.fr"},
			Recipients:  []mail.Recipient{{Path: mail.Path{Local: "bob", Domain: "hamburger.edu"}}},
		},
	}
}

// writers runs b.N calls of f from so many goroutines and reports what they
// cost.
func writers(b *testing.B, n int, f func()) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	before := cpu()
	b.ResetTimer()
	for range n {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				f()
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/msg")
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPut is a durable Put of 4 KB, alone and with the Remove that follows
// a delivery, beside an append log with a sync for all who wait: the ceiling.
func BenchmarkPut(b *testing.B) {
	ctx := context.Background()
	for _, n := range []int{1, 10, 64} {
		b.Run(fmt.Sprint("put/", n), func(b *testing.B) {
			s := mustOpen(b, b.TempDir())
			defer s.Close()
			writers(b, n, func() {
				if err := s.Put(ctx, benchEntry(time.Now()), benchContent, time.Time{}); err != nil {
					b.Error(err)
				}
			})
		})
		b.Run(fmt.Sprint("put+remove/", n), func(b *testing.B) {
			s := mustOpen(b, b.TempDir())
			defer s.Close()
			writers(b, n, func() {
				now := time.Now()
				e := benchEntry(now)
				if err := s.Put(ctx, e, benchContent, now.Add(time.Minute)); err != nil {
					b.Error(err)
				}
				if err := s.Remove(ctx, e); err != nil {
					b.Error(err)
				}
			})
		})
		b.Run(fmt.Sprint("log/", n), func(b *testing.B) { benchLog(b, n) })
	}
}

// benchLog is the ceiling: the first to come writes and syncs for all who wait.
func benchLog(b *testing.B, n int) {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var mu, syncing sync.Mutex
	var pending []byte
	var written, synced atomic.Int64
	writers(b, n, func() {
		mu.Lock()
		pending = append(pending, benchContent...)
		end := written.Add(int64(len(benchContent)))
		mu.Unlock()
		syncing.Lock()
		defer syncing.Unlock()
		if synced.Load() >= end {
			return
		}
		mu.Lock()
		octets, upTo := pending, written.Load()
		pending = nil
		mu.Unlock()
		f.Write(octets)
		syscall.Fdatasync(int(f.Fd()))
		synced.Store(upTo)
	})
}

// BenchmarkClaim claims 50 entries and gives them back, from queues of several
// lengths.
func BenchmarkClaim(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ctx := context.Background()
			s := mustOpen(b, b.TempDir())
			defer s.Close()
			now := time.Now()
			var left atomic.Int64
			left.Store(int64(n))
			var wg sync.WaitGroup
			for range 500 {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						s.Put(ctx, benchEntry(now), mail.Bytes("x"), time.Time{})
					}
				})
			}
			wg.Wait()
			b.ResetTimer()
			for b.Loop() {
				entries, err := s.Claim(ctx, now, now.Add(time.Minute), 50, nil)
				if err != nil || len(entries) != 50 {
					b.Fatal(len(entries), err)
				}
				for _, e := range entries {
					s.Extend(ctx, e.ID, e.Lease.Token, time.Time{})
				}
			}
			b.StopTimer()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.HeapAlloc)/float64(n), "heap-B/entry")
		})
	}
}
