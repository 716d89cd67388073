package queue_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/spool"
)

// BenchmarkQueue is a message of 4 KB from Enqueue to its removal, with a
// deliverer that does nothing, a real spool and a log that nobody reads.
func BenchmarkQueue(b *testing.B) {
	for _, sessions := range []int{1, 10, 50} {
		b.Run(fmt.Sprint(sessions), func(b *testing.B) {
			log := slog.New(slog.DiscardHandler)
			store, err := spool.Open(b.TempDir(), log)
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			var done sync.WaitGroup
			done.Add(b.N)
			q := &queue.Queue{Store: store, Hostname: "crepes.fr", Log: log, Deliverer: deliverFunc(func(context.Context, *mail.Message) []mail.Result {
				done.Done()
				return []mail.Result{delivered}
			})}
			ctx, cancel := context.WithCancel(context.Background())
			var run sync.WaitGroup
			run.Go(func() { q.Run(ctx) })
			content := mail.Bytes(make([]byte, 4096))
			var left atomic.Int64
			left.Store(int64(b.N))
			before := cpu()
			b.ResetTimer()
			for range sessions {
				run.Go(func() {
					for left.Add(-1) >= 0 {
						tx := transaction("alice@crepes.fr", "bob@hamburger.edu")
						tx.Content = content
						if err := q.Enqueue(ctx, tx); err != nil {
							b.Error(err)
						}
					}
				})
			}
			done.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/msg")
			cancel()
			run.Wait()
		})
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
