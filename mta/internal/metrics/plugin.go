package metrics

import (
	"regexp"
	"sync"
)

// maxPluginNames is how many names of counters, and of histograms, one stage may
// use: each is a time series that the monitor keeps for ever, and names may come
// from what is in messages.
const maxPluginNames = 100

// valueBuckets are of what plugins observe: scores, sizes, seconds.
var valueBuckets = []float64{.001, .01, .1, .5, 1, 2, 5, 10, 25, 50, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000}

var pluginName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// plugins are what stages count by themselves. Names stay known over a reload.
type plugins struct {
	mu     sync.Mutex
	stages map[string]*Plugin // guarded by mu
}

// A Plugin is the view of one stage's plugin: counters and histograms by names
// of its own. What has a bad name, or is one name too many, is dropped, and
// counted as such. It implements host.Metrics. Safe for concurrent use.
type Plugin struct {
	set              *Set
	stage            string
	counts, observed names
}

// names are those in use, up to [maxPluginNames].
type names struct {
	mu    sync.Mutex
	known map[string]bool // guarded by mu
}

// admit tells whether a name may be used.
func (n *names) admit(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known[name] {
		return true
	}
	if len(n.known) >= maxPluginNames || !pluginName.MatchString(name) {
		return false
	}
	if n.known == nil {
		n.known = map[string]bool{}
	}
	n.known[name] = true
	return true
}

// Plugin returns the view of a stage's plugin; the same one for each call.
func (s *Set) Plugin(stage string) *Plugin {
	s.plugins.mu.Lock()
	defer s.plugins.mu.Unlock()
	if s.plugins.stages == nil {
		s.plugins.stages = map[string]*Plugin{}
	}
	p, ok := s.plugins.stages[stage]
	if !ok {
		p = &Plugin{set: s, stage: stage}
		s.plugins.stages[stage] = p
	}
	return p
}

// Count adds to a counter. A negative delta is dropped: counters only grow.
func (p *Plugin) Count(name string, delta int64) {
	if delta < 0 || !p.counts.admit(name) {
		p.drop()
		return
	}
	p.set.pluginCounts.WithLabelValues(p.stage, name).Add(float64(delta))
}

// Observe puts a value into a histogram.
func (p *Plugin) Observe(name string, value float64) {
	if !p.observed.admit(name) {
		p.drop()
		return
	}
	p.set.pluginObserved.WithLabelValues(p.stage, name).Observe(value)
}

func (p *Plugin) drop() { p.set.pluginDropped.WithLabelValues(p.stage).Inc() }
