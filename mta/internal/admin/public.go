package admin

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/wasmta/wasmta/mta/internal/queue"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var pageStyle string

var page = template.Must(template.New("page").Parse(pageSource))

// Public is the handler of the http listeners: the status page, /healthz and
// /metrics, which show no address of a client, no sender and no recipient; and
// the API for those who have a token.
func (s *Server) Public() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.servePage)
	mux.HandleFunc("GET /page.css", serveStyle)
	mux.HandleFunc("GET /healthz", s.serveHealth)
	mux.Handle("/v1/", s.guarded())
	if s.Metrics != nil {
		mux.Handle("GET /metrics", s.Metrics(s.log()))
	}
	return secure(mux)
}

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// secure sets what keeps a browser from doing more than showing the page.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

func serveStyle(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	io.WriteString(w, pageStyle)
}

// serveHealth answers 200 only while new sessions are served.
func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	state := s.state()
	if state != Serving {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprintln(w, state)
}

// A view is what the page shows.
type view struct {
	About
	Status
	Uptime string
	Queue  []count
	Oldest string // age; empty: the queue is empty
	Broken bool   // the queue could not be read
}

type count struct {
	State queue.State
	N     int
}

func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	v := view{About: s.About, Uptime: Age(s.now().Sub(s.About.Since))}
	v.State = s.state()
	if s.Status != nil {
		v.Status = s.Status()
	}
	stats, err := s.Queue.Stats(r.Context())
	if err != nil {
		s.log().Warn("status page", "err", err)
		v.Broken = true
	}
	v.Queue = []count{{queue.Waiting, stats.Waiting}, {queue.Active, stats.Active}, {queue.Held, stats.Held}}
	if !stats.Oldest.IsZero() {
		v.Oldest = Age(s.now().Sub(stats.Oldest))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := page.Execute(w, v); err != nil {
		s.log().Debug("status page", "err", err)
	}
}

// Age writes a duration as people say it: "3m", "2h", "5d".
func Age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(max(d, 0).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
