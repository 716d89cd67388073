package queue

import (
	"context"
	"time"
)

// How a node deals with the limits of all nodes together.
const (
	grantLife  = 30 * time.Second // that places are taken for; renewed while they are used
	grantBatch = 5                // places are taken so many at a time
	spendBatch = 20               // and messages of a rate; never more than its burst
	grantTime  = 2 * time.Second  // that one question may take
	grantAgain = time.Second      // until a node that got nothing asks again
	aloneFor   = 5 * time.Second  // that a node goes by its own limits after it got no answer
	grantAsks  = 4                // questions at the same time
)

// A share is what this node has of the places that all nodes have at a lane.
type share struct {
	got    int
	until  time.Time
	next   time.Time // not asked for more before
	asking bool
}

// allowed tells whether the rate of l, and what all nodes may do together, leave
// room for one more attempt. Where they do not, l has its turn again when they
// may. Called with mu held.
func (q *Queue) allowed(l *lane, now time.Time) bool {
	switch {
	case l.local():
		return true
	case q.Limits != nil && !q.alone.After(now):
		return q.granted(l, now)
	case l.hop.Rate.IsZero():
		return true
	}
	next := l.bucket.next(l.hop.Rate, now)
	if next.After(now) {
		q.later(l, next)
		return false
	}
	return true
}

// granted is allowed where there are other nodes. Called with mu held.
func (q *Queue) granted(l *lane, now time.Time) bool {
	left := l.share.until.Sub(now)
	ok := left > 0 && l.active < l.share.got && (l.hop.Rate.IsZero() || l.bucket.tokens >= 1)
	if ok && left > grantLife/3 {
		return true
	}
	switch {
	case l.share.asking:
	case l.share.next.After(now):
		q.later(l, l.share.next)
	default:
		l.share.asking = true
		q.asking = append(q.asking, l)
		select {
		case q.ask <- struct{}{}:
		default:
		}
	}
	return ok
}

// nextAllowed is when the rate of l leaves room again. Called with mu held.
func (q *Queue) nextAllowed(l *lane, now time.Time) time.Time {
	switch {
	case q.Limits == nil || q.alone.After(now):
		return l.bucket.next(l.hop.Rate, now)
	case l.bucket.tokens < 1:
		return l.share.next
	}
	return now
}

// spend counts an attempt for the rate of l. Called with mu held.
func (q *Queue) spend(l *lane) {
	if !l.hop.Rate.IsZero() {
		l.bucket.tokens--
	}
}

// negotiate asks q.Limits for what lanes want, until ctx ends.
func (q *Queue) negotiate(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.ask:
		}
		for l := q.nextAsking(); l != nil && ctx.Err() == nil; l = q.nextAsking() {
			q.askFor(ctx, l)
		}
	}
}

// nextAsking takes one of the lanes that want more. Another goroutine goes on
// with those that are left.
func (q *Queue) nextAsking() *lane {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.asking) == 0 {
		return nil
	}
	l := q.asking[0]
	q.asking = q.asking[1:]
	if len(q.asking) > 0 {
		select {
		case q.ask <- struct{}{}:
		default:
		}
	}
	return l
}

// askFor asks for places and messages of one lane.
func (q *Queue) askFor(ctx context.Context, l *lane) {
	q.mu.Lock()
	want := l.active + l.waiting() + 1
	want = min((want+grantBatch-1)/grantBatch*grantBatch, l.most)
	spend := 0
	if rate := l.hop.Rate; !rate.IsZero() && l.bucket.tokens < 1 {
		spend = min(spendBatch, int(rate.burst()))
	}
	q.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, grantTime)
	defer cancel()
	until := time.Now().Add(grantLife)
	got, err := q.Limits.Take(ctx, l.name, want, l.most, until)
	var spent int
	var next time.Time
	if err == nil && spend > 0 && got > 0 {
		spent, next, err = q.Limits.Spend(ctx, l.name, spend, l.hop.Rate)
	}

	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	l.share.asking = false
	if err != nil {
		if !q.alone.After(now) {
			q.Log.Warn("limits of all nodes", "next_hop", l.name, "err", err)
		}
		q.alone = now.Add(aloneFor)
	} else {
		l.share.got, l.share.until, l.share.next = got, until, now
		l.bucket.tokens += float64(spent)
		if got <= l.active {
			l.share.next = now.Add(jittered(grantAgain, q.Random()))
		}
		if spend > 0 && l.bucket.tokens < 1 {
			l.share.next = next
		}
	}
	q.turn(l, now)
	q.refill(l, now)
}

// giveUp gives back what this node has of all nodes' places.
func (q *Queue) giveUp(ctx context.Context) {
	if q.Limits == nil {
		return
	}
	q.mu.Lock()
	var names []string
	for _, l := range q.lanes {
		if l.share.got > 0 && l.share.until.After(time.Now()) {
			names = append(names, l.name)
		}
		l.share = share{}
	}
	q.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, grantTime)
	defer cancel()
	for _, name := range names {
		if q.Limits.Give(ctx, name, 0) != nil {
			return // they run out
		}
	}
}
