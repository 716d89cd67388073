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
	"github.com/wasmta/wasmta/mta/internal/standing"
)

// A Queue is what an operator can do with queued mail; [*queue.Queue] is one,
// and says what each method promises.
type Queue interface {
	List(ctx context.Context, f queue.Filter, after mail.QueueID, max int) ([]*queue.Entry, error)
	Show(ctx context.Context, id mail.QueueID) (*queue.Entry, error)
	Content(ctx context.Context, id mail.QueueID) (mail.Content, error)
	Stats(ctx context.Context) (queue.Stats, error)
	Lacks() string
	Operate(ctx context.Context, o queue.Order) (queue.Change, error)
	Survey(ctx context.Context, f queue.Filter, by queue.Grouping, max int) (*queue.Survey, error)
	Lanes() []queue.LaneStatus
	LanesOf(e *queue.Entry) []string
}

// Standing is what an operator can do about mail yet to come;
// [*standing.Orders] is one, and says what each method promises.
type Standing interface {
	Rules() []standing.Rule
	AddRule(ctx context.Context, r standing.Rule) (standing.Rule, error)
	RemoveRule(ctx context.Context, name string) (standing.Rule, error)
	Suppressions() []standing.Suppression
	Suppress(ctx context.Context, s standing.Suppression) (standing.Suppression, error)
	Allow(ctx context.Context, address string) (standing.Suppression, error)
}

// An Observer counts.
type Observer interface {
	Operated(action string, messages int) // one thing that an operator did; action is one of a few words
}

// ErrNotFound is the answer about a message that is not in the queue.
var ErrNotFound = errors.New("not in the queue")

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
	Version  string    `json:"version" doc:"Of the server."`
	Go       string    `json:"go" doc:"What it was compiled by."`
	ABI      string    `json:"abi" doc:"Of plugins."`
	Hostname string    `json:"hostname" doc:"Its name."`
	Pipeline string    `json:"pipeline" doc:"Its pipeline file."`
	PID      int       `json:"pid" doc:"Its process."`
	Since    time.Time `json:"since" doc:"When it was started."`
	State    string    `json:"state" enum:"serving,draining" doc:"Whether it takes new sessions."`
}

// The states of a server.
const (
	Serving  = "serving"
	Draining = "draining"
)

// A Server answers operators. Its fields do not change once it is in use. Safe
// for concurrent use.
type Server struct {
	About    About // State is filled in
	Queue    Queue
	Standing Standing
	Reload   func(ctx context.Context) error     // the text of the error is for the operator; may have lines
	Status   func() Status                       // nil: an empty one
	Metrics  func(log *slog.Logger) http.Handler // nil: none
	Log      *slog.Logger
	Observer Observer // may be nil

	// Tokens are those that let operators in from elsewhere, at the public
	// listeners; nil, or none: nobody comes in there. Verify compares one with a
	// hash that is not sha256; nil: none fits.
	Tokens func() []Token
	Verify func(hash, token string) bool

	Now func() time.Time // nil: time.Now

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
