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
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

var (
	errShutdown  = &smtp.Reply{Code: 421, Enh: smtp.Enh{4, 3, 2}, Text: "Service shutting down, try again later"}
	errFull      = &smtp.Reply{Code: 421, Enh: smtp.Enh{4, 3, 2}, Text: "Too many connections, try again later"}
	errPerClient = &smtp.Reply{Code: 421, Enh: smtp.Enh{4, 7, 0}, Text: "Too many connections from your address"}
)

// graceTime is how long Shutdown waits for sessions that it has cut off.
const graceTime = 5 * time.Second

// acceptPause is how long Serve waits when the system has no more files.
const acceptPause = 50 * time.Millisecond

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
		srv.listeners = map[net.Listener]struct{}{}
		srv.sessions = map[*session]struct{}{}
		srv.perAddr = map[netip.Prefix]int{}
	})
}

// Serve takes connections from l until Shutdown, then returns nil. It closes l
// in any case. An error is one of l that will not go away.
func (srv *Server) Serve(l net.Listener) error {
	srv.init()
	defer l.Close()
	if srv.ImplicitTLS && srv.TLS == nil {
		return errors.New("implicit TLS without a certificate")
	}
	if !srv.track(l) {
		return nil
	}
	defer srv.untrack(l)
	for {
		conn, err := l.Accept()
		if err == nil {
			srv.begin(conn)
			continue
		}
		if srv.isDraining() {
			return nil
		}
		if !isPassing(err) {
			return err
		}
		srv.log.Warn("accept", "err", err)
		pause(srv.stop, acceptPause)
	}
}

// isPassing tells whether Accept may work again: too many open files, or a
// client that was gone again.
func isPassing(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	var temporary interface{ Temporary() bool }
	return errors.As(err, &temporary) && temporary.Temporary()
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (srv *Server) track(l net.Listener) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if !srv.draining {
		srv.listeners[l] = struct{}{}
	}
	return !srv.draining
}

func (srv *Server) untrack(l net.Listener) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.listeners, l)
}

func (srv *Server) isDraining() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.draining
}

// begin starts the session of conn, or refuses it.
func (srv *Server) begin(conn net.Conn) {
	s := newSession(srv, conn)
	if refusal := srv.admit(s); refusal != nil {
		srv.refuse(conn, refusal)
		return
	}
	go func() {
		defer srv.running.Done()
		defer srv.leave(s)
		s.run(srv.stop)
	}()
}

// admit counts s in, or says why not.
func (srv *Server) admit(s *session) *smtp.Reply {
	key := addressKey(s.client.Addr.Addr())
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case srv.draining:
		return errShutdown
	case over(len(srv.sessions)+1, srv.limits.Connections):
		return errFull
	case key.IsValid() && !srv.mayRelay(s.client.Addr.Addr()) && over(srv.perAddr[key]+1, srv.limits.PerAddress):
		return errPerClient
	}
	srv.sessions[s] = struct{}{}
	srv.perAddr[key]++
	srv.running.Add(1)
	return nil
}

func (srv *Server) leave(s *session) {
	key := addressKey(s.client.Addr.Addr())
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.sessions, s)
	if srv.perAddr[key]--; srv.perAddr[key] <= 0 {
		delete(srv.perAddr, key)
	}
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

// addressKey is what connections are counted by: an IPv4 address, or the /64
// that a client of IPv6 has to itself. It is not valid for other networks.
func addressKey(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	key, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return key
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
	srv.mu.Lock()
	srv.draining = true
	for l := range srv.listeners {
		l.Close()
	}
	for s := range srv.sessions {
		s.wire.drain()
	}
	srv.mu.Unlock()

	done := make(chan struct{})
	go func() {
		srv.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		srv.end()
		return nil
	case <-ctx.Done():
	}
	srv.cutOff()
	timer := time.NewTimer(graceTime)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	return context.Cause(ctx)
}

func (srv *Server) cutOff() {
	srv.end()
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for s := range srv.sessions {
		s.wire.cutOff()
	}
}

// nobody is the Observer that is not there.
type nobody struct{}

func (nobody) SessionOpened(mail.Listener)                       {}
func (nobody) SessionClosed(mail.Listener)                       {}
func (nobody) Refused(mail.Listener, int)                        {}
func (nobody) Received(mail.Listener, int, int64, time.Duration) {}
