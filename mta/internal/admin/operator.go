package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/pprof"
	"slices"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// Bounds of one request about the queue.
const (
	maxIDs        = 1000 // that it names; the command line sends more in several
	listPage      = 500  // messages read from the queue at a time
	defaultGroups = 20   // of statistics
	actionTimeout = time.Hour
)

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

func (s *Server) serveAbout(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r); err != nil {
		return err
	}
	about := s.About
	about.State = s.state()
	return s.answer(w, about)
}

func (s *Server) serveReload(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r); err != nil {
		return err
	}
	unhurried(w)
	s.log().Info("reload asked for", "who", who(r.Context()))
	if err := s.Reload(r.Context()); err != nil {
		return &problemError{http.StatusUnprocessableEntity, err.Error()}
	}
	return s.answer(w, Nothing{})
}

// A listQuery has the parameters of a list.
type listQuery struct {
	Filter
	Limit int `json:"limit,omitempty" doc:"That many messages at most; left out: all."`
}

func (s *Server) serveList(w http.ResponseWriter, r *http.Request) error {
	var q listQuery
	if err := readQuery(r, &q); err != nil {
		return err
	}
	out := s.lines(w)
	var after mail.QueueID
	var lacks string
	for left := cmp.Or(q.Limit, -1); left != 0; {
		size := listPage
		if left > 0 {
			size = min(size, left)
		}
		page, err := s.Queue.List(r.Context(), q.queue(), after, size)
		if err != nil {
			out.broken(err)
			return nil
		}
		lacks = cmp.Or(lacks, s.Queue.Lacks())
		for _, e := range page {
			if !out.write(newMessage(e, s.now())) {
				return nil
			}
			after = e.ID
		}
		if len(page) < size {
			break
		}
		if left > 0 {
			left -= len(page)
		}
	}
	out.lacks(lacks)
	return nil
}

func (s *Server) serveMessage(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r); err != nil {
		return err
	}
	e, err := s.Queue.Show(r.Context(), mail.QueueID(r.PathValue("id")))
	if err != nil {
		return err
	}
	m := newMessage(e, s.now())
	m.explain(s.lanesOf(e), s.now())
	return s.answer(w, m)
}

// lanesOf are the lanes that a message may wait for.
func (s *Server) lanesOf(e *queue.Entry) []Lane {
	names := s.Queue.LanesOf(e)
	var found []Lane
	for _, l := range s.Queue.Lanes() {
		if slices.Contains(names, l.Lane) {
			found = append(found, newLane(l))
		}
	}
	return found
}

func (s *Server) serveContent(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r); err != nil {
		return err
	}
	content, err := s.Queue.Content(r.Context(), mail.QueueID(r.PathValue("id")))
	if err != nil {
		return err
	}
	from, err := content.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	unhurried(w)
	w.Header().Set("Content-Type", mediaMessage)
	if _, err := io.Copy(w, from); err != nil {
		s.log().Debug("content of a queued message", "queue_id", r.PathValue("id"), "err", err)
		panic(http.ErrAbortHandler) // net/http's way to show the client that this is not all
	}
	return nil
}

// A statsQuery has the parameters of statistics.
type statsQuery struct {
	Filter
	By    queue.Grouping `json:"by,omitempty" enum:"next_hop,domain,sender,reason" doc:"What to group by; left out: next_hop."`
	Limit int            `json:"limit,omitempty" max:"10000" doc:"That many groups at most; left out: 20."`
}

func (s *Server) serveStats(w http.ResponseWriter, r *http.Request) error {
	var q statsQuery
	if err := readQuery(r, &q); err != nil {
		return err
	}
	unhurried(w)
	survey, err := s.Queue.Survey(r.Context(), q.queue(), cmp.Or(q.By, queue.ByNextHop), cmp.Or(q.Limit, defaultGroups))
	if err != nil {
		return err
	}
	answer := newStats(survey, s.Queue.Lanes())
	answer.Lacks = s.Queue.Lacks()
	return s.answer(w, answer)
}

func (s *Server) serveLanes(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r); err != nil {
		return err
	}
	answer := Lanes{Lanes: []Lane{}}
	for _, l := range s.Queue.Lanes() {
		answer.Lanes = append(answer.Lanes, newLane(l))
	}
	return s.answer(w, answer)
}

// serveAction does one thing to the messages that the request chooses.
func (s *Server) serveAction(w http.ResponseWriter, r *http.Request, do queue.Action, read func(*http.Request) (queue.Order, error)) error {
	if err := noQuery(r); err != nil {
		return err
	}
	order, err := read(r)
	if err != nil {
		return err
	}
	unhurried(w)
	ctx, cancel := context.WithTimeout(r.Context(), actionTimeout)
	defer cancel()
	order.Do, order.Who = do, who(r.Context())
	done, err := s.Queue.Operate(ctx, order)
	if s.Observer != nil {
		s.Observer.Operated(string(do), done.Changed)
	}
	if err != nil {
		return fmt.Errorf("%w; %d messages were changed before", err, done.Changed)
	}
	answer := Change{Changed: done.Changed, Active: done.Active, Refused: done.Refused, Failed: map[mail.QueueID]string{}, Lacks: s.Queue.Lacks()}
	for id, why := range done.Failed {
		if errors.Is(why, queue.ErrNotFound) {
			why = ErrNotFound
		}
		answer.Failed[id] = why.Error()
	}
	return s.answer(w, answer)
}

// order is the choice as the queue takes it. All messages have to be asked for
// in so many words.
func (c *Choice) order() (queue.Order, error) {
	f := c.Filter.queue()
	switch {
	case f.IsZero() && !c.All:
		return queue.Order{}, &problemError{http.StatusUnprocessableEntity, `say which messages: a filter, or "all": true`}
	case !f.IsZero() && c.All:
		return queue.Order{}, &problemError{http.StatusUnprocessableEntity, `"all" goes with no filter`}
	}
	return queue.Order{Filter: f}, nil
}

func plainOrder(r *http.Request) (queue.Order, error) {
	var c Choice
	if err := readBody(r, &c); err != nil {
		return queue.Order{}, err
	}
	return c.order()
}

func reasonedOrder(r *http.Request) (queue.Order, error) {
	var c ReasonedChoice
	if err := readBody(r, &c); err != nil {
		return queue.Order{}, err
	}
	o, err := c.order()
	o.Reason = c.Reason
	return o, err
}

// ByRoutes is, in a request, the next hop that is none: where the file says.
const ByRoutes = "routes"

func rerouteOrder(r *http.Request) (queue.Order, error) {
	var c Reroute
	if err := readBody(r, &c); err != nil {
		return queue.Order{}, err
	}
	o, err := c.order()
	if err != nil || c.NextHop == ByRoutes {
		return o, err
	}
	if o.NextHop, err = mail.ParseNextHop(c.NextHop); err != nil {
		return o, &problemError{http.StatusUnprocessableEntity, fmt.Sprintf("next_hop: %v; or write routes", err)}
	}
	return o, nil
}
