package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A QueueState is what the queue holds at one moment.
type QueueState struct {
	Messages map[string]int // by state
	Oldest   time.Duration  // age of the oldest message; zero if there is none
	NextHops []NextHopState // those that have something to do, or of which something is known
}

// WatchQueue asks read for the state of the queue whenever the metrics are
// read. It is called once, before the first reading.
func (s *Set) WatchQueue(read func() (QueueState, error)) {
	c := &queueCollector{
		read:     read,
		messages: s.desc("mta_queue_messages", "Messages in the queue, by state.", "state"),
		oldest:   s.desc("mta_queue_oldest_seconds", "Age of the oldest message in the queue; 0 if it is empty."),
	}
	c.hops = s.hopCollector()
	s.registry.MustRegister(c)
}

func (s *Set) desc(name, help string, labels ...string) *prometheus.Desc {
	s.note("gauge", name, help, labels)
	return prometheus.NewDesc(name, help, labels, nil)
}

type queueCollector struct {
	read             func() (QueueState, error)
	messages, oldest *prometheus.Desc
	hops             hopCollector
}

// Describe implements [prometheus.Collector].
func (c *queueCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.messages
	out <- c.oldest
	c.hops.describe(out)
}

// Collect implements [prometheus.Collector].
func (c *queueCollector) Collect(out chan<- prometheus.Metric) {
	state, err := c.read()
	if err != nil {
		out <- prometheus.NewInvalidMetric(c.messages, err)
		return
	}
	all := 0
	for name, n := range state.Messages {
		all += n
		out <- prometheus.MustNewConstMetric(c.messages, prometheus.GaugeValue, float64(n), name)
	}
	out <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, state.Oldest.Seconds())
	c.hops.collect(out, state.NextHops, all)
}
