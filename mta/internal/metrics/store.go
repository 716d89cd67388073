package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A StoreState is how a queue in Redis stands to the spool beside it.
type StoreState struct {
	States  map[string]bool // all of them; one is true
	In      time.Duration   // how long it has been in that one
	Spool   int             // messages in the spool
	Doubts  int             // of these, those that may be in Redis too
	Copies  int             // of messages that are in Redis
	Puts    map[string]int64
	Settled map[string]int64
	Results map[string]int64

	Doubled, HandedOver, PutBack, CopiesFailed int64
}

// WatchStore asks read for the state of a queue in Redis whenever the metrics
// are read. It is called once, before the first reading.
func (s *Set) WatchStore(read func() (StoreState, error)) {
	count := func(name, help string, labels ...string) *prometheus.Desc {
		s.note("counter", name, help, labels)
		return prometheus.NewDesc(name, help, labels, nil)
	}
	s.registry.MustRegister(&storeCollector{
		read:    read,
		state:   s.desc("mta_queue_store_state", "1 for the state that Redis is in, as this node sees it: ok, full, away, read-only, unsafe or emptied.", "state"),
		in:      s.desc("mta_queue_store_state_seconds", "How long it has been in that state."),
		spool:   s.desc("mta_queue_store_spool_messages", "Messages in this node's spool beside Redis."),
		doubts:  s.desc("mta_queue_store_doubt_messages", "Those of them that may be in Redis, too."),
		copies:  s.desc("mta_queue_store_copies", "Copies of messages that this node put into Redis."),
		puts:    count("mta_queue_store_puts_total", "New messages by where they were put: redis, spool, or doubt (Redis did not answer; the spool has it, too).", "to"),
		settled: count("mta_queue_store_doubts_total", "Messages in doubt by how that ended: redis had it, spool (Redis had not), or late (it could not be asked for too long, and the message may be delivered twice).", "end"),
		results: count("mta_queue_store_results_total", "Results of attempts that Redis could not be told: kept in the spool, applied since, or overtaken (another node attempted the message, too).", "end"),
		doubled: count("mta_queue_store_doubled_total", "Messages of late doubts that another node did attempt."),
		handed:  count("mta_queue_store_handed_over_total", "Messages that the spool handed over to Redis."),
		back:    count("mta_queue_store_put_back_total", "Messages that Redis had lost and this node put back."),
		failed:  count("mta_queue_store_copies_failed_total", "Copies that could not be written."),
	})
}

type storeCollector struct {
	read func() (StoreState, error)

	state, in, spool, doubts, copies *prometheus.Desc
	puts, settled, results           *prometheus.Desc
	doubled, handed, back, failed    *prometheus.Desc
}

// Describe implements [prometheus.Collector].
func (c *storeCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.state, c.in, c.spool, c.doubts, c.copies, c.puts, c.settled, c.results, c.doubled, c.handed, c.back, c.failed} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *storeCollector) Collect(out chan<- prometheus.Metric) {
	st, err := c.read()
	if err != nil {
		out <- prometheus.NewInvalidMetric(c.state, err)
		return
	}
	one := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	for name, is := range st.States {
		v := 0.0
		if is {
			v = 1
		}
		one(c.state, prometheus.GaugeValue, v, name)
	}
	one(c.in, prometheus.GaugeValue, st.In.Seconds())
	one(c.spool, prometheus.GaugeValue, float64(st.Spool))
	one(c.doubts, prometheus.GaugeValue, float64(st.Doubts))
	one(c.copies, prometheus.GaugeValue, float64(st.Copies))
	for d, counts := range map[*prometheus.Desc]map[string]int64{c.puts: st.Puts, c.settled: st.Settled, c.results: st.Results} {
		for label, n := range counts {
			one(d, prometheus.CounterValue, float64(n), label)
		}
	}
	one(c.doubled, prometheus.CounterValue, float64(st.Doubled))
	one(c.handed, prometheus.CounterValue, float64(st.HandedOver))
	one(c.back, prometheus.CounterValue, float64(st.PutBack))
	one(c.failed, prometheus.CounterValue, float64(st.CopiesFailed))
}
