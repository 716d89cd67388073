// Package admin is the operator's way in: an API on a socket that only the
// server's user can open, and a public page with health and metrics that shows
// nothing private. What it operates is handed in; it decides nothing itself.
package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// A Queue is what an operator can do with queued mail; [*queue.Queue] is one,
// and says what each method promises.
type Queue interface {
	List(ctx context.Context, f queue.Filter, after mail.QueueID, max int) ([]*queue.Entry, error)
	Show(ctx context.Context, id mail.QueueID) (*queue.Entry, error)
	Content(ctx context.Context, id mail.QueueID) (mail.Content, error)
	Stats(ctx context.Context) (queue.Stats, error)
	Operate(ctx context.Context, o queue.Order) (queue.Change, error)
}

// ErrNotFound is the answer about a message that is not in the queue.
var ErrNotFound = errors.New("not in the queue")

// A Message is one queued message as an operator sees it.
type Message struct {
	ID          mail.QueueID `json:"queue_id"`
	State       queue.State  `json:"state"`
	Received    time.Time    `json:"received"`
	Size        int64        `json:"size"` // octets
	Client      mail.Client  `json:"client"`
	ReversePath mail.Path    `json:"reverse_path"`
	Recipients  []Recipient  `json:"recipients"` // those without an outcome
	Done        int          `json:"done"`       // how many have one
	Attempts    int          `json:"attempts"`
	NextTry     time.Time    `json:"next_try,omitzero"` // zero while held
	Held        string       `json:"held,omitempty"`    // why it is held
	Damaged     bool         `json:"damaged,omitempty"` // its record cannot be read
}

// A Recipient is one forward-path of a queued message, with what the last
// attempt said of it.
type Recipient struct {
	Path     mail.Path `json:"path"`
	Original mail.Path `json:"original"` // as RCPT gave it
	At       time.Time `json:"at,omitzero"`
	NextHop  string    `json:"next_hop,omitempty"`
	Reply    string    `json:"reply,omitempty"`
}

func newMessage(e *queue.Entry, now time.Time) Message {
	m := Message{
		ID: e.ID, State: e.State(now), Received: e.Received, Size: e.Size, Client: e.Client,
		ReversePath: e.Envelope.ReversePath, Done: e.Done, Attempts: e.Attempts, Held: e.Held, Damaged: e.Damaged,
	}
	if m.State != queue.Held {
		m.NextTry = e.Due
	}
	for i, rcpt := range e.Envelope.Recipients {
		r := Recipient{Path: rcpt.Path, Original: rcpt.Original, Reply: e.Reply(i)}
		if i < len(e.Last) {
			r.At, r.NextHop = e.Last[i].At, e.Last[i].NextHop
		}
		m.Recipients = append(m.Recipients, r)
	}
	return m
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
