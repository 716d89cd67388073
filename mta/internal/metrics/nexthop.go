package metrics

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// Bounds of the label next_hop. All others are [otherHops] together.
const (
	maxNextHops = 50     // that have numbers of their own: 50 times a few series
	nameAfter   = 20     // attempts that a next hop has them from, so that who writes to anybody fills no place
	maxCounted  = 10_000 // next hops that are counted up to there

	otherHops = "other"
	localHop  = "local" // the message store
)

// attemptBuckets are few: there are as many times as many of them as next hops.
var attemptBuckets = []float64{.1, 1, 10, 60, 300}

// nextHops has the names of the next hops with numbers of their own. A name is
// never taken back, so that counters only grow. Safe for concurrent use.
type nextHops struct {
	mu     sync.Mutex
	named  map[string]bool
	counts map[string]int
}

// label is that of a lane of the queue, after one more attempt.
func (n *nextHops) label(lane string) string {
	if lane == "" {
		return localHop
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.named[lane]:
		return lane
	case len(n.named) >= maxNextHops:
		return otherHops
	case n.named == nil || len(n.counts) >= maxCounted:
		n.counts = map[string]int{}
	}
	if n.named == nil {
		n.named = map[string]bool{}
	}
	n.counts[lane]++
	if n.counts[lane] < nameAfter {
		return otherHops
	}
	delete(n.counts, lane)
	n.named[lane] = true
	return lane
}

// Tried counts an attempt of the queue at one recipient, by its lane.
func (v Queue) Tried(lane string, outcome mail.Outcome, took time.Duration) {
	hop := v.set.hops.label(lane)
	v.set.hopAttempts.WithLabelValues(hop, known(outcome)).Inc()
	v.set.hopTime.WithLabelValues(hop).Observe(took.Seconds())
}

// A NextHopState is how one lane of the queue stands.
type NextHopState struct {
	Lane     string // empty: the message store
	Messages int    // in the queue
	Active   int    // attempts under way
	Limit    int    // of attempts at once
	Down     bool
}

// hopCollector is the part of the queue's state that is by next hop.
type hopCollector struct {
	messages, active, limit, down, downAll *prometheus.Desc
}

func (s *Set) hopCollector() hopCollector {
	return hopCollector{
		messages: s.desc("mta_next_hop_messages", "Messages in the queue by next hop: the 50 with most to do, and all others together. Those for several next hops count as local.", "next_hop"),
		active:   s.desc("mta_next_hop_active", "Attempts under way, by the same next hops.", "next_hop"),
		limit:    s.desc("mta_next_hop_limit", "How many there may be; it grows with success.", "next_hop"),
		down:     s.desc("mta_next_hop_down", "1 while the next hop cannot be reached.", "next_hop"),
		downAll:  s.desc("mta_next_hops_down", "How many next hops cannot be reached."),
	}
}

func (c hopCollector) describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.messages, c.active, c.limit, c.down, c.downAll} {
		out <- d
	}
}

// collect tells of hops; all is how many messages there are, of which a store
// names the fullest lanes alone.
func (c hopCollector) collect(out chan<- prometheus.Metric, hops []NextHopState, all int) {
	hops = slices.Clone(hops)
	slices.SortFunc(hops, func(a, b NextHopState) int {
		return cmp.Or(cmp.Compare(b.Messages+b.Active, a.Messages+a.Active), cmp.Compare(a.Lane, b.Lane))
	})
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	rest, down := NextHopState{Messages: all}, 0
	for i, h := range hops {
		if h.Down {
			down++
		}
		if i >= maxNextHops {
			rest.Active += h.Active
			continue
		}
		rest.Messages -= h.Messages
		name := cmp.Or(h.Lane, localHop)
		gauge(c.messages, h.Messages, name)
		gauge(c.active, h.Active, name)
		gauge(c.limit, h.Limit, name)
		gauge(c.down, number(h.Down), name)
	}
	gauge(c.messages, max(rest.Messages, 0), otherHops) // they were counted one after the other
	gauge(c.active, rest.Active, otherHops)
	gauge(c.downAll, down)
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
