package fault

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Result is what came of a run. All but Accepted, Unanswered and Refused
// counts recipients.
type Result struct {
	Scenario string        `json:"scenario"`
	What     string        `json:"what"`
	Store    string        `json:"store"`
	Seed     uint64        `json:"seed"`
	Times    int           `json:"times"` // how often the fault happened
	Took     time.Duration `json:"took"`
	Skipped  string        `json:"skipped,omitempty"` // why it was not played

	Accepted   int         `json:"accepted"`              // messages answered 250
	Recipients int         `json:"recipients"`            // of these
	Delivered  int         `json:"delivered"`             // in a mailbox
	Relayed    int         `json:"relayed"`               // at a next hop
	Bounced    int         `json:"bounced"`               // a DSN arrived that names it
	Held       int         `json:"held"`                  // in the queue until an operator decides
	Queued     int         `json:"queued"`                // in the queue
	Unanswered int         `json:"unanswered"`            // messages: the client heard nothing after the final dot
	Kept       int         `json:"unanswered_kept"`       // of these, those that arrived or are in the queue
	Doubted    int         `json:"doubted"`               // messages refused while the disk was broken, which it had taken all the same
	Refused    map[int]int `json:"refused,omitempty"`     // messages by reply
	Doubled    Doubled     `json:"doubled"`               // copies that were too many
	LongestGap string      `json:"longest_gap,omitempty"` // between an arrival and the death that explains its double
	Slowest    string      `json:"slowest,omitempty"`     // of mail that nothing should hold up: from its 250 to its arrival
	Calls      Calls       `json:"calls,omitempty"`       // where a disk broke
	Peak       int64       `json:"peak_rss"`              // octets, the largest of all nodes
	Files      int         `json:"peak_files"`            // open files, likewise

	// Violations are what must not be. A run that has none has passed.
	Violations []string `json:"violations,omitempty"`
}

// Doubled counts copies beyond the first, by why they came.
type Doubled struct {
	Unseen int `json:"unseen"` // the next hop's reply to the copy before was never written, or could not be read
	Died   int `json:"died"`   // the node that brought the copy before died, or stood still, before it could write that down
	Open   int `json:"open"`   // likewise, and the attempt waited for the next hop of another recipient, so that it was written down a second later
	Never  int `json:"never"`  // there is no excuse: a violation
}

// Passed tells whether all is accounted for.
func (r *Result) Passed() bool { return len(r.Violations) == 0 }

func (r *Result) violation(format string, args ...any) {
	r.Violations = append(r.Violations, fmt.Sprintf(format, args...))
}

// add adds another result of the same run, whose violations say where.
func (r *Result) add(o *Result, where string) {
	r.Accepted += o.Accepted
	r.Recipients += o.Recipients
	r.Delivered += o.Delivered
	r.Relayed += o.Relayed
	r.Bounced += o.Bounced
	r.Held += o.Held
	r.Queued += o.Queued
	r.Unanswered += o.Unanswered
	r.Kept += o.Kept
	r.Doubted += o.Doubted
	r.Doubled.Unseen += o.Doubled.Unseen
	r.Doubled.Died += o.Doubled.Died
	r.Doubled.Open += o.Doubled.Open
	r.Doubled.Never += o.Doubled.Never
	if r.Calls == nil {
		r.Calls = Calls{}
	}
	r.Calls.add(o.Calls)
	for code, n := range o.Refused {
		if r.Refused == nil {
			r.Refused = map[int]int{}
		}
		r.Refused[code] += n
	}
	for _, v := range o.Violations {
		kind, rest, _ := strings.Cut(v, ": ")
		r.violation("%s: %s%s", kind, where, rest)
	}
}

// queued is what the store says it has: the recipients without an outcome, by
// the token of their message.
type queued struct {
	rcpts map[target]bool // true: held
	dsns  map[target]bool // failures whose DSN is in the queue
}

// settle holds what was promised against what came out.
func (l *Ledger) settle(r *Result, q queued) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Refused = l.refused
	r.Violations = append(r.Violations, l.broken...)
	var longest time.Duration
	for token, s := range l.sent {
		kept := false
		for _, rcpt := range s.rcpts {
			t := target{token, rcpt}
			held, inQueue := q.rcpts[t]
			there := len(l.arrivals[t]) > 0 || len(l.notices[t]) > 0 || inQueue || q.dsns[t]
			kept = kept || there
			longest = max(longest, l.doubles(r, t))
			if s.answer == accepted {
				r.Recipients++
				l.count(r, t, held, inQueue || q.dsns[t])
			}
			if s.answer == accepted && !there {
				r.violation("lost: message %s (%s) for %s, answered 250 at %s", token, s.queueID, rcpt, s.at.Format(clock))
			}
		}
		switch {
		case s.answer == accepted:
			r.Accepted++
		case s.answer == refused && kept && l.brokenAt(s.at):
			r.Doubted++
		case s.answer == refused && kept:
			r.violation("refused, and kept all the same: message %s for %v, refused at %s", token, s.rcpts, s.at.Format(clock))
		case s.answer == unanswered:
			r.Unanswered++
			if kept {
				r.Kept++
			}
		}
	}
	if longest > 0 {
		r.LongestGap = longest.Round(time.Microsecond).String()
	}
	slices.Sort(r.Violations)
}

// brokenAt tells whether a node had no disk at a time. What a disk said that it
// could not store may be on it once it has been repaired: 4xx and an honest disk
// would have been the same to the sender.
func (l *Ledger) brokenAt(at time.Time) bool {
	return slices.ContainsFunc(l.diskless, func(p interval) bool { return !at.Before(p.from) && !at.After(p.to) })
}

const clock = "15:04:05.000"

// count adds one recipient of an accepted message under its first outcome.
func (l *Ledger) count(r *Result, t target, held, inQueue bool) {
	switch {
	case len(l.arrivals[t]) > 0 && l.arrivals[t][0].mailbox:
		r.Delivered++
	case len(l.arrivals[t]) > 0:
		r.Relayed++
	case len(l.notices[t]) > 0:
		r.Bounced++
	case held:
		r.Held++
	case inQueue:
		r.Queued++
	}
}

// doubles counts the copies of t that were too many, and of each DSN about t.
func (l *Ledger) doubles(r *Result, t target) (longest time.Duration) {
	longest = l.extra(r, t, "copies", l.arrivals[t])
	for _, n := range l.notices[t] {
		longest = max(longest, l.extra(r, t, "copies of DSN "+n.id, n.copies))
	}
	// An attempt is concluded and its DSN queued in one step, so not even a node
	// that dies reports a failure twice.
	if n := len(l.notices[t]); n > 1 {
		r.Doubled.Never += n - 1
		r.violation("doubled: %d DSNs about message %s for %s", n, t.token, t.rcpt)
	}
	if len(l.notices[t]) > 0 && len(l.arrivals[t]) > 0 && !slices.ContainsFunc(l.arrivals[t], func(a arrival) bool { return l.doubtful(t, a) }) {
		r.violation("both: message %s arrived at %s, and the sender was told that it failed", t.token, t.rcpt)
	}
	return longest
}

func (l *Ledger) doubtful(t target, a arrival) bool {
	why, _ := l.excused(t, a)
	return why != none
}

// extra counts copies. Each but the last must be one that the server may not
// know of, or that was overtaken; the last needs to be neither.
func (l *Ledger) extra(r *Result, t target, what string, copies []arrival) (longest time.Duration) {
	if len(copies) < 2 {
		return 0
	}
	slices.SortFunc(copies, func(a, b arrival) int { return a.end.Compare(b.end) })
	last := len(copies) - 1
	never := 0
	for _, a := range copies[:last] {
		why, gap := l.excused(t, a)
		switch {
		case why == unseen:
			r.Doubled.Unseen++
		case why == died:
			r.Doubled.Died++
			longest = max(longest, gap)
		case why == underWay:
			r.Doubled.Open++
		case l.overtaken(copies[last]):
			r.Doubled.Died++
		default:
			never++
		}
	}
	if never > 0 {
		r.Doubled.Never += never
		r.violation("doubled: %d %s of message %s for %s, and the server knew: %s", len(copies), what, t.token, t.rcpt, times(copies))
	}
	return longest
}

func times(copies []arrival) string {
	var b strings.Builder
	for i, a := range copies {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "by %s %s-%s", a.node, a.begin.Format(clock), a.end.Format(clock))
	}
	return b.String()
}
