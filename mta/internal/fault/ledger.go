package fault

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Ledger is the account of a run, from both ends: what clients handed in and
// how it was answered, and what came out where. Safe for concurrent use.
type Ledger struct {
	mu       sync.Mutex
	sent     map[string]*sent          // by token
	arrivals map[target][]arrival      // what mailboxes and next hops have
	notices  map[target][]notification // failures that were reported
	lapses   map[string][]interval     // of nodes: when each could not write down what it knew
	diskless []interval                // when a node's disk failed
	broken   []string                  // what must never be seen, in words
	accepted int
	refused  map[int]int     // final replies other than 250, by code
	hanging  map[string]bool // domains of next hops that keep an attempt waiting
}

// newLedger returns an empty ledger.
func newLedger() *Ledger {
	return &Ledger{
		sent: map[string]*sent{}, arrivals: map[target][]arrival{}, notices: map[target][]notification{},
		lapses: map[string][]interval{}, refused: map[int]int{}, hanging: map[string]bool{},
	}
}

// A target is one recipient of one message: what is accounted for.
type target struct{ token, rcpt string }

// An answer is what the client heard after the final dot.
type answer int

const (
	unanswered answer = iota // nothing: the message may have been taken or not
	accepted                 // 250: it must be accounted for
	refused                  // it must not arrive
)

func (a answer) String() string { return [...]string{"not answered", "answered 250", "refused"}[a] }

type sent struct {
	rcpts   []string
	sum     sum
	answer  answer
	at      time.Time // of the answer
	queueID string    // from the answer
}

// An arrival is one copy of a message at one recipient.
type arrival struct {
	node       string    // who brought it
	begin, end time.Time // of the transaction
	seen       bool      // its final reply was written to a peer that could read it
	mailbox    bool      // not a next hop: seen is about the file
	id         string    // in the queue of the node, where that is known
	unwritten  bool      // the node has not written it down yet, or never did
}

// A notification is one DSN about one recipient.
type notification struct {
	id     string
	copies []arrival
}

type interval struct{ from, to time.Time }

// grace is how long after an arrival the death of the node that brought it
// still explains that it did not write down the arrival. A node writes it down
// at once; a busy disk needs some of that.
const grace = time.Second

// send notes that a message is about to be handed in.
func (l *Ledger) send(token string, rcpts []string, content []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[token] = &sent{rcpts: rcpts, sum: sha256.Sum256(content)}
}

// answered notes the final reply to a message.
func (l *Ledger) answered(token string, code int, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sent[token]
	s.at = time.Now()
	if code != 250 {
		s.answer = refused
		l.refused[code]++
		return
	}
	s.answer = accepted
	l.accepted++
	_, s.queueID, _ = strings.Cut(text, "queued as ")
}

// turnedAway counts a transaction that was refused before its content was sent.
func (l *Ledger) turnedAway(code int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused[code]++
}

// Accepted is how many messages were answered 250 so far.
func (l *Ledger) Accepted() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accepted
}

// Refused is how many were answered otherwise, by code.
func (l *Ledger) Refused() map[int]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[int]int{}
	for code, n := range l.refused {
		out[code] = n
	}
	return out
}

// lapse notes that a node could not write down what it knew, from a time until
// another: it was killed, stood still, or had no disk.
func (l *Ledger) lapse(node string, from, to time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lapses[node] = append(l.lapses[node], interval{from, to})
}

// noDisk is lapse for a node whose disk failed.
func (l *Ledger) noDisk(node string, from, to time.Time) {
	l.lapse(node, from, to)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.diskless = append(l.diskless, interval{from, to})
}

// arrived notes a copy of a message at some recipients. It may be called before
// the sender of it knows that it was accepted. The result is for answeredPeer.
func (l *Ledger) arrived(a arrival, rcpts []string, content []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	token, octets, ok := original(content)
	s := l.sent[token]
	switch {
	case !ok || s == nil:
		l.breach("damaged: what arrived for %v has no token of ours: %.80q", rcpts, content)
		return
	case sha256.Sum256(octets) != s.sum:
		l.breach("damaged: message %s arrived for %v with other octets", token, rcpts)
	}
	for _, rcpt := range rcpts {
		if !slices.Contains(s.rcpts, rcpt) {
			l.breach("strayed: message %s arrived for %s; its recipients are %v", token, rcpt, s.rcpts)
		}
		t := target{token, rcpt}
		l.arrivals[t] = append(l.arrivals[t], a)
	}
}

// notified notes a copy of a DSN.
func (l *Ledger) notified(a arrival, content []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, ok := readNotice(content)
	s := l.sent[n.token]
	if !ok || s == nil {
		l.breach("damaged: what arrived for %s is no report of ours: %.200q", sender, content)
		return
	}
	for _, rcpt := range n.failed {
		if !slices.Contains(s.rcpts, rcpt) {
			l.breach("strayed: a DSN about message %s names %s; its recipients are %v", n.token, rcpt, s.rcpts)
		}
		t := target{n.token, rcpt}
		all := l.notices[t]
		i := slices.IndexFunc(all, func(x notification) bool { return x.id == n.id })
		if i < 0 {
			i, all = len(all), append(all, notification{id: n.id})
		}
		all[i].copies = append(all[i].copies, a)
		l.notices[t] = all
	}
}

// written notes that a node has written down what had become of attempts at an
// entry of its queue by then.
func (l *Ledger) written(id string, by time.Time) {
	l.each(func(a *arrival) {
		if a.id == id && !a.end.After(by) {
			a.unwritten = false
		}
	})
}

// died notes the end of a process: what it has not written down it never will.
func (l *Ledger) died() { l.each(func(a *arrival) { a.id = "" }) }

func (l *Ledger) each(f func(*arrival)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, copies := range l.arrivals {
		for i := range copies {
			f(&copies[i])
		}
	}
	for _, notices := range l.notices {
		for _, n := range notices {
			for i := range n.copies {
				f(&n.copies[i])
			}
		}
	}
}

// breach notes what must never be seen. The lock is held.
func (l *Ledger) breach(format string, args ...any) {
	l.broken = append(l.broken, fmt.Sprintf(format, args...))
}

// note is breach for those who do not hold the lock.
func (l *Ledger) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.breach(format, args...)
}

// slowest is the longest time from the 250 of a message to its arrival, of those
// recipients that of chooses.
func (l *Ledger) slowest(of func(rcpt string) bool) (d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for t, arrivals := range l.arrivals {
		if s := l.sent[t.token]; s.answer == accepted && of(t.rcpt) {
			d = max(d, arrivals[0].end.Sub(s.at))
		}
	}
	return d
}

// excused tells whether the node that made a may not know of it: it never saw
// the reply, or had a lapse before it could write down that it did. gap is how
// long it had.
func (l *Ledger) excused(t target, a arrival) (why excuse, gap time.Duration) {
	if !a.seen {
		return unseen, 0
	}
	if a.unwritten {
		return died, 0
	}
	gap = time.Hour
	for _, p := range l.lapses[a.node] {
		if !p.to.Before(a.begin) {
			gap = min(gap, max(p.from.Sub(a.end), 0))
		}
	}
	switch {
	case gap <= grace:
		return died, gap
	case gap <= grace+progressTime && l.hangs(t.token):
		return underWay, gap
	}
	return none, 0
}

// progressTime is how much longer it may take to write down that some recipients of
// an attempt are done, if it has to wait for a next hop of others: that is put off
// for a second, since nearly all attempts have ended by then.
const progressTime = 500 * time.Millisecond

// hangs tells whether an attempt at a message may have to wait for a next hop.
func (l *Ledger) hangs(token string) bool {
	return slices.ContainsFunc(l.sent[token].rcpts, func(rcpt string) bool {
		_, domain, _ := strings.Cut(rcpt, "@")
		return l.hanging[domain]
	})
}

// overtaken tells whether the node that made a had stood still just before: it
// went on where it had been, and could not know that another had taken over.
func (l *Ledger) overtaken(a arrival) bool {
	for _, p := range l.lapses[a.node] {
		if p.to.After(p.from) && !p.from.After(a.end) && !p.to.Before(a.begin.Add(-grace)) {
			return true
		}
	}
	return false
}

type excuse int

const (
	none excuse = iota
	unseen
	died
	underWay
)
