package pop3d

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/wasmta/wasmta/mta/internal/sessions"
)

// Serve takes connections from l until Shutdown, then returns ErrClosed. It
// closes l in any case. Another error is one of l that will not go away.
func (srv *Server) Serve(l net.Listener) error {
	srv.init()
	if srv.ImplicitTLS && srv.TLS == nil {
		l.Close()
		return errors.New("implicit TLS without a certificate")
	}
	if err := srv.sessions.Serve(l, srv.begin); err != nil {
		return err
	}
	return ErrClosed
}

// refusals are what a client hears that is not let in.
var refusals = map[sessions.Refusal]string{
	sessions.Draining:  "[SYS/TEMP] server is shutting down",
	sessions.Full:      "[SYS/TEMP] too many connections, try again later",
	sessions.PerClient: "[SYS/TEMP] too many connections from your address",
}

// begin starts the session of conn, or refuses it.
func (srv *Server) begin(conn net.Conn) {
	s := newSession(srv, conn)
	if refusal := srv.sessions.Enter(s, s.client); refusal != sessions.Admitted {
		srv.refuse(conn, refusals[refusal])
		return
	}
	srv.Observer.SessionOpened()
	go func() {
		defer srv.sessions.Leave(s)
		defer srv.Observer.SessionClosed()
		s.run(srv.stop)
	}()
}

// refuse answers instead of a session. The reply fits into the buffer of a new
// connection, so it is written here; a client that wants the handshake first
// could not read it.
func (srv *Server) refuse(conn net.Conn, why string) {
	defer conn.Close()
	srv.log.Info("rejected", "listener", "pop3", "client", conn.RemoteAddr(), "reply", why)
	if srv.ImplicitTLS {
		return
	}
	conn.SetWriteDeadline(time.Now().Add(refusalTime))
	conn.Write([]byte("-ERR " + why + "\r\n")) // refused in any case
}

// Shutdown closes the listeners and ends the sessions: those that have marked
// messages as deleted when they are done, so that the deletions count, the
// others after the command at hand. When ctx ends first, what is left is cut
// off and the error is ctx's. No session runs any more when it returns, unless
// a disk hangs.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.init()
	srv.sessions.Drain((*session).drain)
	defer srv.end()
	return srv.sessions.Wait(ctx, func(s *session) {
		srv.end()
		s.raw.Close()
	})
}
