package queue

import "time"

// burstPart is which part of a rate may come at once: over any stretch of the
// rate's time no more than a tenth too many.
const burstPart = 10

// A bucket lets messages through at a rate: a token bucket. The zero bucket is
// full.
type bucket struct {
	tokens float64
	at     time.Time // when tokens was right
}

// burst is how many may come at once.
func (r Rate) burst() float64 { return float64(max(r.Messages/burstPart, 1)) }

// fill brings the tokens up to date.
func (b *bucket) fill(r Rate, now time.Time) {
	if b.at.IsZero() {
		b.tokens = r.burst()
	} else if passed := now.Sub(b.at); passed > 0 {
		b.tokens = min(r.burst(), b.tokens+passed.Seconds()/r.Per.Seconds()*float64(r.Messages))
	}
	b.at = now
}

// next is when there is a token, at or after now.
func (b *bucket) next(r Rate, now time.Time) time.Time {
	b.fill(r, now)
	if b.tokens >= 1 {
		return now
	}
	wait := time.Duration((1 - b.tokens) / float64(r.Messages) * float64(r.Per))
	return now.Add(wait + time.Microsecond) // so that rounding does not leave it short
}
