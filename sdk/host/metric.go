package host

import (
	"math"

	"github.com/wasmta/wasmta/sdk/abi"
)

// count is what a call added to a counter.
type count struct {
	name  string
	delta int64
}

// observation is a value for a histogram.
type observation struct {
	name  string
	value float64
}

// Counter is counter. Like all that a call does, it counts once the hook has
// returned. It has no result: what it cannot count is in the log.
func (c *Call) Counter(name string, delta int64) {
	if c.may(abi.AccessAfterLoad) != abi.OK || c.in.Metrics == nil {
		return
	}
	if !isMetric(name) || delta < 0 {
		c.Log(abi.LevelWarn, "counter: a bad name or a negative number")
		return
	}
	for i := range c.counts {
		if s := &c.counts[i]; s.name == name {
			if s.delta > math.MaxInt64-delta {
				s.delta = math.MaxInt64
			} else {
				s.delta += delta
			}
			return
		}
	}
	if len(c.counts) >= c.limits.Counters {
		c.Log(abi.LevelWarn, "counter: too many counters in one call")
		return
	}
	c.counts = append(c.counts, count{name, delta})
}

// Observe is observe: as [Call.Counter], for a histogram.
func (c *Call) Observe(name string, value float64) {
	if c.may(abi.AccessAfterLoad) != abi.OK || c.in.Metrics == nil {
		return
	}
	if !isMetric(name) || math.IsNaN(value) || math.IsInf(value, 0) {
		c.Log(abi.LevelWarn, "observe: a bad name or no number")
		return
	}
	if len(c.observations) >= c.limits.Observations {
		c.Log(abi.LevelWarn, "observe: too many observations in one call")
		return
	}
	c.observations = append(c.observations, observation{name, value})
}

// publish hands on what was counted.
func (c *Call) publish() {
	for _, s := range c.counts {
		c.in.Metrics.Count(s.name, s.delta)
	}
	for _, o := range c.observations {
		c.in.Metrics.Observe(o.name, o.value)
	}
}

// isMetric tells whether s names a counter: lower case letters, digits and
// underscores, beginning with a letter, up to 64 octets.
func isMetric(s string) bool {
	if s == "" || len(s) > 64 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
