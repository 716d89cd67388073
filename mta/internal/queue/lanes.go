package queue

import "time"

// A LaneState says how a lane stands.
type LaneState string

const (
	LaneNew   LaneState = "new"   // nothing is known of the next hop yet: few attempts at a time
	LaneOpen  LaneState = "open"  // the next hop answers
	LaneDown  LaneState = "down"  // it cannot be reached: nothing is attempted before a time
	LaneProbe LaneState = "probe" // one message finds out whether it still is
)

// A LaneStatus is how a lane of this node stands.
type LaneStatus struct {
	Lane    string
	State   LaneState
	Active  int       // attempts under way
	Limit   int       // of attempts at once, as things are
	Most    int       // what Limit grows to
	Waiting int       // entries in memory, next in line
	Rate    Rate      // of messages; zero: no limit
	Since   time.Time // when it went down; zero: it is not
	Until   time.Time // when it is tried again, or when Rate allows more; zero: now
	Reason  string    // why it is down: the reply, or what went wrong here
}

// Lanes tells how the lanes of this node stand, those with most to do first.
// Lanes that nothing is known of and that have nothing to do are not among them.
func (q *Queue) Lanes() []LaneStatus { return nil }
