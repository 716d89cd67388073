package queue

import (
	"math"
	"math/rand/v2"
	"time"
)

// Defaults of [Schedule].
const (
	DefaultFirst  = time.Minute // greylisting ends within minutes
	DefaultFactor = 2
	DefaultMax    = 4 * time.Hour // then RFC 5321 §4.5.4.1's sparing hours
)

// jitter is by how much of itself a wait is longer or shorter, so that messages
// that were deferred together do not come back together.
const jitter = 0.15

// A Schedule says how long to wait between attempts: First, then each wait
// Factor times the one before it, never over Max. Zero fields have defaults.
type Schedule struct {
	First  time.Duration
	Factor float64
	Max    time.Duration
}

func (s Schedule) withDefaults() Schedule {
	s.First = or(s.First, DefaultFirst)
	s.Factor = or(s.Factor, DefaultFactor)
	s.Max = or(s.Max, DefaultMax)
	return s
}

// wait is how long to wait after so many attempts, before jitter.
func (s Schedule) wait(attempts int) time.Duration {
	w := float64(s.First) * math.Pow(s.Factor, float64(max(attempts-1, 0)))
	if !(w < float64(s.Max)) { // also where it is infinite
		return s.Max
	}
	return time.Duration(w)
}

// jittered is d, by up to jitter longer or shorter. random is in [0, 1).
func jittered(d time.Duration, random float64) time.Duration {
	return time.Duration(float64(d) * (1 - jitter + 2*jitter*random))
}

func orRandom(f func() float64) func() float64 {
	if f == nil {
		return rand.Float64
	}
	return f
}

// scheduleOf is how mail for a next hop is tried again that was deferred for a
// reason: what the operator says of the next hop, of the reason, of all.
func (q *Queue) scheduleOf(hop *NextHop, why Reason) Schedule {
	if hop.Schedule != (Schedule{}) {
		return hop.Schedule.withDefaults()
	}
	if s, ok := q.RetryOn[why]; ok {
		return s.withDefaults()
	}
	if s, ok := DefaultRetryOn[why]; ok {
		return s
	}
	return q.Schedule
}
