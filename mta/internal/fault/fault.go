// Package fault breaks a mail server on purpose, again and again, and accounts
// for every message that the server answered 250: delivered, relayed, bounced,
// held or still queued, and how many times. It runs mta as its users do, as
// processes that are spoken to over SMTP; it has no part in the server.
//
// A [Scenario] says what breaks. A [Run] is one scenario played against one
// kind of queue store: clients send, next hops ([Sink]) take mail or misbehave,
// a fault happens at moments that the seed chooses, and at last the [Ledger]
// holds what was promised against what arrived.
package fault

import (
	"context"
	"math/rand/v2"
	"time"
)

// A Scenario is one way of breaking the server.
type Scenario struct {
	Name string // as in --scenario
	What string // for the table: one line
	// Stores are the kinds of queue store that it makes sense for.
	Stores []string
	Times  int // how often the fault happens, unless --times says otherwise
	Nodes  int // how many servers share the queue; zero: one
	Load   Load
	Quirks []Quirk // of next hops beside the good ones, each at a domain of its own

	// Inside plays it with a queue within this process, instead of all that
	// follows; nil: it is played with processes.
	Inside func(ctx context.Context, r *Run, result *Result) error

	// Needs tells why the scenario cannot be played on this machine; nil: it can.
	Needs func() error
	// Redis starts what the queue is kept in and returns its URL; nil: one server.
	Redis func(*Run) (url string, err error)
	// Prepare is called before the nodes start; nil: nothing is to be done.
	Prepare func(*Run) error
	// Fault makes the fault happen once, under load, and leaves the servers
	// running; nil: what the quirks do is all.
	Fault func(r *Run, n int) error
	// Heal is called after the last fault, before the mail is waited for.
	Heal func(*Run) error
	// Check looks at what only this scenario promises, at the end.
	Check func(*Run, *Result)
}

// Stores.
const (
	Spool = "spool"
	Redis = "redis"
)

// A Load is what the clients send.
type Load struct {
	Sessions int           // at the same time; zero: 6
	Between  int           // about how many messages are answered 250 between two faults; zero: 60
	Pause    time.Duration // of a session after each message
	Large    float64       // share of messages of 130 to 200 KB, which stores keep in files; zero: 1 in 20
	Refused  bool          // some recipients are refused by their next hop for good, and bounce
}

func (l Load) withDefaults() Load {
	if l.Sessions == 0 {
		l.Sessions = 6
	}
	if l.Between == 0 {
		l.Between = 60
	}
	if l.Large == 0 {
		l.Large = 0.05
	}
	return l
}

// random is the source of all that a run chooses. Scenarios do not share one,
// so each can be played again by itself.
func random(seed uint64, name string) *rand.Rand {
	var h uint64 = 14695981039346656037
	for _, c := range []byte(name) {
		h = (h ^ uint64(c)) * 1099511628211 // FNV-1a
	}
	return rand.New(rand.NewPCG(seed, h))
}

// upTo is a random duration below d.
func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }
