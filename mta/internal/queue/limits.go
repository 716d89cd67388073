package queue

import (
	"context"
	"time"
)

// A Rate is how many messages may begin in a time. The zero Rate is no limit.
type Rate struct {
	Messages int
	Per      time.Duration
}

// IsZero tells whether r bounds nothing.
func (r Rate) IsZero() bool { return r.Messages <= 0 || r.Per <= 0 }

// Limits bounds what all nodes of a queue do at one lane. An error means: go on
// with the limits that this node has by itself. All calls may be repeated
// without harm, and none is made for each message: what is taken is kept for a
// while. Safe for concurrent use.
type Limits interface {
	// Take asks for places at a lane: the node wants to have so many in all,
	// those that it has included, until a time; then they are free again. All
	// nodes together never have more than most. It returns how many the node has
	// from now on; Take with less than it had gives the rest back. A node that
	// asks while others have all shall get some once theirs run out or are asked
	// for again: at most an even part is left to each where nodes want more than
	// there are.
	Take(ctx context.Context, lane string, want, most int, until time.Time) (got int, err error)

	// Give leaves the node n places of those it has at a lane.
	Give(ctx context.Context, lane string, n int) error

	// Spend takes up to want messages out of what rate allows all nodes at a
	// lane. Where it got less than it wanted, next is when there is more.
	Spend(ctx context.Context, lane string, want int, rate Rate) (got int, next time.Time, err error)
}
