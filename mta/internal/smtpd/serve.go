package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/sessions"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

var (
	errShutdown  = &smtp.Reply{Code: 421, Enh: smtp.Enh{4, 3, 2}, Text: "Service shutting down, try again later"}
	errFull      = &smtp.Reply{Code: 421, Enh: smtp.Enh{4, 3, 2}, Text: "Too many connections, try again later"}
	errPerClient = &smtp.Reply{Code: 421, Enh: smtp.Enh{4, 7, 0}, Text: "Too many connections from your address"}
)

func (srv *Server) init() {
	srv.once.Do(func() {
		srv.limits = srv.Limits.withDefaults()
		srv.log = srv.Log
		if srv.log == nil {
			srv.log = slog.New(slog.DiscardHandler)
		}
		if srv.Listener == "" {
			srv.Listener = mail.ListenerSMTP
		}
		if srv.Observer == nil {
			srv.Observer = nobody{}
		}
		if srv.TLS != nil {
			srv.tls = srv.TLS.Clone()
			srv.tls.MinVersion = max(srv.tls.MinVersion, tls.VersionTLS12) // RFC 8996
		}
		srv.stop, srv.end = context.WithCancel(context.Background())
		srv.sessions.Connections, srv.sessions.PerAddress = srv.limits.Connections, srv.limits.PerAddress
		srv.sessions.Exempt, srv.sessions.Log = srv.mayRelay, srv.log
	})
}

// Serve takes connections from l until Shutdown, then returns nil. It closes l
// in any case. An error is one of l that will not go away.
func (srv *Server) Serve(l net.Listener) error {
	srv.init()
	if srv.ImplicitTLS && srv.TLS == nil {
		l.Close()
		return errors.New("implicit TLS without a certificate")
	}
	return srv.sessions.Serve(l, srv.begin)
}

// refusals are what a client hears that is not let in.
var refusals = map[sessions.Refusal]*smtp.Reply{
	sessions.Draining:  errShutdown,
	sessions.Full:      errFull,
	sessions.PerClient: errPerClient,
}

// begin starts the session of conn, or refuses it.
func (srv *Server) begin(conn net.Conn) {
	s := newSession(srv, conn)
	if refusal := srv.sessions.Enter(s, s.client.Addr.Addr()); refusal != sessions.Admitted {
		srv.refuse(conn, refusals[refusal])
		return
	}
	go func() {
		defer srv.sessions.Leave(s)
		s.run(srv.stop)
	}()
}

// refuse answers instead of a session. The reply fits into the buffer of a new
// connection, so it is written here; a client that wants the handshake first
// could not read it.
func (srv *Server) refuse(conn net.Conn, r *smtp.Reply) {
	defer conn.Close()
	srv.Observer.Refused(srv.Listener, r.Code)
	srv.log.Info("rejected", "client", conn.RemoteAddr(), "listener", srv.Listener, "reply", r)
	if srv.ImplicitTLS {
		return
	}
	conn.SetWriteDeadline(time.Now().Add(lingerTime))
	conn.Write(r.Append(nil, false)) // refused in any case
}

// mayRelay tells whether addr is one of RelayAllow.
func (srv *Server) mayRelay(addr netip.Addr) bool {
	for _, prefix := range srv.RelayAllow {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// Shutdown closes the listeners and ends the sessions: those without a
// transaction at once, with 421, the others when the transaction is done. When
// ctx ends first, what is left is cut off and the error is ctx's. No session
// runs any more when it returns, unless a Policy or a Queue hangs.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.init()
	srv.sessions.Drain(func(s *session) { s.wire.drain() })
	defer srv.end()
	return srv.sessions.Wait(ctx, func(s *session) {
		srv.end()
		s.wire.cutOff()
	})
}

// nobody is the Observer that is not there.
type nobody struct{}

func (nobody) SessionOpened(mail.Listener)                       {}
func (nobody) SessionClosed(mail.Listener)                       {}
func (nobody) Refused(mail.Listener, int)                        {}
func (nobody) Received(mail.Listener, int, int64, time.Duration) {}
