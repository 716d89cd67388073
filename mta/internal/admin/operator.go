package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// maxIDs is how many messages one request can change; the command line sends
// more in several.
const maxIDs = 1000

// Operator is the handler of the socket: the API of the command line. It is
// for the socket alone, where the file's mode decides who may call it.
func (s *Server) Operator() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/about", s.serveAbout)
	mux.HandleFunc("POST /v1/reload", s.serveReload)
	mux.HandleFunc("GET /v1/queue", s.serveList)
	mux.HandleFunc("GET /v1/queue/{id}", s.serveMessage)
	mux.HandleFunc("GET /v1/queue/{id}/content", s.serveContent)
	mux.HandleFunc("POST /v1/queue/retry", s.change(Queue.Retry))
	mux.HandleFunc("POST /v1/queue/drop", s.change(Queue.Drop))
	return mux
}

// A problem is the body of an answer that is not 200.
type problem struct {
	Error string `json:"error"`
}

func (s *Server) serveAbout(w http.ResponseWriter, _ *http.Request) {
	about := s.About
	about.State = s.state()
	s.answer(w, http.StatusOK, about)
}

func (s *Server) serveReload(w http.ResponseWriter, r *http.Request) {
	if err := s.Reload(r.Context()); err != nil {
		s.answer(w, http.StatusUnprocessableEntity, problem{err.Error()})
		return
	}
	s.answer(w, http.StatusOK, struct{}{})
}

// serveList answers one message a line. An error after the first line is a
// line with "error".
func (s *Server) serveList(w http.ResponseWriter, r *http.Request) {
	f, err := parseFilter(r.URL.Query())
	if err != nil {
		s.answer(w, http.StatusBadRequest, problem{err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	now, n := s.now(), 0
	for m, err := range s.Queue.Messages(r.Context()) {
		if err != nil {
			s.log().Warn("list of the queue", "err", err)
			out.Encode(problem{err.Error()})
			return
		}
		if !f.Match(&m, now) {
			continue
		}
		if out.Encode(m) != nil {
			return // the client has gone
		}
		if n++; n == f.Limit {
			return
		}
	}
}

func (s *Server) serveMessage(w http.ResponseWriter, r *http.Request) {
	m, err := s.Queue.Message(r.Context(), mail.QueueID(r.PathValue("id")))
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, http.StatusOK, m)
}

func (s *Server) serveContent(w http.ResponseWriter, r *http.Request) {
	content, err := s.Queue.Content(r.Context(), mail.QueueID(r.PathValue("id")))
	if err != nil {
		s.fail(w, err)
		return
	}
	defer content.Close()
	w.Header().Set("Content-Type", "message/rfc822")
	if _, err := io.Copy(w, content); err != nil {
		s.log().Debug("content of a queued message", "queue_id", r.PathValue("id"), "err", err)
		panic(http.ErrAbortHandler) // net/http's way to show the client that this is not all
	}
}

// A Change is what became of the messages of one request.
type Change struct {
	Done   []mail.QueueID          `json:"done"`
	Failed map[mail.QueueID]string `json:"failed,omitempty"` // why
}

// change does one thing to each message that the request names.
func (s *Server) change(do func(Queue, context.Context, mail.QueueID) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body struct{ IDs []mail.QueueID }
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&body)
		if err != nil || len(body.IDs) == 0 || len(body.IDs) > maxIDs {
			s.answer(w, http.StatusBadRequest, problem{fmt.Sprintf("name 1 to %d messages", maxIDs)})
			return
		}
		c := Change{Done: []mail.QueueID{}, Failed: map[mail.QueueID]string{}}
		for _, id := range body.IDs {
			if err := do(s.Queue, r.Context(), id); err != nil {
				c.Failed[id] = err.Error()
				continue
			}
			c.Done = append(c.Done, id)
		}
		s.answer(w, http.StatusOK, c)
	}
}

func (s *Server) fail(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	if errors.Is(err, ErrNotFound) {
		code = http.StatusNotFound
	}
	s.answer(w, code, problem{err.Error()})
}

func (s *Server) answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.log().Debug("answer to the operator", "err", err)
	}
}

// A Filter chooses messages. What is empty chooses all.
type Filter struct {
	From   string        // a part of the reverse-path
	To     string        // a part of a forward-path
	Domain string        // of a forward-path
	State  string        // waiting, active or held
	Reason string        // a part of the last reply, or of why it is held
	Older  time.Duration // received at least that long ago
	Limit  int           // how many at most
}

// Match tells whether f chooses m.
func (f *Filter) Match(m *Message, now time.Time) bool {
	return (f.State == "" || f.State == m.State) &&
		contains(m.ReversePath.String(), f.From) &&
		now.Sub(m.Received) >= f.Older &&
		(f.To == "" || m.any(func(r *Recipient) bool { return contains(r.Path.String(), f.To) })) &&
		(f.Domain == "" || m.any(func(r *Recipient) bool { return strings.EqualFold(r.Path.Domain, f.Domain) })) &&
		(contains(m.Hold, f.Reason) || m.any(func(r *Recipient) bool { return contains(r.Reply, f.Reason) }))
}

func (m *Message) any(is func(r *Recipient) bool) bool {
	return slices.ContainsFunc(m.Recipients, func(r Recipient) bool { return is(&r) })
}

func contains(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

// query writes f as the query of a URL.
func (f *Filter) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"from": f.From, "to": f.To, "domain": f.Domain, "state": f.State, "reason": f.Reason} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Older != 0 {
		q.Set("older", f.Older.String())
	}
	if f.Limit != 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	return q
}

func parseFilter(q url.Values) (Filter, error) {
	f := Filter{From: q.Get("from"), To: q.Get("to"), Domain: q.Get("domain"), State: q.Get("state"), Reason: q.Get("reason")}
	var err error
	if older := q.Get("older"); older != "" {
		if f.Older, err = time.ParseDuration(older); err != nil {
			return f, fmt.Errorf("older: %w", err)
		}
	}
	if limit := q.Get("limit"); limit != "" {
		if f.Limit, err = strconv.Atoi(limit); err != nil {
			return f, fmt.Errorf("limit: %w", err)
		}
	}
	return f, nil
}

// stateOrder is the order in which people look at states.
var stateOrder = []string{"waiting", "active", "held"}

func compareState(a, b string) int {
	i, j := slices.Index(stateOrder, a), slices.Index(stateOrder, b)
	if i != j && i >= 0 && j >= 0 {
		return i - j
	}
	return strings.Compare(a, b)
}
