package admin

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// memoryQueue is a queue of a few messages. With broken set, reading it fails
// after the first.
type memoryQueue struct {
	messages []Message
	retried  []mail.QueueID
	broken   error
}

func (q *memoryQueue) Messages(context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for _, m := range q.messages {
			if !yield(m, nil) {
				return
			}
			if q.broken != nil {
				yield(Message{}, q.broken)
				return
			}
		}
	}
}

func (q *memoryQueue) index(id mail.QueueID) (int, error) {
	i := slices.IndexFunc(q.messages, func(m Message) bool { return m.ID == id })
	if i < 0 {
		return 0, ErrNotFound
	}
	return i, nil
}

func (q *memoryQueue) Message(_ context.Context, id mail.QueueID) (Message, error) {
	i, err := q.index(id)
	if err != nil {
		return Message{}, err
	}
	return q.messages[i], nil
}

func (q *memoryQueue) Content(_ context.Context, id mail.QueueID) (io.ReadCloser, error) {
	if _, err := q.index(id); err != nil {
		return nil, err
	}
	return io.NopCloser(strings.NewReader("Subject: crêpes\r\n\r\n" + string(id) + "\r\n")), nil
}

func (q *memoryQueue) Retry(_ context.Context, id mail.QueueID) error {
	i, err := q.index(id)
	if err != nil {
		return err
	}
	if q.messages[i].State == "active" {
		return ErrBusy
	}
	q.retried = append(q.retried, id)
	return nil
}

func (q *memoryQueue) Drop(_ context.Context, id mail.QueueID) error {
	i, err := q.index(id)
	if err != nil {
		return err
	}
	q.messages = slices.Delete(q.messages, i, i+1)
	return nil
}

func (q *memoryQueue) Summary(context.Context) (Summary, error) {
	s := Summary{Messages: map[string]int{}}
	for _, m := range q.messages {
		s.Messages[m.State]++
		if s.Oldest.IsZero() || m.Received.Before(s.Oldest) {
			s.Oldest = m.Received
		}
	}
	return s, q.broken
}

func path(s string) mail.Path {
	p, err := mail.ParsePath(s)
	if err != nil {
		panic(err)
	}
	return p
}

func threeMessages() *memoryQueue {
	return &memoryQueue{messages: []Message{
		{ID: "A1", State: "waiting", Received: noon.Add(-3 * time.Hour), Size: 4096, ReversePath: path("alice@crepes.fr"), Attempts: 4, NextTry: noon.Add(time.Hour),
			Recipients: []Recipient{{Path: path("bob@hamburger.edu"), Outcome: mail.Deferred, NextHop: "mx.hamburger.edu:25", Reply: "451 4.3.0 Try again"}, {Path: path("carol@pizza.it")}}},
		{ID: "B2", State: "held", Received: noon.Add(-2 * time.Hour), Size: 100, ReversePath: mail.Path{}, Recipients: []Recipient{{Path: path("dave@hamburger.edu")}}, Hold: "looks like spam"},
		{ID: "C3", State: "active", Received: noon.Add(-time.Minute), Size: 5 << 20, ReversePath: path("erin@pizza.it"), Recipients: []Recipient{{Path: path("bob@hamburger.edu")}}},
	}}
}

func newServer(q Queue) *Server {
	return &Server{
		About: About{Version: "v1.2.3", Hostname: "hamburger.edu", Since: noon.Add(-90 * time.Minute), PID: 42},
		Queue: q, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon },
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
	t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error("serve:", err)
		}
	})
	return c
}

func ids(t *testing.T, c *Client, f Filter) (ids []mail.QueueID) {
	t.Helper()
	for m, err := range c.Messages(t.Context(), f) {
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
		name string
		f    Filter
		want []mail.QueueID
	}{
		{"everything", Filter{}, []mail.QueueID{"A1", "B2", "C3"}},
		{"one at most", Filter{Limit: 1}, []mail.QueueID{"A1"}},
		{"from", Filter{From: "ALICE@"}, []mail.QueueID{"A1"}},
		{"to any recipient", Filter{To: "bob@"}, []mail.QueueID{"A1", "C3"}},
		{"domain of any recipient", Filter{Domain: "Pizza.it"}, []mail.QueueID{"A1"}},
		{"a part of a domain is none", Filter{Domain: "pizza"}, nil},
		{"state", Filter{State: "held"}, []mail.QueueID{"B2"}},
		{"reason of a deferral", Filter{Reason: "try again"}, []mail.QueueID{"A1"}},
		{"reason of a hold", Filter{Reason: "spam"}, []mail.QueueID{"B2"}},
		{"older", Filter{Older: time.Hour}, []mail.QueueID{"A1", "B2"}},
		{"all at once", Filter{Older: time.Hour, State: "waiting", To: "carol"}, []mail.QueueID{"A1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, ids(t, c, test.f)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAMessageArrivesAsItWasSent(t *testing.T) {
	q := threeMessages()
	c := serve(t, newServer(q))
	got, err := c.Message(t.Context(), "A1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(q.messages[0], got); diff != "" {
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
	got, err := c.Retry(t.Context(), []mail.QueueID{"A1", "Z9", "C3"})
	want := Change{Done: []mail.QueueID{"A1"}, Failed: map[mail.QueueID]string{"Z9": "not in the queue", "C3": "being attempted right now"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if !slices.Equal(q.retried, []mail.QueueID{"A1"}) {
		t.Errorf("retried %v", q.retried)
	}
	if _, err := c.Drop(t.Context(), []mail.QueueID{"B2"}); err != nil {
		t.Fatal(err)
	}
	if got := ids(t, c, Filter{}); !slices.Equal(got, []mail.QueueID{"A1", "C3"}) {
		t.Errorf("left %v", got)
	}
}

func TestManyMessagesAreChangedInSeveralRequests(t *testing.T) {
	q := &memoryQueue{}
	many := make([]mail.QueueID, 2*maxIDs+1)
	for i := range many {
		many[i] = mail.NewQueueID(noon)
		q.messages = append(q.messages, Message{ID: many[i]})
	}
	c := serve(t, newServer(q))
	if got, err := c.Drop(t.Context(), many); err != nil || len(got.Done) != len(many) || len(q.messages) != 0 {
		t.Errorf("%d done, %d left, %v", len(got.Done), len(q.messages), err)
	}
}

func TestAListThatBreaksSaysSo(t *testing.T) {
	q := threeMessages()
	q.broken = errors.New("read index: input/output error")
	c := serve(t, newServer(q))
	var got []mail.QueueID
	var failed error
	for m, err := range c.Messages(t.Context(), Filter{}) {
		if failed = err; err == nil {
			got = append(got, m.ID)
		}
	}
	if len(got) != 1 || failed == nil || failed.Error() != q.broken.Error() {
		t.Errorf("got %v and %v", got, failed)
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
	h := newServer(threeMessages()).Operator()
	for _, test := range []struct {
		method, target, body string
		want                 int
	}{
		{"POST", "/v1/queue/drop", "", 400},
		{"POST", "/v1/queue/drop", `{"ids":[]}`, 400},
		{"POST", "/v1/queue/drop", `{"ids":["` + strings.Repeat("A", maxBody) + `"]}`, 400},
		{"POST", "/v1/queue/drop", `{"ids":["A"` + strings.Repeat(`,"A"`, maxIDs) + `]}`, 400},
		{"GET", "/v1/queue/drop", "", 404},
		{"GET", "/v1/queue?limit=x", "", 400},
		{"GET", "/v1/queue?older=5", "", 400},
		{"DELETE", "/v1/queue/A1", "", 405},
		{"GET", "/", "", 404},
		{"GET", "/metrics", "", 404},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(test.method, test.target, strings.NewReader(test.body)))
		if w.Code != test.want {
			t.Errorf("%s %s: %d, want %d: %s", test.method, test.target, w.Code, test.want, w.Body)
		}
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
