package queue_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// A slow one delivers to its first recipient at once, and to others after a while.
type slow struct {
	*bench
	takes time.Duration
	asks  bool // whether it tells of the first
}

func (s slow) Deliver(ctx context.Context, m *mail.Message) []mail.Result {
	results := s.bench.Deliver(ctx, m)
	if s.asks {
		m.Progress.Tell([]int{0}, results)
	}
	time.Sleep(s.takes)
	return results
}

// left are the recipients that the store has.
func (b *bench) left(id mail.QueueID) (to []string) {
	b.t.Helper()
	e, err := b.q.Store.Get(ctx, id)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, rcpt := range e.Envelope.Recipients {
		to = append(to, rcpt.Path.Local)
	}
	return to
}

// While an attempt goes on, who is done is written down: another process would not
// deliver to him again.
func TestProgressIsWrittenDown(t *testing.T) {
	for _, tt := range []struct {
		name   string
		takes  time.Duration
		asks   bool
		notify mail.Notify
		want   []string // half a second before the attempt ends
	}{
		{"slow", 10 * time.Second, true, 0, []string{"carol"}},
		{"quick", 900 * time.Millisecond, true, 0, []string{"bob", "carol"}},
		{"not told", 10 * time.Second, false, 0, []string{"bob", "carol"}},
		{"success is to be reported", 10 * time.Second, true, mail.NotifySuccess, []string{"bob", "carol"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				b.q.Deliverer = slow{b, tt.takes, tt.asks}
				b.decide = func(_ *mail.Message, rcpt mail.Recipient, n int) mail.Result {
					if rcpt.Path.Local == "carol" && n == 1 {
						return deferred
					}
					return delivered
				}
				b.run()
				tx := transaction("alice@crepes.fr", "bob@hamburger.edu", "carol@hamburger.edu")
				tx.Envelope.Recipients[0].Notify = tt.notify
				id := b.enqueue(tx)
				time.Sleep(tt.takes - 500*time.Millisecond)
				synctest.Wait()
				if got := b.left(id); !slices.Equal(got, tt.want) {
					t.Errorf("while it goes on: %v, want %v", got, tt.want)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if got := b.left(id); !slices.Equal(got, []string{"carol"}) {
					t.Errorf("then: %v", got)
				}
				if e, err := b.q.Store.Get(ctx, id); err != nil || e.Done != 1 || e.Attempts != 1 || e.Due.Before(time.Now()) {
					t.Errorf("then: %+v, %v", e, err)
				}
				time.Sleep(10 * time.Minute)
				if got, _ := b.taken(); len(got) < 2 || !slices.Equal(got[1].to, []string{"carol@hamburger.edu"}) {
					t.Errorf("attempts: %+v", got)
				}
				b.wantStats(queue.Stats{})
			})
		})
	}
}
