package metrics

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

var update = flag.Bool("update", false, "write the generated page")

// full returns a set with everything switched on.
func full() *Set {
	s := New("v1.2.3")
	s.WatchQueue(func() (QueueState, error) {
		return QueueState{Messages: map[string]int{"waiting": 3, "held": 1}, Oldest: 90 * time.Second, NextHops: []NextHopState{
			{Lane: "hamburger.edu", Messages: 3, Active: 2, Limit: 5, Down: true}, {Active: 1, Limit: 500},
		}}, nil
	})
	s.WatchStore(func() (StoreState, error) {
		return StoreState{
			States: map[string]bool{"ok": true, "away": false}, In: time.Minute, Spool: 2, Doubts: 1, Copies: 3,
			Puts: map[string]int64{"redis": 5}, Settled: map[string]int64{"late": 1}, Results: map[string]int64{"kept": 4},
			Doubled: 1, HandedOver: 6, PutBack: 7, CopiesFailed: 8,
		}, nil
	})
	return s
}

// read returns what /metrics says.
func read(t *testing.T, s *Set) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestWhatHappensIsCounted(t *testing.T) {
	s := full()
	smtp := s.SMTP()
	smtp.SessionOpened(mail.ListenerSMTP)
	smtp.SessionOpened(mail.ListenerSMTP)
	smtp.SessionClosed(mail.ListenerSMTP)
	smtp.Refused(mail.ListenerSubmission, 530)
	smtp.Refused(mail.ListenerSubmission, 99)
	smtp.Received(mail.ListenerSMTP, 250, 4096, 3*time.Millisecond)
	smtp.Received(mail.ListenerSMTP, 451, 100, time.Millisecond)
	s.POP3().SessionOpened()
	s.POP3().Login(false)
	s.IMAP().Login(true)
	s.LoggedIn("smtp", true)
	s.Pipeline().Staged("stamp", "continue", time.Millisecond)
	s.Pipeline().Staged("stamp", "skipped", 0)
	s.Delivery().Stored(mail.Delivered, time.Millisecond)
	s.Delivery().Stored("", time.Millisecond)
	s.Queue().Queued(4096)
	s.Queue().Attempted("mx.example.org:25", mail.Deferred, time.Minute)
	s.Queue().Attempted("mx.example.org:25", mail.Relayed, time.Hour)
	s.Queue().Notified("failed")
	s.Relay().Connected("mx.example.org:25", true)
	s.Relay().Attempted("mx.example.org:25", mail.Relayed, time.Second)
	s.Relay().Secured("sts", "")
	s.Relay().Secured("tlsa", "dnssec-invalid")
	s.Relay().Unanswered("mx.example.org:25")
	s.Reloaded(false, time.Time{})
	s.Reloaded(true, time.Unix(1000, 0))
	got := read(t, s)
	for _, want := range []string{
		`mta_queue_store_state{state="ok"} 1`,
		`mta_queue_store_state{state="away"} 0`,
		`mta_queue_store_state_seconds 60`,
		`mta_queue_store_spool_messages 2`,
		`mta_queue_store_doubt_messages 1`,
		`mta_queue_store_copies 3`,
		`mta_queue_store_puts_total{to="redis"} 5`,
		`mta_queue_store_doubts_total{end="late"} 1`,
		`mta_queue_store_results_total{end="kept"} 4`,
		`mta_queue_store_doubled_total 1`,
		`mta_queue_store_handed_over_total 6`,
		`mta_queue_store_put_back_total 7`,
		`mta_queue_store_copies_failed_total 8`,
		`mta_build_info{version="v1.2.3"} 1`,
		`mta_next_hop_messages{next_hop="hamburger.edu"} 3`,
		`mta_next_hop_active{next_hop="local"} 1`,
		`mta_next_hop_limit{next_hop="hamburger.edu"} 5`,
		`mta_next_hop_down{next_hop="hamburger.edu"} 1`,
		`mta_next_hops_down 1`,
		`mta_sessions_open{listener="smtp"} 1`,
		`mta_sessions_total{listener="smtp"} 2`,
		`mta_sessions_open{listener="pop3"} 1`,
		`mta_refusals_total{class="5xx",listener="submission"} 1`,
		`mta_refusals_total{class="other",listener="submission"} 1`,
		`mta_messages_total{class="2xx",listener="smtp"} 1`,
		`mta_messages_total{class="4xx",listener="smtp"} 1`,
		`mta_message_bytes_total{listener="smtp"} 4096`,
		`mta_message_reply_seconds_count{listener="smtp"} 2`,
		`mta_logins_total{protocol="pop3",result="refused"} 1`,
		`mta_logins_total{protocol="smtp",result="ok"} 1`,
		`mta_logins_total{protocol="imap",result="ok"} 1`,
		`mta_stages_total{outcome="continue",stage="stamp"} 1`,
		`mta_stages_total{outcome="skipped",stage="stamp"} 1`,
		`mta_stage_seconds_count{stage="stamp"} 1`,
		`mta_mailbox_deliveries_total{outcome="delivered"} 1`,
		`mta_mailbox_deliveries_total{outcome="deferred"} 1`,
		`mta_relay_tls_total{failure="none",policy="sts"} 1`,
		`mta_relay_tls_total{failure="dnssec-invalid",policy="tlsa"} 1`,
		`mta_relay_unanswered_total 1`,
		`mta_queued_total 1`,
		`mta_queued_bytes_total 4096`,
		`mta_attempts_total{outcome="deferred"} 1`,
		`mta_delay_seconds_sum{outcome="relayed"} 3600`,
		`mta_notifications_total{action="failed"} 1`,
		`mta_relay_connections_total{reused="true"} 1`,
		`mta_relay_attempts_total{outcome="relayed"} 1`,
		`mta_queue_messages{state="waiting"} 3`,
		`mta_queue_messages{state="held"} 1`,
		`mta_queue_oldest_seconds 90`,
		`mta_reloads_total{result="refused"} 1`,
		`mta_pipeline_loaded_timestamp_seconds 1000`,
		`go_goroutines `,
		`process_resident_memory_bytes `,
	} {
		if !strings.Contains(got, "\n"+want) {
			t.Errorf("missing: %s", want)
		}
	}
	if strings.Contains(got, "mx.example.org") {
		t.Error("a host name became a label")
	}
}

func TestAQueueThatCannotBeReadDoesNotHideTheRest(t *testing.T) {
	s := New("v1.2.3")
	s.WatchQueue(func() (QueueState, error) { return QueueState{}, errors.New("index is gone") })
	if got := read(t, s); !strings.Contains(got, "mta_build_info") || strings.Contains(got, "index is gone") {
		t.Errorf("got %s", got)
	}
}

func TestNamesAreThoseOfPrometheus(t *testing.T) {
	s := full()
	problems, err := testutil.GatherAndLint(s.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "mta_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

const preface = `# Metrics

*Generated from ` + "`mta/internal/metrics` by `go generate ./...`" + `; do not edit.*

` + "`GET /metrics`" + ` on an address of ` + "`listen.http`" + ` answers in the text format of Prometheus. No label but ` + "`next_hop`" + ` holds what comes from
outside (addresses, host names, accounts), and it names 50 at most, so that their number is bounded. The usual metrics of the Go
runtime (` + "`go_…`" + `) and of the process (` + "`process_…`" + `) come with them.

| metric | type | labels | meaning |
|---|---|---|---|
`

func TestThePageListsEveryMetric(t *testing.T) {
	const name = "../../docs/metrics.md"
	var b bytes.Buffer
	b.WriteString(preface)
	for _, m := range full().Infos() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name, m.Type, strings.Join(m.Labels, ", "), m.Help)
	}
	if *update {
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(got, b.Bytes()) {
		t.Errorf("%s is not up to date (%v); run go generate ./...", name, err)
	}
}

// TestTripped holds that the gauge is of the pipeline in use.
func TestTripped(t *testing.T) {
	s := full()
	want := func(when string, lines ...string) {
		t.Helper()
		got := read(t, s)
		for _, line := range lines {
			if !strings.Contains(got, "\n"+line+"\n") {
				t.Errorf("%s: missing: %s", when, line)
			}
		}
	}
	s.Pipeline().Tripped("scan", true)
	want("tripped", `mta_stage_tripped{stage="scan"} 1`, `mta_stage_trips_total{stage="scan"} 1`)
	s.Pipeline().Tripped("scan", false)
	want("recovered", `mta_stage_tripped{stage="scan"} 0`, `mta_stage_trips_total{stage="scan"} 1`)
	s.Pipeline().Tripped("scan", true)
	s.Reloaded(false, time.Time{})
	want("a reload that was refused", `mta_stage_tripped{stage="scan"} 1`, `mta_stage_trips_total{stage="scan"} 2`)
	s.Reloaded(true, time.Unix(1000, 0))
	if strings.Contains(read(t, s), `mta_stage_tripped{`) {
		t.Error("after a reload a stage of the old pipeline is still tripped")
	}
}

// However many next hops there are, few have numbers of their own, and those are
// the ones with much mail.
func TestNextHopsAreFew(t *testing.T) {
	s := New("v1")
	var states []NextHopState
	s.WatchQueue(func() (QueueState, error) {
		return QueueState{NextHops: states, Messages: map[string]int{"waiting": 5000}}, nil
	})
	for i := range 1000 {
		states = append(states, NextHopState{Lane: fmt.Sprintf("d%d.example", i), Messages: 1})
		s.Queue().Tried(fmt.Sprintf("d%d.example", i), mail.Deferred, time.Second)
	}
	for range 30 {
		s.Queue().Tried("busy.example", mail.Relayed, time.Second)
		s.Queue().Tried("", mail.Delivered, time.Second)
	}
	for i := range 100 {
		for range 20 {
			s.Queue().Tried(fmt.Sprintf("often%d.example", i), mail.Relayed, time.Second)
		}
	}
	got := read(t, s)
	for _, want := range []string{
		`mta_next_hop_attempts_total{next_hop="busy.example",outcome="relayed"} 11`,
		`mta_next_hop_attempts_total{next_hop="local",outcome="delivered"} 30`,
		`mta_next_hop_attempts_total{next_hop="other",outcome="deferred"} 1000`,
		`mta_next_hop_messages{next_hop="other"} 4950`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	if n := strings.Count(got, "mta_next_hop_attempts_total{"); n > maxNextHops+3 {
		t.Errorf("%d series", n)
	}
}
