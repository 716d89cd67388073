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

func benchEntry(now time.Time) *queue.Entry {
	return &queue.Entry{
		ID:       mail.NewQueueID(now),
		Received: now,
		Due:      now,
		Size:     4096,
		Envelope: mail.Envelope{
			ReversePath: mail.Path{Local: "alice", Domain: "crepes.fr"},
			Recipients:  []mail.Recipient{{Path: mail.Path{Local: "bob", Domain: "hamburger.edu"}}},
		},
	}
}

// writers runs b.N calls of f from so many goroutines, and returns how many there
// were a second.
func writers(b *testing.B, n int, f func()) float64 {
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	before, start := cpu(), time.Now()
	for range n {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				f()
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/msg")
	return float64(b.N) / time.Since(start).Seconds()
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAccept is a durable Put beside an append log with a sync for all who
// wait, of the same octets, in the same run: the ceiling. The plain log is a file
// that grows, and once more one with room reserved, as the segments of the spool are.
func BenchmarkAccept(b *testing.B) {
	for _, size := range []int{4 << 10, 100 << 10} {
		for _, n := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%dKB/%d", size>>10, n), func(b *testing.B) {
				content := mail.Bytes(make([]byte, size))
				plain := benchLog(b, n, size+recordSize(b), false)
				reserved := benchLog(b, n, size+recordSize(b), true)
				s := mustOpen(b, b.TempDir())
				defer s.Close()
				b.ResetTimer()
				spool := writers(b, n, func() {
					if err := s.Put(context.Background(), benchEntry(time.Now()), content, time.Time{}); err != nil {
						b.Error(err)
					}
				})
				b.StopTimer()
				b.ReportMetric(spool, "msg/s")
				b.ReportMetric(plain, "plain-msg/s")
				b.ReportMetric(reserved, "reserved-msg/s")
				b.ReportMetric(100*spool/plain, "%-of-plain")
				b.ReportMetric(100*spool/reserved, "%-of-reserved")
			})
		}
	}
}

// BenchmarkPutRemove is a durable Put with the Remove that follows a delivery.
func BenchmarkPutRemove(b *testing.B) {
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			content := mail.Bytes(make([]byte, 4096))
			s := mustOpen(b, b.TempDir())
			defer s.Close()
			b.ResetTimer()
			b.ReportMetric(writers(b, n, func() {
				now := time.Now()
				e := benchEntry(now)
				if err := s.Put(context.Background(), e, content, now.Add(time.Minute)); err != nil {
					b.Error(err)
				}
				if err := s.Remove(context.Background(), e); err != nil {
					b.Error(err)
				}
			}), "msg/s")
		})
	}
}

func recordSize(b *testing.B) int {
	record, err := encode(benchEntry(time.Now()))
	if err != nil {
		b.Fatal(err)
	}
	return len(record)
}

// reservedStep is how much room the ceiling reserves at once.
const reservedStep = 64 << 20

// benchLog is the ceiling: the first to come writes and syncs for all who wait.
func benchLog(b *testing.B, n, size int, reserve bool) float64 {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	octets := make([]byte, size)
	var mu, syncing sync.Mutex
	var pending []byte
	var written, synced atomic.Int64
	room := int64(0)
	return writers(b, n, func() {
		mu.Lock()
		pending = append(pending, octets...)
		end := written.Add(int64(len(octets)))
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
		for ; reserve && room < upTo; room += reservedStep {
			syscall.Fallocate(int(f.Fd()), 0, room, reservedStep)
		}
		f.Write(octets)
		syscall.Fdatasync(int(f.Fd()))
		synced.Store(upTo)
	})
}

// fill puts n entries, of which the ith is in the lane that lane says.
func fill(b *testing.B, s *Store, n int, now time.Time, lane func(i int) string) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 500 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				e := benchEntry(now.Add(-time.Duration(i) * time.Millisecond)) // so that their IDs are several
				e.Lane = lane(int(i))
				if err := s.Put(context.Background(), e, mail.Bytes("x"), time.Time{}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// benchSizes are how many entries are in the queue. The million, which takes long to
// fill, is there if the environment has MTA_BENCH_MILLION.
func benchSizes(sizes ...int) []int {
	if os.Getenv("MTA_BENCH_MILLION") != "" {
		sizes = append(sizes, 1_000_000)
	}
	return sizes
}

// BenchmarkClaim claims 50 entries and gives them back, from queues of several
// lengths: in one lane, and in 10,000 of which every other is blocked.
func BenchmarkClaim(b *testing.B) {
	ctx := context.Background()
	for _, lanes := range []int{1, 10_000} {
		for _, n := range benchSizes(1_000, 10_000, 100_000) {
			b.Run(fmt.Sprintf("lanes=%d/queued=%d", lanes, n), func(b *testing.B) {
				now := time.Now()
				s, err := OpenWith(b.TempDir(), Options{NoSync: true})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				fill(b, s, n, now, func(i int) string { return fmt.Sprintf("mx://%d.example", i%lanes) })
				pick := func(lane string) (int, time.Time) {
					if lanes > 1 && len(lane) > 0 && lane[len("mx://")]%2 == 0 {
						return 0, now.Add(time.Hour)
					}
					return 50, time.Time{}
				}
				s.Claim(ctx, now, now.Add(time.Minute), 1, func(lane string) (int, time.Time) {
					_, at := pick(lane)
					return 0, at
				})
				b.ResetTimer()
				for b.Loop() {
					entries, err := s.Claim(ctx, now, now.Add(time.Minute), 50, pick)
					if err != nil || len(entries) != 50 {
						b.Fatal(len(entries), err)
					}
					for _, e := range entries {
						s.Extend(ctx, e.ID, e.Lease.Token, time.Time{})
					}
				}
			})
		}
	}
}

// BenchmarkRestart opens a queue, which was closed or whose process was killed, and
// claims the first entries. It reports what memory an entry takes.
func BenchmarkRestart(b *testing.B) {
	for _, n := range benchSizes(100_000) {
		for _, killed := range []bool{false, true} {
			name := map[bool]string{false: "closed", true: "killed"}[killed]
			b.Run(fmt.Sprintf("%s/queued=%d", name, n), func(b *testing.B) { benchRestart(b, n, killed) })
		}
	}
}

func benchRestart(b *testing.B, n int, killed bool) {
	ctx, dir, now := context.Background(), b.TempDir(), time.Now()
	before := heapOctets()
	s, err := OpenWith(dir, Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	fill(b, s, n, now, func(i int) string { return fmt.Sprintf("mx://%d.example", i%10_000) })
	each := float64(heapOctets()-before) / float64(n)
	if killed {
		s.care.stop()
		s.letGoOfAll()
	} else if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	s = nil
	for b.Loop() {
		s, err := OpenWith(dir, Options{NoSync: true})
		if err != nil {
			b.Fatal(err)
		}
		if entries, err := s.Claim(ctx, now, now.Add(time.Minute), 50, nil); err != nil || len(entries) != 50 {
			b.Fatal(len(entries), err)
		}
		s.letGoOfAll()
	}
	b.ReportMetric(each, "heap-B/entry") // the loop forgets what was reported before it
}

func heapOctets() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
