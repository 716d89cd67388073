// Package admin is the operator's way in: an API on a socket that only the
// server's user can open, and a public page with health and metrics that shows
// nothing private. What it operates is handed in; it decides nothing itself.
package admin

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// A Queue is what an operator can do with queued mail. Methods that take an ID
// return [ErrNotFound] for one that is not in the queue.
type Queue interface {
	// Messages yields all messages in the order of their IDs.
	Messages(ctx context.Context) iter.Seq2[Message, error]
	Message(ctx context.Context, id mail.QueueID) (Message, error)
	Content(ctx context.Context, id mail.QueueID) (io.ReadCloser, error)
	// Retry makes the next attempt due now. A held message is released.
	Retry(ctx context.Context, id mail.QueueID) error
	// Drop forgets a message without telling anybody.
	Drop(ctx context.Context, id mail.QueueID) error
	Summary(ctx context.Context) (Summary, error)
}

// ErrNotFound is what a Queue answers about a message that it does not have.
var ErrNotFound = errors.New("not in the queue")

// ErrBusy is what a Queue answers about a message that is being attempted now.
var ErrBusy = errors.New("being attempted right now")

// A Summary is the queue in numbers.
type Summary struct {
	Messages map[string]int `json:"messages"`        // by state
	Oldest   time.Time      `json:"oldest,omitzero"` // when the oldest was received; zero: none
}

// A Message is one queued message as an operator sees it.
type Message struct {
	ID          mail.QueueID `json:"queue_id"`
	State       string       `json:"state"` // waiting, active or held
	Received    time.Time    `json:"received"`
	Size        int64        `json:"size"` // octets
	ReversePath mail.Path    `json:"reverse_path"`
	Recipients  []Recipient  `json:"recipients"`
	Attempts    int          `json:"attempts"`
	NextTry     time.Time    `json:"next_try,omitzero"`
	Expires     time.Time    `json:"expires,omitzero"`
	Hold        string       `json:"hold,omitempty"` // why it is held
}

// A Recipient is one forward-path of a queued message.
type Recipient struct {
	Path     mail.Path    `json:"path"`
	Original mail.Path    `json:"original,omitzero"` // as RCPT gave it, if that differs
	Outcome  mail.Outcome `json:"outcome,omitempty"` // of the last attempt; empty: none yet
	NextHop  string       `json:"next_hop,omitempty"`
	Reply    string       `json:"reply,omitempty"` // of the last attempt
}

// Status is what the public page shows.
type Status struct {
	Listeners []Listener
	Stages    int
}

// A Listener is one that is served.
type Listener struct {
	Protocol string
	Address  string
	TLS      bool // from the first octet
}

// About is what `mta version` asks a running server.
type About struct {
	Version  string    `json:"version"`
	Go       string    `json:"go"`
	ABI      string    `json:"abi"`
	Hostname string    `json:"hostname"`
	Pipeline string    `json:"pipeline"` // the file
	PID      int       `json:"pid"`
	Since    time.Time `json:"since"`
	State    string    `json:"state"` // serving or draining
}

// The states of a server.
const (
	Serving  = "serving"
	Draining = "draining"
)

// A Server answers operators. Its fields do not change once it is in use. Safe
// for concurrent use.
type Server struct {
	About   About // State is filled in
	Queue   Queue
	Reload  func(ctx context.Context) error     // the text of the error is for the operator; may have lines
	Status  func() Status                       // nil: an empty one
	Metrics func(log *slog.Logger) http.Handler // nil: none
	Log     *slog.Logger
	Now     func() time.Time // nil: time.Now

	mu       sync.Mutex
	draining bool // guarded by mu
}

// Drain makes /healthz answer 503, so that a load balancer looks elsewhere.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
}

func (s *Server) state() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return Draining
	}
	return Serving
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}
