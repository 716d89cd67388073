package admin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Bounds of HTTP. The pages are small and the clients near.
const (
	headerTimeout  = 5 * time.Second  // a request's header section
	readTimeout    = 10 * time.Second // a request
	writeTimeout   = time.Minute      // an answer
	longTimeout    = 10 * time.Minute // an answer to the operator that may be long, or late: a list, a reload that builds plugins
	idleTimeout    = time.Minute      // between requests
	drainTimeout   = 5 * time.Second  // requests that run when the server ends
	maxHeader      = 16 << 10         // octets
	maxBody        = 1 << 20          // octets of a request to the API
	maxConnections = 256              // of one listener
)

// Serve answers requests from l with h until ctx ends; requests that run then
// have five seconds. It closes l in any case.
func (s *Server) Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       withPeer,
		ErrorLog:          slog.NewLogLogger(s.log().Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		err := srv.Shutdown(drain)
		if errors.Is(err, context.DeadlineExceeded) {
			err = srv.Close() // what did not end in time
		}
		stopped <- err
	})
	if l.Addr().Network() != "unix" { // a socket has one user, and a limit would hide who that is
		l = netutil.LimitListener(l, maxConnections)
	}
	err := srv.Serve(l)
	if stop() || !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
