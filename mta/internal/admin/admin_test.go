package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmta/wasmta/mta/internal/kv"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/standing"
)

var (
	_ Queue    = (*queue.Queue)(nil)
	_ Standing = (*standing.Orders)(nil)
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// memoryQueue is a queue of a few entries. With broken set, reading it fails
// after the first.
type memoryQueue struct {
	entries []*queue.Entry
	changed []mail.QueueID
	orders  []queue.Order
	lanes   []queue.LaneStatus
	broken  error
	lacks   string
}

func (q *memoryQueue) Lacks() string { return q.lacks }

func (q *memoryQueue) List(_ context.Context, f queue.Filter, after mail.QueueID, max int) (page []*queue.Entry, err error) {
	for _, e := range q.entries {
		if e.ID <= after || !f.Match(e, noon) {
			continue
		}
		if len(page) == max {
			break
		}
		page = append(page, e)
	}
	return page, q.broken
}

func (q *memoryQueue) Show(_ context.Context, id mail.QueueID) (*queue.Entry, error) {
	for _, e := range q.entries {
		if e.ID == id {
			return e, nil
		}
	}
	return nil, fmt.Errorf("look up: %w", queue.ErrNotFound)
}

func (q *memoryQueue) Content(ctx context.Context, id mail.QueueID) (mail.Content, error) {
	if _, err := q.Show(ctx, id); err != nil {
		return nil, err
	}
	return mail.Bytes("Subject: crêpes\r\n\r\n" + string(id) + "\r\n"), nil
}

func (q *memoryQueue) Stats(context.Context) (s queue.Stats, err error) {
	for _, e := range q.entries {
		switch e.State(noon) {
		case queue.Waiting:
			s.Waiting++
		case queue.Active:
			s.Active++
		case queue.Held:
			s.Held++
		}
		if s.Oldest.IsZero() || e.Received.Before(s.Oldest) {
			s.Oldest = e.Received
		}
	}
	return s, q.broken
}

func (q *memoryQueue) Operate(ctx context.Context, o queue.Order) (queue.Change, error) {
	q.orders = append(q.orders, o)
	c := queue.Change{Failed: map[mail.QueueID]error{}}
	for _, id := range o.Filter.IDs {
		if e, err := q.Show(ctx, id); err != nil {
			c.Failed[id] = err
		} else if e.State(noon) == queue.Active {
			c.Failed[id] = queue.ErrActive
		}
	}
	q.entries = slices.DeleteFunc(q.entries, func(e *queue.Entry) bool {
		if !o.Filter.Match(e, noon) {
			return false
		}
		if e.State(noon) == queue.Active {
			c.Active++
			return false
		}
		c.Changed++
		q.changed = append(q.changed, e.ID)
		return o.Do == queue.Drop || o.Do == queue.Bounce
	})
	return c, q.broken
}

// listStore is the part of a store that a survey needs.
type listStore struct {
	queue.Store
	q *memoryQueue
}

func (s listStore) List(ctx context.Context, _ time.Time, f queue.Filter, after mail.QueueID, max int) ([]*queue.Entry, error) {
	return s.q.List(ctx, f, after, max)
}

func (q *memoryQueue) Survey(ctx context.Context, f queue.Filter, by queue.Grouping, max int) (*queue.Survey, error) {
	return (&queue.Queue{Store: listStore{q: q}}).Survey(ctx, f, by, max)
}

func (q *memoryQueue) Lanes() []queue.LaneStatus { return q.lanes }

func (q *memoryQueue) LanesOf(e *queue.Entry) []string { return []string{e.Lane} }

func path(s string) mail.Path {
	p, err := mail.ParsePath(s)
	if err != nil {
		panic(err)
	}
	return p
}

func envelope(from string, to ...string) mail.Envelope {
	e := mail.Envelope{ReversePath: path(from)}
	for _, rcpt := range to {
		e.Recipients = append(e.Recipients, mail.Recipient{Path: path(rcpt), Original: path(rcpt)})
	}
	return e
}

func threeMessages() *memoryQueue {
	return &memoryQueue{entries: []*queue.Entry{
		{ID: "A1", Received: noon.Add(-3 * time.Hour), Size: 4096, Envelope: envelope("alice@crepes.fr", "bob@hamburger.edu", "carol@pizza.it"), Attempts: 4, Due: noon.Add(time.Hour),
			Last: []queue.Attempt{{At: noon.Add(-time.Hour), NextHop: "mx.hamburger.edu:25", Code: 451, Enh: "4.3.0", Text: "Try again", Peer: true}}},
		{ID: "B2", Received: noon.Add(-2 * time.Hour), Size: 100, Envelope: envelope("", "dave@hamburger.edu"), Held: "looks like spam"},
		{ID: "C3", Received: noon.Add(-time.Minute), Size: 5 << 20, Envelope: envelope("erin@pizza.it", "bob@hamburger.edu"), Lease: queue.Lease{Token: 1, Until: noon.Add(time.Minute)}},
	}}
}

// newOrders are standing orders in memory.
func newOrders() *standing.Orders {
	return &standing.Orders{KV: kv.NewMemory(kv.Options{}).Space(standing.Space), Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon }}
}

func newServer(q Queue) *Server {
	return &Server{
		About: About{Version: "v1.2.3", Hostname: "hamburger.edu", Since: noon.Add(-90 * time.Minute), PID: 42},
		Queue: q, Standing: newOrders(), Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon },
		Reload: func(context.Context) error { return nil },
		Status: func() Status {
			return Status{Stages: 3, Listeners: []Listener{{"smtp", "127.0.0.1:2525", false}, {"imaps", "127.0.0.1:2993", true}}}
		},
	}
}

// serve runs s on the socket of a new state folder and returns its client.
func serve(t *testing.T, s *Server) *Client {
	t.Helper()
	state := t.TempDir()
	l, err := ListenSocket(state)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l, s.Operator()) }()
	c := Connect(state, "mta --pipeline pipeline.yaml")
	c.http.Transport = valid{t, c.http.Transport}
	t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error("serve:", err)
		}
	})
	return c
}

func ids(t *testing.T, c *Client, f queue.Filter, limit int) (ids []mail.QueueID) {
	t.Helper()
	for m, err := range c.Messages(t.Context(), f, limit) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.ID)
	}
	return ids
}

func TestTheQueueIsListedByFilter(t *testing.T) {
	c := serve(t, newServer(threeMessages()))
	tests := []struct {
		name  string
		f     queue.Filter
		limit int
		want  []mail.QueueID
	}{
		{"everything", queue.Filter{}, 0, []mail.QueueID{"A1", "B2", "C3"}},
		{"one at most", queue.Filter{}, 1, []mail.QueueID{"A1"}},
		{"the null reverse-path", queue.Filter{From: "<>"}, 0, []mail.QueueID{"B2"}},
		{"to any recipient", queue.Filter{To: "bob@*"}, 0, []mail.QueueID{"A1", "C3"}},
		{"state", queue.Filter{State: queue.Active}, 0, []mail.QueueID{"C3"}},
		{"received before", queue.Filter{Before: noon.Add(-time.Hour)}, 0, []mail.QueueID{"A1", "B2"}},
		{"by name", queue.Filter{IDs: []mail.QueueID{"C3", "Z9"}}, 5, []mail.QueueID{"C3"}},
		{"nothing", queue.Filter{Reason: "no such"}, 0, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, ids(t, c, test.f, test.limit)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// While a part of the queue cannot be asked each answer about more than one
// message says so.
func TestAnswersSayWhatTheyLack(t *testing.T) {
	q := threeMessages()
	q.lacks = "what is in Redis"
	c := serve(t, newServer(q))
	for limit, want := range map[int]int{0: 3, 1: 1} {
		var n int
		var last error
		for _, err := range c.Messages(t.Context(), queue.Filter{}, limit) {
			if last = err; err == nil {
				n++
			}
		}
		lacks, ok := errors.AsType[*LacksError](last)
		if n != want || !ok || lacks.Part != q.lacks {
			t.Errorf("limit %d: a list of %d that ended with %v", limit, n, last)
		}
	}
	if st, err := c.Stats(t.Context(), queue.Filter{}, queue.ByDomain, 5); err != nil || st.Lacks != q.lacks {
		t.Errorf("statistics: %q, %v", st.Lacks, err)
	}
	if done, err := c.Operate(t.Context(), queue.Order{Do: queue.Hold, Filter: queue.Filter{Domain: "pizza.it"}}); err != nil || done.Lacks != q.lacks {
		t.Errorf("an order: %q, %v", done.Lacks, err)
	}
	q.broken = fmt.Errorf("redis: %w", queue.ErrAway)
	_, err := c.Stats(t.Context(), queue.Filter{}, queue.ByDomain, 5)
	if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Code != http.StatusServiceUnavailable {
		t.Errorf("what can be asked again later: %v", err)
	}
}

func TestALongListComesInFull(t *testing.T) {
	q := &memoryQueue{}
	for range 2*listPage + 1 {
		q.entries = append(q.entries, &queue.Entry{ID: mail.NewQueueID(noon)})
	}
	slices.SortFunc(q.entries, func(a, b *queue.Entry) int { return strings.Compare(string(a.ID), string(b.ID)) })
	c := serve(t, newServer(q))
	for _, limit := range []int{0, listPage, listPage + 1, 3 * listPage} {
		want := len(q.entries)
		if limit > 0 {
			want = min(want, limit)
		}
		if got := ids(t, c, queue.Filter{}, limit); len(got) != want {
			t.Errorf("limit %d: %d messages, want %d", limit, len(got), want)
		}
	}
}

func TestAMessageArrivesAsItWasSent(t *testing.T) {
	q := threeMessages()
	c := serve(t, newServer(q))
	got, err := c.Message(t.Context(), "A1")
	if err != nil {
		t.Fatal(err)
	}
	want := Message{
		QueueName: "deferred", ID: "A1", ArrivalTime: noon.Add(-3 * time.Hour).Unix(), MessageSize: 4096, Sender: "alice@crepes.fr",
		State: queue.Waiting, Received: noon.Add(-3 * time.Hour), ReversePath: path("alice@crepes.fr"), Attempts: 4, NextTry: noon.Add(time.Hour),
		WaitingReason: "its next attempt is due in 1h",
		Recipients: []Recipient{
			{Address: path("bob@hamburger.edu"), Original: path("bob@hamburger.edu"), At: noon.Add(-time.Hour), NextHop: "mx.hamburger.edu:25", DelayReason: "451 4.3.0 Try again"},
			{Address: path("carol@pizza.it"), Original: path("carol@pizza.it")},
		},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var content strings.Builder
	if err := c.Content(t.Context(), "B2", &content); err != nil || content.String() != "Subject: crêpes\r\n\r\nB2\r\n" {
		t.Errorf("content %q, %v", content.String(), err)
	}
}

func TestWhatIsNotInTheQueueIsNotFound(t *testing.T) {
	c := serve(t, newServer(threeMessages()))
	for _, id := range []mail.QueueID{"Z9", "../about", "a/b", "%2e", "retry"} {
		if _, err := c.Message(t.Context(), id); !errors.Is(err, ErrNotFound) {
			t.Errorf("message %q: %v", id, err)
		}
		if err := c.Content(t.Context(), id, io.Discard); !errors.Is(err, ErrNotFound) {
			t.Errorf("content %q: %v", id, err)
		}
	}
}

func TestMessagesAreRetriedAndDropped(t *testing.T) {
	q := threeMessages()
	c := serve(t, newServer(q))
	got, err := c.Operate(t.Context(), queue.Order{Do: queue.Retry, Filter: queue.Filter{IDs: []mail.QueueID{"A1", "Z9", "C3"}}})
	want := Change{Changed: 1, Active: 1, Failed: map[mail.QueueID]string{"Z9": "not in the queue", "C3": queue.ErrActive.Error()}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if !slices.Equal(q.changed, []mail.QueueID{"A1"}) {
		t.Errorf("retried %v", q.changed)
	}
	if me, err := user.Current(); err == nil && runtime.GOOS == "linux" && q.orders[0].Who != me.Username {
		t.Errorf("retried by %q, want %q", q.orders[0].Who, me.Username)
	}
	if got, err := c.Operate(t.Context(), queue.Order{Do: queue.Drop, Filter: queue.Filter{IDs: []mail.QueueID{"Z9"}}}); err != nil || got.Changed != 0 || len(q.entries) != 3 {
		t.Errorf("dropped what is not there: %+v, %v", got, err)
	}
	if got, err := c.Operate(t.Context(), queue.Order{Do: queue.Drop, Filter: queue.Filter{To: "dave@*"}}); err != nil || got.Changed != 1 {
		t.Errorf("dropped %+v, %v", got, err)
	}
	if got := ids(t, c, queue.Filter{}, 0); !slices.Equal(got, []mail.QueueID{"A1", "C3"}) {
		t.Errorf("left %v", got)
	}
}

func TestManyMessagesAreChangedInSeveralRequests(t *testing.T) {
	q := &memoryQueue{}
	many := make([]mail.QueueID, 2*maxIDs+1)
	for i := range many {
		many[i] = mail.NewQueueID(noon)
		q.entries = append(q.entries, &queue.Entry{ID: many[i]})
	}
	c := serve(t, newServer(q))
	if got, err := c.Operate(t.Context(), queue.Order{Do: queue.Drop, Filter: queue.Filter{IDs: many}}); err != nil || got.Changed != len(many) || len(q.entries) != 0 {
		t.Errorf("%d changed, %d left, %v", got.Changed, len(q.entries), err)
	}
}

func TestAQueueThatCannotBeReadSaysSo(t *testing.T) {
	q := threeMessages()
	q.broken = errors.New("read index: input/output error")
	c := serve(t, newServer(q))
	for m, err := range c.Messages(t.Context(), queue.Filter{}, 0) {
		if err == nil || err.Error() != q.broken.Error() {
			t.Errorf("got %v, %v", m, err)
		}
	}
	if _, err := c.Operate(t.Context(), queue.Order{Do: queue.Drop, Filter: queue.Filter{}}); err == nil || err.Error() != q.broken.Error()+"; 2 messages were changed before" {
		t.Errorf("drop: %v", err)
	}
}

func TestAReloadThatIsRefusedSaysWhy(t *testing.T) {
	s := newServer(threeMessages())
	c := serve(t, s)
	if err := c.Reload(t.Context()); err != nil {
		t.Error(err)
	}
	s2 := newServer(threeMessages())
	findings := "pipeline.yaml:7:14: no unit\npipeline.yaml:9:5: unknown key"
	s2.Reload = func(context.Context) error { return errors.New(findings) }
	if err := serve(t, s2).Reload(t.Context()); err == nil || err.Error() != findings {
		t.Errorf("got %v", err)
	}
}

func TestAboutTellsWhatRuns(t *testing.T) {
	s := newServer(threeMessages())
	c := serve(t, s)
	want := s.About
	want.State = Serving
	got, err := c.About(t.Context())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	s.Drain()
	if got, err := c.About(t.Context()); err != nil || got.State != Draining {
		t.Errorf("draining: %+v, %v", got, err)
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	q := threeMessages()
	h := newServer(q).Operator()
	for _, test := range []struct {
		method, target, body string
		want                 int
		text                 string // a part of what is said
	}{
		{"POST", "/v1/queue/drop", "", 400, "it is empty"},
		{"POST", "/v1/queue/drop", `{"filter":{"ids":["` + strings.Repeat("A", maxBody) + `"]}}`, 413, "octets"},
		{"POST", "/v1/queue/drop", `{"filter":{"ids":["A"` + strings.Repeat(`,"A"`, maxIDs) + `]}}`, 422, "filter.ids has over 1000 values"},
		{"POST", "/v1/queue/drop", `{}`, 422, "say which messages"},
		{"POST", "/v1/queue/drop", `{"filter":{}}`, 422, "say which messages"},
		{"POST", "/v1/queue/drop", `{"filter":{"from":"a@*"},"all":true}`, 422, "no filter"},
		{"POST", "/v1/queue/drop", `{"fliter":{"from":"a@*"}}`, 400, `unknown field "fliter"`},
		{"POST", "/v1/queue/drop", `{"filter":{"domian":"a"}}`, 400, "domian"},
		{"POST", "/v1/queue/drop", `{"all":"yes"}`, 400, `"all" is not what it has to be`},
		{"POST", "/v1/queue/drop", `{"all":true}{"all":true}`, 400, "more than one"},
		{"POST", "/v1/queue/drop", `[]`, 400, "not what"},
		{"POST", "/v1/queue/drop", `{"filter":{"state":"gone"}}`, 422, "filter.state is none of waiting, active, held"},
		{"POST", "/v1/queue/drop", `{"filter":{"to":"` + strings.Repeat("a", 321) + `"}}`, 422, "filter.to has over 320 octets"},
		{"POST", "/v1/queue/drop?all=true", `{"all":true}`, 400, `no parameter "all"`},
		{"POST", "/v1/queue/hold", `{"all":true,"reason":"` + strings.Repeat("a", 201) + `"}`, 422, "reason has over 200 octets"},
		{"POST", "/v1/queue/reroute", `{"all":true}`, 422, "next_hop"},
		{"POST", "/v1/queue/reroute", `{"all":true,"next_hop":"smtps://host"}`, 422, "smtp://host:port"},
		{"POST", "/v1/queue/reroute", `{"all":true,"next_hop":"smtp://user:secret@host"}`, 422, "no user here"},
		{"GET", "/v1/queue/messages?limit=x", "", 400, "parameter limit: is no whole number"},
		{"GET", "/v1/queue/messages?limit=-1", "", 400, "parameter limit"},
		{"GET", "/v1/queue/messages?from=a&from=b", "", 400, "more than once"},
		{"GET", "/v1/queue/messages?before=yesterday", "", 400, "2026-11-25T12:00:00Z"},
		{"GET", "/v1/queue/messages?form=a", "", 400, `no parameter "form"`},
		{"GET", "/v1/queue/messages?%zz", "", 400, "cannot be read"},
		{"GET", "/v1/queue/stats?by=colour", "", 422, "by is none of"},
		{"GET", "/v1/queue/stats?limit=10001", "", 422, "limit is over 10000"},
		{"PUT", "/v1/queue/rules/a", `{}`, 422, "needs a sender"},
		{"PUT", "/v1/queue/rules/A%20b", `{"domain":"a"}`, 422, "the name"},
		{"PUT", "/v1/queue/suppressions/no%20address", `{}`, 422, "neither an address nor a domain"},
		{"DELETE", "/v1/queue/rules/a", "", 404, "no such order"},
		{"GET", "/v1/queue/drop", "", 405, "POST"},
		{"DELETE", "/v1/queue/messages/A1", "", 405, "GET"},
		{"GET", "/", "", 404, "/v1/openapi.json"},
		{"GET", "/metrics", "", 404, "no such thing"},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(test.method, test.target, strings.NewReader(test.body))
		r.Header.Set("Content-Type", mediaJSON)
		h.ServeHTTP(w, r)
		var p Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Header().Get("Content-Type") != mediaProblem || p.Status != w.Code || p.Title == "" {
			t.Errorf("%s %s: no problem but %s %v", test.method, test.target, w.Body, w.Header())
		}
		if w.Code != test.want || !strings.Contains(p.Detail, test.text) {
			t.Errorf("%s %s: %d %q, want %d %q", test.method, test.target, w.Code, p.Detail, test.want, test.text)
		}
		if test.want != 405 && r.URL.Path != "/" && r.URL.Path != "/metrics" {
			valid{t: t}.check(r, w.Code, w.Header(), w.Body.Bytes())
		}
	}
	if len(q.orders) != 0 {
		t.Errorf("something was done: %+v", q.orders)
	}
}

func TestWithoutAServerTheErrorSaysHowToStartOne(t *testing.T) {
	state := filepath.Join(t.TempDir(), "var")
	_, err := Connect(state, "mta --pipeline pipeline.yaml").About(t.Context())
	want := "no server is running on state " + state + " (" + state + "/admin.sock): start it with `mta --pipeline pipeline.yaml`"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// leaveStale leaves a socket that nobody listens on.
func leaveStale(t *testing.T, state string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(state, SocketName), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestTheSocketIsPrivateAndGoesAway(t *testing.T) {
	for _, name := range []string{"first", "after a crash"} {
		t.Run(name, func(t *testing.T) {
			state := t.TempDir()
			if name != "first" {
				leaveStale(t, state)
				if _, err := Connect(state, "mta").About(t.Context()); err == nil || !strings.Contains(err.Error(), "no server is running") {
					t.Errorf("a stale socket: %v", err)
				}
			}
			l, err := ListenSocket(state)
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(filepath.Join(state, SocketName))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info, err)
			}
			if _, err := ListenSocket(state); err == nil || !strings.Contains(err.Error(), "another server is running") {
				t.Errorf("a second server: %v", err)
			}
			l.Close()
			if left, _ := os.ReadDir(state); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestALongPathIsNoObstacle(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("no /proc")
	}
	state := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := ListenSocket(state)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := dialSocket(filepath.Join(state, SocketName), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func get(t *testing.T, s *Server, target string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	s.Public().ServeHTTP(w, httptest.NewRequest("GET", target, nil))
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHealthIsThatOfNewSessions(t *testing.T) {
	s := newServer(threeMessages())
	if r := get(t, s, "/healthz"); r.StatusCode != 200 || body(t, r) != "serving\n" {
		t.Errorf("serving: %d", r.StatusCode)
	}
	s.Drain()
	if r := get(t, s, "/healthz"); r.StatusCode != 503 || body(t, r) != "draining\n" {
		t.Errorf("draining: %d", r.StatusCode)
	}
}

func TestThePageShowsNumbersAndNobodysMail(t *testing.T) {
	s := newServer(threeMessages())
	r := get(t, s, "/")
	text := body(t, r)
	for _, want := range []string{"hamburger.edu", "serving", "1h", "127.0.0.1:2525", "held", "has waited for 3h", "3 stages"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	for _, private := range []string{"alice", "bob", "A1", "spam", "42"} {
		if strings.Contains(text, private) {
			t.Errorf("%q is on the public page", private)
		}
	}
	for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Cache-Control"} {
		if r.Header.Get(name) == "" {
			t.Errorf("no %s", name)
		}
	}
}

func TestThePageOfABrokenQueueSaysSo(t *testing.T) {
	q := threeMessages()
	q.broken = errors.New("read /var/lib/mta/queue: input/output error")
	text := body(t, get(t, newServer(q), "/"))
	if !strings.Contains(text, "cannot be read") || strings.Contains(text, "/var/lib") {
		t.Error(text)
	}
}

func TestWhatIsNotPublicIsNotThere(t *testing.T) {
	s := newServer(threeMessages())
	for _, target := range []string{"/v1/queue", "/v1/about", "/v1/queue/A1/content", "/metrics", "/debug/pprof/", "/index.html", "/../etc/passwd"} {
		if r := get(t, s, target); r.StatusCode != 404 && r.StatusCode != 307 {
			t.Errorf("%s: %d", target, r.StatusCode)
		}
	}
	s.Metrics = func(*slog.Logger) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "mta_build_info 1\n") })
	}
	if r := get(t, s, "/metrics"); r.StatusCode != 200 {
		t.Errorf("metrics: %d", r.StatusCode)
	}
}

func TestServingEndsWithItsContext(t *testing.T) {
	s := newServer(threeMessages())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l, s.Public()) }()
	r, err := http.Get("http://" + l.Addr().String() + "/healthz")
	if err != nil || r.StatusCode != 200 {
		t.Fatal(r, err)
	}
	r.Body.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
		conn.Close()
		t.Error("still listening")
	}
}
