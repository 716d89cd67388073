// Package metrics counts what the server does, for Prometheus. Its views have
// the methods that the other packages' Observer interfaces ask for; what the
// numbers are used for is left to whoever reads /metrics. Labels never hold
// what comes from outside, but for the names of some next hops, which are few.
package metrics

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

//go:generate go test -run TestThePageListsEveryMetric -update .

// Bounds of one reading of /metrics.
const (
	maxScrapes    = 4                // at the same time: a monitor and a person or two
	scrapeTimeout = 10 * time.Second // Prometheus' own default
)

// Buckets of durations in seconds: from a stage that takes microseconds to a
// message that takes days.
var (
	fastBuckets  = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	slowBuckets  = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	delayBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600, 5 * 24 * 3600}
)

// A Set is the metrics of one server. Make it with [New]. Safe for concurrent
// use.
type Set struct {
	registry *prometheus.Registry
	infos    []Info

	sessionsOpen *prometheus.GaugeVec
	sessions     *prometheus.CounterVec
	refusals     *prometheus.CounterVec
	messages     *prometheus.CounterVec
	bytes        *prometheus.CounterVec
	replyTime    *prometheus.HistogramVec
	logins       *prometheus.CounterVec

	stageTime *prometheus.HistogramVec
	stages    *prometheus.CounterVec
	tripped   *prometheus.GaugeVec
	trips     *prometheus.CounterVec

	plugins        plugins
	pluginCounts   *prometheus.CounterVec
	pluginObserved *prometheus.HistogramVec
	pluginDropped  *prometheus.CounterVec

	queued           prometheus.Counter
	queuedBytes      prometheus.Counter
	attempts         *prometheus.CounterVec
	delay            *prometheus.HistogramVec
	hops             nextHops
	hopAttempts      *prometheus.CounterVec
	hopTime          *prometheus.HistogramVec
	notified         *prometheus.CounterVec
	mailboxes        *prometheus.CounterVec
	mailboxTime      prometheus.Histogram
	relayed          *prometheus.CounterVec
	relayTime        prometheus.Histogram
	relayConnections *prometheus.CounterVec
	relayTLS         *prometheus.CounterVec
	relayUnanswered  prometheus.Counter
	operated         *prometheus.CounterVec
	operatedMessages *prometheus.CounterVec

	reloads *prometheus.CounterVec
	loaded  prometheus.Gauge
}

// An Info describes a metric.
type Info struct {
	Name, Type, Help string
	Labels           []string
}

// New returns the metrics of a server of that version, with those of the Go
// runtime and of the process.
func New(version string) *Set {
	s := &Set{registry: prometheus.NewRegistry()}
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.gauge("mta_build_info", "Always 1; the label says what runs.", "version").WithLabelValues(version).Set(1)

	s.sessionsOpen = s.gauge("mta_sessions_open", "Sessions at this moment.", "listener")
	s.sessions = s.counter("mta_sessions_total", "Sessions that began.", "listener")
	s.refusals = s.counter("mta_refusals_total", "Replies that refused something, by their class: 4xx for now, 5xx for good.", "listener", "class")
	s.messages = s.counter("mta_messages_total", "Messages received in full, by the class of the reply: 2xx taken, 4xx or 5xx refused.", "listener", "class")
	s.bytes = s.counter("mta_message_bytes_total", "Octets of the messages that were taken.", "listener")
	s.replyTime = s.histogram("mta_message_reply_seconds", "From the end of a message to the reply: the pipeline and the disk.", fastBuckets, "listener")
	s.logins = s.counter("mta_logins_total", "Attempts to log in, by result: ok or refused.", "protocol", "result")

	s.stageTime = s.histogram("mta_stage_seconds", "How long a stage took for one message.", fastBuckets, "stage")
	s.stages = s.counter("mta_stages_total", "Times that a stage was reached, by outcome: its verdict, skipped (when), failed or tripped (on_error decided).", "stage", "outcome")
	s.tripped = s.gauge("mta_stage_tripped", "1 while a stage is left alone because it failed too often; on_error decides meanwhile.", "stage")
	s.trips = s.counter("mta_stage_trips_total", "Times that this began.", "stage")

	s.pluginCounts = s.counter("mta_plugin_count_total", "What plugins count, by names of their own.", "stage", "name")
	s.pluginObserved = s.histogram("mta_plugin_observed", "Values that plugins observe, by names of their own.", valueBuckets, "stage", "name")
	s.pluginDropped = s.counter("mta_plugin_dropped_total", "Counts and values of plugins that were dropped: a bad name, or more than 100 names of a stage.", "stage")

	s.queued = s.counter("mta_queued_total", "Messages put into the queue, DSNs too.").WithLabelValues()
	s.queuedBytes = s.counter("mta_queued_bytes_total", "Octets of these messages.").WithLabelValues()
	s.attempts = s.counter("mta_attempts_total", "Attempts at recipients of queued messages, by outcome.", "outcome")
	s.delay = s.histogram("mta_delay_seconds", "From receiving a message to the outcome of one recipient that is final.", delayBuckets, "outcome")
	s.hopAttempts = s.counter("mta_next_hop_attempts_total", "The same by next hop: local, the first 50 with 20 attempts, and all others together.", "next_hop", "outcome")
	s.hopTime = s.histogram("mta_next_hop_attempt_seconds", "How long these attempts took.", attemptBuckets, "next_hop")
	s.notified = s.counter("mta_notifications_total", "DSNs put into the queue, by kind: failed, delayed, success, or double-bounce for one to the postmaster.", "action")
	s.mailboxes = s.counter("mta_mailbox_deliveries_total", "Copies for mailboxes, by outcome.", "outcome")
	s.mailboxTime = s.histogram("mta_mailbox_delivery_seconds", "How long a copy took to be on the disk.", fastBuckets).WithLabelValues().(prometheus.Histogram)
	s.relayed = s.counter("mta_relay_attempts_total", "Attempts to relay to a recipient, by outcome.", "outcome")
	s.relayTime = s.histogram("mta_relay_attempt_seconds", "How long an attempt to relay took.", slowBuckets).WithLabelValues().(prometheus.Histogram)
	s.relayConnections = s.counter("mta_relay_connections_total", "Connections used to relay: new ones, and those used again.", "reused")
	s.relayTLS = s.counter("mta_relay_tls_total", "TLS with hosts that DNS named, by whose policy (tlsa, sts, no-policy-found) and what failed (a result type of RFC 8460, or none).", "policy", "failure")
	s.operated = s.counter("mta_operator_actions_total", "What operators did, by what it was; the log says who.", "action")
	s.operatedMessages = s.counter("mta_operator_messages_total", "Messages that it was done to.", "action")
	s.relayUnanswered = s.counter("mta_relay_unanswered_total", "Recipients whose next hop got the whole message and did not answer: each may get it twice.").WithLabelValues()

	s.reloads = s.counter("mta_reloads_total", "Reloads of the pipeline file, by result: ok or refused.", "result")
	s.loaded = s.gauge("mta_pipeline_loaded_timestamp_seconds", "When the pipeline in use was loaded.").WithLabelValues()
	return s
}

// Infos describes the metrics of our own, in the order of the page.
func (s *Set) Infos() []Info { return s.infos }

// Handler answers with all metrics in the text format.
func (s *Set) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError, // one that fails does not hide the others
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
	})
}

// Reloaded counts a reload, and remembers when the pipeline in use was loaded.
func (s *Set) Reloaded(ok bool, at time.Time) {
	if !ok {
		s.reloads.WithLabelValues("refused").Inc()
		return
	}
	s.reloads.WithLabelValues("ok").Inc()
	s.tripped.Reset() // the new pipeline's stages have not failed yet
	s.Loaded(at)
}

// Loaded remembers when the first pipeline was loaded.
func (s *Set) Loaded(at time.Time) { s.loaded.Set(float64(at.UnixNano()) / 1e9) }

// note remembers what a metric is, for the page.
func (s *Set) note(kind, name, help string, labels []string) {
	s.infos = append(s.infos, Info{name, kind, help, labels})
}

func (s *Set) counter(name, help string, labels ...string) *prometheus.CounterVec {
	s.note("counter", name, help, labels)
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	s.registry.MustRegister(v)
	return v
}

func (s *Set) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	s.note("gauge", name, help, labels)
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	s.registry.MustRegister(v)
	return v
}

func (s *Set) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	s.note("histogram", name, help, labels)
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	s.registry.MustRegister(v)
	return v
}
