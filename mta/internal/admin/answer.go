package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/standing"
)

// A problemError is answered with its status and its text.
type problemError struct {
	status int
	text   string
}

func (e *problemError) Error() string { return e.text }

// statuses are the answers to errors of those that are asked. Any other is 500.
var statuses = []struct {
	err    error
	status int
}{
	{queue.ErrNotFound, http.StatusNotFound},
	{standing.ErrNotFound, http.StatusNotFound},
	{standing.ErrExists, http.StatusConflict},
	{standing.ErrInvalid, http.StatusUnprocessableEntity},
	{standing.ErrFull, http.StatusUnprocessableEntity},
	{queue.ErrAway, http.StatusServiceUnavailable},
	{context.DeadlineExceeded, http.StatusServiceUnavailable},
}

// fail answers with a problem.
func (s *Server) fail(w http.ResponseWriter, err error) {
	p := Problem{Status: http.StatusInternalServerError, Detail: err.Error()}
	if own, ok := errors.AsType[*problemError](err); ok {
		p.Status = own.status
	} else {
		for _, known := range statuses {
			if errors.Is(err, known.err) {
				p.Status = known.status
				break
			}
		}
	}
	if errors.Is(err, queue.ErrNotFound) {
		p.Detail = ErrNotFound.Error()
	}
	if p.Status == http.StatusInternalServerError {
		s.log().Warn("operator", "err", err)
	}
	p.Title = http.StatusText(p.Status)
	s.write(w, p.Status, mediaProblem, p)
}

// answer answers 200.
func (s *Server) answer(w http.ResponseWriter, body any) error {
	s.write(w, http.StatusOK, mediaJSON, body)
	return nil
}

func (s *Server) write(w http.ResponseWriter, status int, media string, body any) {
	// The answer may come late; its own time begins now.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	s.gone(json.NewEncoder(w).Encode(body))
}

// gone notes that a client did not wait for its answer.
func (s *Server) gone(err error) {
	if err != nil {
		s.log().Debug("answer to the operator", "err", err)
	}
}

// unhurried gives a request that was read more time than the public page has:
// net/http takes the end of the time for reading as the client's end.
func unhurried(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	// A writer that knows no deadlines has none to move.
	_ = c.SetReadDeadline(time.Time{})
	_ = c.SetWriteDeadline(time.Now().Add(longTimeout))
}

// A lineWriter answers with one JSON value a line. Each batch of lines has as
// much time as one answer.
type lineWriter struct {
	s   *Server
	w   http.ResponseWriter
	out *json.Encoder
	n   int
}

func (s *Server) lines(w http.ResponseWriter) *lineWriter {
	unhurried(w)
	w.Header().Set("Content-Type", mediaLines)
	return &lineWriter{s: s, w: w, out: json.NewEncoder(w)}
}

// write tells whether the client is still there.
func (l *lineWriter) write(v any) bool {
	if l.n%listPage == 0 {
		_ = http.NewResponseController(l.w).SetWriteDeadline(time.Now().Add(longTimeout))
	}
	l.n++
	err := l.out.Encode(v)
	l.s.gone(err)
	return err == nil
}

// lacks ends the list with what it is without.
func (l *lineWriter) lacks(part string) {
	if part != "" {
		l.write(StreamNote{part})
	}
}

// broken ends the list with an error.
func (l *lineWriter) broken(err error) {
	l.s.log().Warn("list for the operator", "err", err)
	l.write(StreamError{err.Error()})
}
