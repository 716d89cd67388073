package wasm

import "time"

// A clock is what a guest sees of time. Its monotonic clock counts the fuel
// that the guest used, a nanosecond for each unit, and how long it slept: so
// the guest does the same on a busy machine as on a quick one, and cannot
// measure what others do on it.
type clock struct {
	gauge *gauge
	base  int64            // nanoseconds when this call began
	slept int64            // nanoseconds in this call
	wall  func() time.Time // the server's clock; nil: not granted
	fixed time.Time        // when this call began
}

// begin starts a call, before the gauge does.
func (c *clock) begin(base int64, now func() time.Time, granted bool) {
	c.base, c.slept, c.wall, c.fixed = base, 0, nil, now()
	if granted {
		c.wall = now
	}
}

// monotonic is the guest's clock, in nanoseconds.
func (c *clock) monotonic() int64 { return c.base + int64(c.gauge.used()) + c.slept }

// walltime is the guest's time of day.
func (c *clock) walltime() (sec int64, nsec int32) {
	now := c.fixed
	if c.wall != nil {
		now = c.wall()
	}
	return now.Unix(), int32(now.Nanosecond())
}

// sleep is how a guest sleeps: no longer than its call may take.
func (c *clock) sleep(ns int64) {
	c.gauge.look()
	if ns <= 0 {
		return
	}
	wait := time.Duration(ns)
	if d := c.gauge.deadline; !d.IsZero() {
		wait = min(wait, time.Until(d))
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.gauge.done:
	}
	c.slept += ns
	c.gauge.look()
}

// firstInstant is where a guest's monotonic clock begins, in nanoseconds: Go's
// runtime takes zero for a broken one.
const firstInstant = 1e9
