package relay

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtpc/smtpctest"
)

// deliver hands over n messages at once, and returns their results once all
// are there.
func deliver(t *testing.T, r *Relay, n int, rcpt string) (wait func() []string) {
	results := make([]mail.Result, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { results[i] = r.Deliver(t.Context(), message(t, rcpt), nil)[0] })
	}
	return func() []string {
		wg.Wait()
		out := shorts(results)
		slices.Sort(out)
		return out
	}
}

func TestConcurrency(t *testing.T) {
	goOn := make(chan struct{})
	var inData atomic.Int32
	full := make(chan struct{})
	slow := newSink(t, func(s *sink) {
		s.data = func() error {
			if inData.Add(1) == 2 {
				close(full)
			}
			<-goOn
			return nil
		}
	})
	quick := newSink(t, nil)
	r := to(t, "smtp://"+slow.addr)
	r.Routes = slices.Insert(r.Routes, 0, Route{"quick.example", to(t, "smtp://"+quick.addr).Routes[0].Hop})
	r.Concurrency, r.SlotWait = 2, time.Minute
	wait := deliver(t, r, 8, "bob@slow.example")
	<-full
	// With all places of one next hop taken and others waiting for them,
	// another next hop goes on.
	if res := r.Deliver(t.Context(), message(t, "bob@quick.example"), nil)[0]; res.Outcome != mail.Relayed {
		t.Error(short(res))
	}
	close(goOn)
	for _, res := range wait() {
		if !strings.HasPrefix(res, "relayed") {
			t.Error(res)
		}
	}
	if slow.mostOpen != 2 || len(slow.all()) != 8 || slow.sessions != 2 {
		t.Errorf("%d sessions, %d at once, %d messages; want 2, 2, 8", slow.sessions, slow.mostOpen, len(slow.all()))
	}
}

// One message for two next hops does not wait with one for the other.
func TestGroupsRunAtOnce(t *testing.T) {
	arrived := make(chan struct{})
	a := newSink(t, func(s *sink) { s.data = func() error { <-arrived; return nil } })
	b := newSink(t, func(s *sink) { s.data = func() error { close(arrived); return nil } })
	r := to(t, "smtp://"+a.addr)
	r.Routes = append(r.Routes, Route{})
	r.Routes[1], r.Routes[0] = r.Routes[0], Route{"b.example", to(t, "smtp://"+b.addr).Routes[0].Hop}
	for _, res := range r.Deliver(t.Context(), message(t, "x@a.example", "x@b.example", "y@a.example"), nil) {
		if res.Outcome != mail.Relayed {
			t.Error(short(res))
		}
	}
	if len(a.all()) != 1 || len(a.all()[0].to) != 2 {
		t.Errorf("got %+v", a.all())
	}
}

func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := staticRelay(t, hello) // hangs at MAIL
		r.Concurrency = 1
		first := deliver(t, r, 1, "bob@hamburger.edu")
		synctest.Wait()
		start := time.Now()
		res := r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil)[0]
		if !errors.Is(res.Err, ErrBusy) || res.Code != 451 || res.Enh != "4.4.5" {
			t.Errorf("got %s", short(res))
		}
		if got := time.Since(start); got != DefaultSlotWait {
			t.Errorf("waited %v, want %v", got, DefaultSlotWait)
		}
		first()
		w.done(r)
	})
}

// A next hop that cannot be reached costs who waits for it nothing, and one
// attempt at a time once it may be tried again.
func TestDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		up := false
		var playing sync.WaitGroup
		r := &Relay{Hostname: "crepes.fr", Concurrency: 2, Routes: []Route{{"*", NewHop(SMTP, "192.0.2.1", 25, "", "")}}}
		r.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			dials.Add(1)
			if up {
				ours, theirs := net.Pipe()
				playing.Go(func() { smtpctest.Play(t, theirs, takes); theirs.Read(make([]byte, 99)); theirs.Close() })
				return ours, nil
			}
			<-ctx.Done() // a host that answers nothing
			return nil, ctx.Err()
		}
		const down = "deferred 192.0.2.1:25: 451 4.4.1 connect to 192.0.2.1:25: timed out (ours)"
		expect := func(what string, n int, took time.Duration, dialed int32) {
			t.Helper()
			start := time.Now()
			dials.Store(0)
			for _, res := range deliver(t, r, n, "bob@hamburger.edu")() {
				if res != down {
					t.Errorf("%s: got %s", what, res)
				}
			}
			if got := time.Since(start); got != took || dials.Load() != dialed {
				t.Errorf("%s: took %v and %d connections, want %v and %d", what, got, dials.Load(), took, dialed)
			}
		}
		r.SlotWait = time.Hour
		expect("at first", 2, DefaultConnect, 2)
		expect("while it is down", 10, 0, 0)
		time.Sleep(DefaultBackOff)
		expect("on trial", 10, DefaultConnect, 1)
		time.Sleep(DefaultBackOff)
		up = true
		for _, res := range deliver(t, r, 3, "bob@hamburger.edu")() {
			if !strings.HasPrefix(res, "relayed") {
				t.Error(res)
			}
		}
		r.Close()
		playing.Wait()
	})
}

// A backlog for a next hop that does not answer holds up other mail for a
// moment, and not for a moment per message: whoever comes after that is turned
// away at once.
func TestSilentNextHop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Relay{Hostname: "crepes.fr", Routes: []Route{{"*", NewHop(SMTP, "192.0.2.1", 25, "", "")}}}
		var dials atomic.Int32
		r.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			dials.Add(1)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		busy := func(n int, took time.Duration) {
			t.Helper()
			start := time.Now()
			for _, res := range deliver(t, r, n, "bob@hamburger.edu")() {
				if !strings.Contains(res, "451 4.4.5") {
					t.Errorf("got %s", res)
				}
			}
			if got := time.Since(start); got != took {
				t.Errorf("%d messages took %v, want %v", n, got, took)
			}
		}
		first := deliver(t, r, newPlaces, "bob@hamburger.edu")
		synctest.Wait()
		busy(10, trialWait)
		busy(1000, 0)
		first()
		if got := dials.Load(); got != newPlaces {
			t.Errorf("%d connections, want %d", got, newPlaces)
		}
	})
}

// What is known of next hops that were down is forgotten some time.
func TestForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := wired(t, nil, nil)
		for _, host := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
			r.Deliver(t.Context(), message(t, "x@["+host+"]"), nil)
		}
		if len(r.peers) != 3 {
			t.Errorf("%d peers are remembered, want 3", len(r.peers))
		}
		time.Sleep(time.Hour)
		r.Deliver(t.Context(), message(t, "x@[192.0.2.4]"), nil)
		if len(r.peers) != 1 {
			t.Errorf("%d peers are remembered, want 1", len(r.peers))
		}
		w.done(r)
	})
}
