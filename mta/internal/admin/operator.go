package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// Bounds of one request about the queue.
const (
	maxIDs   = 1000 // that it names; the command line sends more in several
	listPage = 500  // messages read from the queue at a time
)

// Operator is the handler of the socket: the API of the command line. It is
// for the socket alone, where the file's mode decides who may call it.
func (s *Server) Operator() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/about", s.serveAbout)
	mux.HandleFunc("POST /v1/reload", s.serveReload)
	mux.HandleFunc("POST /v1/queue/list", s.serveList)
	mux.HandleFunc("GET /v1/queue/{id}", s.serveMessage)
	mux.HandleFunc("GET /v1/queue/{id}/content", s.serveContent)
	mux.HandleFunc("POST /v1/queue/retry", s.change(queue.Retry))
	mux.HandleFunc("POST /v1/queue/drop", s.change(queue.Drop))
	addProfiles(mux)
	return mux
}

// addProfiles adds the profiles of the Go runtime, for `go tool pprof`.
func addProfiles(mux *http.ServeMux) {
	slow := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			unhurried(w)
			h(w, r)
		}
	}
	mux.HandleFunc("GET /debug/pprof/", slow(pprof.Index))
	mux.HandleFunc("GET /debug/pprof/profile", slow(pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/trace", slow(pprof.Trace))
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

// unhurried gives an answer more time than the public page has.
func unhurried(w http.ResponseWriter) {
	// A writer that knows no deadline has none to extend.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(longTimeout))
}

func (s *Server) serveReload(w http.ResponseWriter, r *http.Request) {
	unhurried(w)
	if err := s.Reload(r.Context()); err != nil {
		s.answer(w, http.StatusUnprocessableEntity, problem{err.Error()})
		return
	}
	s.answer(w, http.StatusOK, struct{}{})
}

// A choice is the body of a request about some messages.
type choice struct {
	Filter queue.Filter
	Limit  int // of a list; zero: none
}

func (s *Server) readChoice(w http.ResponseWriter, r *http.Request) (c choice, ok bool) {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&c)
	if err == nil && len(c.Filter.IDs) > maxIDs {
		err = fmt.Errorf("over %d IDs", maxIDs)
	}
	if err != nil {
		s.answer(w, http.StatusBadRequest, problem{err.Error()})
	}
	return c, err == nil
}

// serveList answers one message a line. An error is a line with "error", and
// the last.
func (s *Server) serveList(w http.ResponseWriter, r *http.Request) {
	c, ok := s.readChoice(w, r)
	if !ok {
		return
	}
	unhurried(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	var after mail.QueueID
	for left := c.Limit; ; {
		max := listPage
		if c.Limit > 0 {
			max = min(max, left)
		}
		page, err := s.Queue.List(r.Context(), c.Filter, after, max)
		if err != nil {
			s.log().Warn("list of the queue", "err", err)
			out.Encode(problem{err.Error()})
			return
		}
		for _, e := range page {
			if out.Encode(newMessage(e, s.now())) != nil {
				return // the client has gone
			}
			after = e.ID
		}
		if left -= len(page); len(page) < max || c.Limit > 0 && left <= 0 {
			return
		}
	}
}

func (s *Server) serveMessage(w http.ResponseWriter, r *http.Request) {
	e, err := s.Queue.Show(r.Context(), mail.QueueID(r.PathValue("id")))
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, http.StatusOK, newMessage(e, s.now()))
}

func (s *Server) serveContent(w http.ResponseWriter, r *http.Request) {
	content, err := s.Queue.Content(r.Context(), mail.QueueID(r.PathValue("id")))
	if err != nil {
		s.fail(w, err)
		return
	}
	from, err := content.Open()
	if err != nil {
		s.fail(w, err)
		return
	}
	defer from.Close()
	unhurried(w)
	w.Header().Set("Content-Type", "message/rfc822")
	if _, err := io.Copy(w, from); err != nil {
		s.log().Debug("content of a queued message", "queue_id", r.PathValue("id"), "err", err)
		panic(http.ErrAbortHandler) // net/http's way to show the client that this is not all
	}
}

// A Change is what became of the messages of one request.
type Change struct {
	Changed int                     `json:"changed"`
	Active  int                     `json:"active,omitempty"` // left alone: an attempt is under way
	Failed  map[mail.QueueID]string `json:"failed,omitempty"` // why, of those that were named
}

// change does one thing to the messages that the request chooses.
func (s *Server) change(do queue.Action) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, ok := s.readChoice(w, r)
		if !ok {
			return
		}
		unhurried(w)
		done, err := s.Queue.Operate(r.Context(), queue.Order{Do: do, Who: peer(r.Context()), Filter: c.Filter})
		if err != nil {
			s.fail(w, err)
			return
		}
		answer := Change{Changed: done.Changed, Active: done.Active, Failed: map[mail.QueueID]string{}}
		for id, why := range done.Failed {
			if errors.Is(why, queue.ErrNotFound) {
				why = ErrNotFound
			}
			answer.Failed[id] = why.Error()
		}
		s.answer(w, http.StatusOK, answer)
	}
}

func (s *Server) fail(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	if errors.Is(err, queue.ErrNotFound) {
		code, err = http.StatusNotFound, ErrNotFound
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
