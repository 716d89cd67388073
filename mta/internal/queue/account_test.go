package queue_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// TestEveryRecipientIsAccountedFor sends messages whose recipients have random
// fates, restarts at random moments, and then asks: has every recipient been
// delivered once, or been reported once; and nobody both.
func TestEveryRecipientIsAccountedFor(t *testing.T) {
	type fate struct {
		deferrals int // before it is final
		bounce    bool
	}
	plans := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) fate {
		return fate{rapid.IntRange(0, 12).Draw(t, "deferrals"), rapid.Bool().Draw(t, "bounce")}
	}), 1, 40)
	restarts := rapid.SliceOfN(rapid.IntRange(1, 1000), 0, 3)
	for seed := range 15 { // each is days of a queue, with a real disk
		fates, stops := plans.Example(seed), restarts.Example(seed)
		window := []int{-1, 2, 100}[seed%3]
		inBubble(t, func(t *testing.T, b *bench) {
			b.q.Window, b.q.Concurrency = window, 2
			final := map[string]int{}
			tried := map[string]int{}
			b.decide = func(_ *mail.Message, rcpt mail.Recipient, _ int) mail.Result {
				to := rcpt.Path.String()
				i, _ := strconv.Atoi(rcpt.Path.Local)
				f := fates[i]
				if tried[to]++; tried[to] <= f.deferrals {
					return deferred
				}
				final[to]++
				if f.bounce {
					return bounced
				}
				return delivered
			}
			b.run()
			var to []string
			for i := range fates {
				to = append(to, strconv.Itoa(i)+"@hamburger.edu")
			}
			for len(to) > 0 {
				n := min(3, len(to))
				b.enqueue(transaction("alice@crepes.fr", to[:n]...))
				to = to[n:]
			}
			for _, minutes := range stops {
				time.Sleep(time.Duration(minutes) * time.Minute)
				b.restart()
			}
			time.Sleep(2 * day)
			_, dsns := b.taken()
			reported := map[string]int{}
			for _, d := range dsns {
				for line := range strings.SplitSeq(d.content, "\r\n") {
					if field(d.content, "Action") != "failed" {
						continue
					}
					if who, ok := strings.CutPrefix(line, "Final-Recipient: rfc822; "); ok {
						reported[who]++
					}
				}
			}
			for i, f := range fates {
				who := strconv.Itoa(i) + "@hamburger.edu"
				want := 0
				if f.bounce {
					want = 1
				}
				if final[who] != 1 || reported[who] != want {
					t.Errorf("seed %d: %s: final %d times, reported %d times; its fate is %+v", seed, who, final[who], reported[who], f)
				}
			}
			b.wantStats(queue.Stats{})
		})
	}
}
