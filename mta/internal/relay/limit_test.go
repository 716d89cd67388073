package relay

import (
	"testing"
	"testing/synctest"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

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

// A next hop that cannot be reached says so in each result, and one that is
// reached has its lane named all the same.
func TestResultsSpeakOfTheirLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := wired(t, map[string][]string{"192.0.2.2:25": {hello + "C: MAIL FROM:<alice@crepes.fr>\nS: 421 4.3.2 closing\n--"}}, nil)
		for _, tt := range []struct {
			rcpt, lane          string
			unreached, strained bool
		}{
			{"x@[192.0.2.1]", "[192.0.2.1]", true, false},
			{"x@[192.0.2.2]", "[192.0.2.2]", false, true},
		} {
			m := message(t, tt.rcpt)
			res := r.Deliver(t.Context(), m, nil)[0]
			if res.Lane != tt.lane || res.Unreached != tt.unreached || res.Strained != tt.strained {
				t.Errorf("%s: lane %q, unreached %v, strained %v, %s", tt.rcpt, res.Lane, res.Unreached, res.Strained, short(res))
			}
			if got := r.Lane(&m.Envelope.Recipients[0], nil); got != tt.lane {
				t.Errorf("%s: lane %q beforehand", tt.rcpt, got)
			}
		}
		w.done(r)
	})
	r := &Relay{Routes: []Route{{"hamburger.edu", NewHop(SMTPS, "mx.example.org", 0, "bob", "secret")}}}
	if got := r.Lane(&message(t, "x@hamburger.edu").Envelope.Recipients[0], nil); got != "smtps://mx.example.org:465" {
		t.Errorf("lane %q", got)
	}
}
