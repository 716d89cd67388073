package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// A breakable is a pipeline of one stage that fails for messages whose sender
// begins with `bad`, in a bubble with a clock of its own.
type breakable struct {
	t     *testing.T
	p     *Pipeline
	asked atomic.Int32
	seen  seen
	log   bytes.Buffer
	err   error // what it fails with
	slow  time.Duration
}

func inBubble(t *testing.T, b Breaker, f func(*breakable)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		br := &breakable{t: t, err: errors.New("it broke")}
		g := guest(func(ctx context.Context, tx *mail.Transaction) (mail.Answer, error) {
			br.asked.Add(1)
			time.Sleep(br.slow)
			if strings.HasPrefix(tx.Envelope.ReversePath.Local, "bad") {
				return mail.Answer{}, br.err
			}
			return mail.Answer{}, ctx.Err()
		})
		br.p = &Pipeline{
			Stages:   []Stage{{Name: "a", Guest: g, OnError: Reject, Breaker: b}},
			Observer: &br.seen, Log: slog.New(slog.NewTextHandler(&br.log, nil)),
		}
		f(br)
	})
}

// send sends a message from each; it returns how many of them the guest saw,
// and the last verdict.
func (b *breakable) send(senders ...string) (asked int, last mail.Verdict) {
	b.t.Helper()
	before := b.asked.Load()
	for _, from := range senders {
		tx := to("bob")
		tx.Envelope.ReversePath.Local = from
		last, _ = b.p.Check(b.t.Context(), tx)
	}
	return int(b.asked.Load() - before), last
}

func (b *breakable) want(what string, asked int, verdict mail.Verdict, senders ...string) {
	b.t.Helper()
	if n, last := b.send(senders...); n != asked || last != verdict {
		b.t.Errorf("%s: the stage was asked %d times, the last verdict %s; want %d, %s", what, n, last, asked, verdict)
	}
}

var three = Breaker{Failures: 3, Window: time.Minute, Pause: 30 * time.Second}

func TestStageTripsAndRecovers(t *testing.T) {
	inBubble(t, three, func(b *breakable) {
		b.want("three that fail", 3, mail.Reject, "bad1", "bad2", "bad3")
		b.want("then nobody is asked", 0, mail.Reject, "alice", "bad4")
		time.Sleep(30 * time.Second)
		b.want("after the pause one probes, and fails", 1, mail.Reject, "bad5", "alice")
		time.Sleep(30 * time.Second)
		b.want("the next probe goes well", 3, mail.Accept, "alice", "bob", "carol")
		for what, n := range map[string]int{"stage tripped": 1, "stage recovered": 1, "plugin failed": 4} {
			if got := strings.Count(b.log.String(), what); got != n {
				b.t.Errorf("%d lines of %q, want %d:\n%s", got, what, n, b.log.String())
			}
		}
		want := "a failed, a failed, a tripped true, a failed, a tripped, a tripped, a failed, a tripped, a tripped false, a continue, a continue, a continue"
		if got := strings.Join(b.seen, ", "); got != want {
			b.t.Errorf("observed %s\nwant     %s", got, want)
		}
	})
}

func TestFailuresFarApartDoNotTrip(t *testing.T) {
	inBubble(t, three, func(b *breakable) {
		for i := range 10 {
			b.want("each is asked", 1, mail.Reject, fmt.Sprint("bad", i))
			time.Sleep(30 * time.Second)
		}
	})
}

// TestOnePoisonMessage holds that a message which is sent again and again takes
// the stage away from nobody.
func TestOnePoisonMessage(t *testing.T) {
	inBubble(t, three, func(b *breakable) {
		for range 20 {
			b.want("the poison", 1, mail.Reject, "bad")
		}
		b.want("everybody else", 1, mail.Accept, "alice")
	})
}

func TestBadMessagesAmongGoodOnesDoNotTrip(t *testing.T) {
	inBubble(t, three, func(b *breakable) {
		for i := range 20 {
			b.want("two good ones and a bad one", 3, mail.Reject, "alice", "bob", fmt.Sprint("bad", i))
		}
	})
}

// TestPoisonThatProbes holds that a message known to be bad, used as a probe,
// does not make the pause longer for others.
func TestPoisonThatProbes(t *testing.T) {
	inBubble(t, three, func(b *breakable) {
		b.send("bad1", "bad2", "bad3")
		time.Sleep(30 * time.Second)
		b.want("known bad ones probe", 2, mail.Reject, "bad1", "bad3")
		b.want("then a good one", 1, mail.Accept, "alice")
	})
}

func TestOnlyOneProbes(t *testing.T) {
	inBubble(t, three, func(b *breakable) {
		b.p.Observer = nil // b.seen is not for two at once
		b.send("bad1", "bad2", "bad3")
		time.Sleep(30 * time.Second)
		b.slow = time.Second
		done := make(chan mail.Verdict)
		go func() {
			_, verdict := b.send("alice")
			done <- verdict
		}()
		synctest.Wait()
		b.want("while it is under way", 0, mail.Reject, "bob", "carol")
		if verdict := <-done; verdict != mail.Accept {
			b.t.Errorf("the probe: %s", verdict)
		}
		b.want("after it", 1, mail.Accept, "bob")
	})
}

type innocent struct{ error }

func (innocent) PluginFault() bool { return false }

func TestWhatIsNotThePluginsFaultDoesNotTrip(t *testing.T) {
	inBubble(t, three, func(b *breakable) {
		b.err = innocent{errors.New("no instance came free")}
		for i := range 10 {
			b.want("each is asked", 1, mail.Reject, fmt.Sprint("bad", i))
		}
	})
	inBubble(t, three, func(b *breakable) { // the client goes away
		ctx, cancel := context.WithCancel(b.t.Context())
		cancel()
		for i := range 10 {
			tx := to("bob")
			tx.Envelope.ReversePath.Local = fmt.Sprint("bad", i)
			b.p.Check(ctx, tx)
		}
		b.want("others are asked", 1, mail.Accept, "alice")
	})
}

// TestForgottenProbe holds that a probe which says nothing leaves the next one
// to probe.
func TestForgottenProbe(t *testing.T) {
	inBubble(t, three, func(b *breakable) {
		b.send("bad1", "bad2", "bad3")
		time.Sleep(30 * time.Second)
		b.err = innocent{errors.New("no instance came free")}
		b.want("a probe that says nothing", 1, mail.Reject, "bad4")
		b.want("the next", 1, mail.Accept, "alice")
	})
}

func TestZeroBreakerNeverTrips(t *testing.T) {
	inBubble(t, Breaker{}, func(b *breakable) {
		for i := range 50 {
			b.want("each is asked", 1, mail.Reject, fmt.Sprint("bad", i))
		}
	})
}
