package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// counted are the actions that an Observer heard of.
type counted map[string]int

func (c counted) Operated(action string, messages int) { c[action] += messages }

func TestEveryActionReachesTheQueue(t *testing.T) {
	q := threeMessages()
	s := newServer(q)
	seen := counted{}
	s.Observer = seen
	c := serve(t, s)
	hop := &mail.NextHop{Host: "relay.example.org", Port: 2525, NoMX: true}
	f := queue.Filter{From: "alice@*", To: "*", Domain: "*.edu", Lane: "", Reason: "again", State: queue.Waiting, Before: noon, Larger: 10}
	orders := []queue.Order{
		{Do: queue.Retry, Filter: f}, {Do: queue.Hold, Filter: f, Reason: "why"}, {Do: queue.Release, Filter: queue.Filter{IDs: []mail.QueueID{"A1"}}},
		{Do: queue.Flush}, {Do: queue.Reroute, Filter: f, NextHop: hop}, {Do: queue.Reroute, Filter: f}, {Do: queue.Bounce, Filter: f, Reason: "why"}, {Do: queue.Drop},
	}
	for _, o := range orders {
		if _, err := c.Operate(t.Context(), o); err != nil {
			t.Errorf("%s: %v", o.Do, err)
		}
	}
	for i := range q.orders {
		if q.orders[i].Who == "" {
			t.Errorf("nobody did %+v", q.orders[i])
		}
		q.orders[i].Who = ""
	}
	if diff := cmp.Diff(orders, q.orders); diff != "" {
		t.Errorf("(-sent +arrived):\n%s", diff)
	}
	if len(seen) != 7 {
		t.Errorf("counted %v", seen)
	}
}

func TestStatisticsSayHowNextHopsStand(t *testing.T) {
	q := threeMessages()
	for _, e := range q.entries {
		e.Received, e.Lane = time.Now().Add(noon.Sub(e.Received)*-1), "mx://hamburger.edu"
	}
	q.lanes = []queue.LaneStatus{{Lane: "mx://hamburger.edu", State: queue.LaneDown, Limit: 1, Since: noon.Add(-time.Hour), Until: noon.Add(time.Minute), Reason: "connection refused"}}
	c := serve(t, newServer(q))
	got, err := c.Stats(t.Context(), queue.Filter{}, queue.ByNextHop, 5)
	if err != nil {
		t.Fatal(err)
	}
	if got.Messages != 3 || got.Total.Count != 4 || len(got.Groups) != 1 || got.Groups[0].State != "down" || got.Groups[0].Name != "mx://hamburger.edu" || len(got.Minutes) != 9 || len(got.Total.Ages) != 10 {
		t.Errorf("%+v", got)
	}
	if got, err := c.Stats(t.Context(), queue.Filter{State: queue.Held}, queue.ByReason, 5); err != nil || len(got.Groups) != 1 || got.Groups[0].Name != "held: looks like spam" {
		t.Errorf("%+v, %v", got, err)
	}
	lanes, err := c.Lanes(t.Context())
	if err != nil || len(lanes.Lanes) != 1 || lanes.Lanes[0].Reason != "connection refused" {
		t.Errorf("%+v, %v", lanes, err)
	}
}

func TestAMessageSaysWhyItWaits(t *testing.T) {
	down := queue.LaneStatus{Lane: "mx://hamburger.edu", State: queue.LaneDown, Since: noon.Add(-time.Hour), Until: noon.Add(time.Minute), Reason: "connection refused"}
	full := queue.LaneStatus{Lane: "mx://hamburger.edu", State: queue.LaneOpen, Active: 5, Limit: 5}
	for _, test := range []struct {
		name string
		id   mail.QueueID
		due  time.Duration
		lane *queue.LaneStatus
		want string
	}{
		{"by the schedule", "A1", time.Hour, nil, "its next attempt is due in 1h"},
		{"due", "A1", -time.Hour, nil, "it is due, and has its turn soon"},
		{"the next hop is down", "A1", -time.Hour, &down, "mx://hamburger.edu has been down for 1h, and is tried again in 1m: connection refused"},
		{"the next hop is busy", "A1", -time.Hour, &full, "its next hop has all the sessions that it bears"},
		{"held", "B2", 0, nil, "it is held until an operator decides: looks like spam"},
		{"active", "C3", 0, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := threeMessages()
			for _, e := range q.entries {
				e.Lane, e.Due = "mx://hamburger.edu", noon.Add(test.due)
			}
			if test.lane != nil {
				q.lanes = []queue.LaneStatus{*test.lane}
			}
			m, err := serve(t, newServer(q)).Message(t.Context(), test.id)
			if err != nil || m.WaitingReason != test.want || len(m.Lanes) != len(q.lanes) {
				t.Errorf("%q, %v, want %q", m.WaitingReason, err, test.want)
			}
		})
	}
}

func TestRulesAndSuppressionsComeAndGo(t *testing.T) {
	s := newServer(threeMessages())
	var log bytes.Buffer
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	seen := counted{}
	s.Observer = seen
	c := serve(t, s)
	rule, err := c.AddRule(t.Context(), "lawyer", NewRule{Domain: "example.org", Reason: "wait"})
	if err != nil || rule.Held != "hold rule lawyer: wait" || rule.By == "" || !rule.Since.Equal(noon) {
		t.Errorf("%+v, %v", rule, err)
	}
	if _, err := c.AddRule(t.Context(), "lawyer", NewRule{Domain: "example.org"}); refusedWith(err) != http.StatusConflict {
		t.Errorf("the same again: %v", err)
	}
	if rules, err := c.Rules(t.Context()); err != nil || len(rules.Rules) != 1 || rules.Rules[0] != rule {
		t.Errorf("%+v, %v", rules, err)
	}
	if got, err := c.RemoveRule(t.Context(), "lawyer"); err != nil || got != rule {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := c.RemoveRule(t.Context(), "lawyer"); refusedWith(err) != http.StatusNotFound {
		t.Errorf("again: %v", err)
	}
	for _, address := range []string{"a/b@example.org", "bob@example.org", "pizza.it"} {
		if _, err := c.Suppress(t.Context(), address, NewSuppression{Reason: "asked to", Until: noon.Add(time.Hour)}); err != nil {
			t.Error(err)
		}
	}
	var list []string
	for one, err := range c.Suppressions(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, one.Address)
	}
	if diff := cmp.Diff([]string{"a/b@example.org", "bob@example.org", "pizza.it"}, list); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := c.Allow(t.Context(), "a/b@example.org"); err != nil {
		t.Error(err)
	}
	if _, err := c.Allow(t.Context(), "a/b@example.org"); refusedWith(err) != http.StatusNotFound {
		t.Errorf("again: %v", err)
	}
	if diff := cmp.Diff(counted{"add_rule": 0, "remove_rule": 0, "suppress": 0, "allow": 0}, seen); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	for _, want := range []string{`msg="rule added" rule=lawyer who=`, `msg="rule removed" rule=lawyer who=`, `msg=suppressed address=bob@example.org who=`, `msg="suppression removed" address=a/b@example.org who=`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in\n%s", want, &log)
		}
	}
}

func refusedWith(err error) int {
	r, _ := errors.AsType[*RefusedError](err)
	if r == nil {
		return 0
	}
	return r.Code
}

// TestTheFieldsOfPostqueue holds the names and kinds of postqueue(1), JSON
// OBJECT FORMAT, and that they come first as there.
func TestTheFieldsOfPostqueue(t *testing.T) {
	q := threeMessages()
	q.entries = append(q.entries, &queue.Entry{ID: "D4", Received: noon, Size: 1, Envelope: envelope("alice@crepes.fr", "bob@hamburger.edu")})
	r := httptest.NewRequest("GET", "/v1/queue/messages", nil)
	w := httptest.NewRecorder()
	newServer(q).Operator().ServeHTTP(w, r)
	want := []string{
		`{"queue_name":"deferred","queue_id":"A1","arrival_time":1795510800,"message_size":4096,"forced_expire":false,"sender":"alice@crepes.fr","recipients":[{"address":"bob@hamburger.edu","delay_reason":"451 4.3.0 Try again",`,
		`{"queue_name":"hold","queue_id":"B2","arrival_time":1795514400,"message_size":100,"forced_expire":false,"sender":"MAILER-DAEMON","recipients":[{"address":"dave@hamburger.edu",`,
		`{"queue_name":"active","queue_id":"C3","arrival_time":1795521540,"message_size":5242880,"forced_expire":false,"sender":"erin@pizza.it","recipients":[{"address":"bob@hamburger.edu",`,
		`{"queue_name":"incoming","queue_id":"D4","arrival_time":1795521600,"message_size":1,"forced_expire":false,"sender":"alice@crepes.fr","recipients":[{"address":"bob@hamburger.edu",`,
	}
	got := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
	if len(got) != len(want) {
		t.Fatalf("%d lines:\n%s", len(got), w.Body)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("line %d\ngot  %s\nwant %s…", i, got[i], want[i])
		}
		if !json.Valid([]byte(got[i])) {
			t.Errorf("line %d is no JSON", i)
		}
	}
}
