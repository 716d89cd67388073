package pop3d

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// acceptPause is how long Serve waits when the system has no more files.
const acceptPause = 50 * time.Millisecond

// Serve takes connections from l until Shutdown, then returns ErrClosed. It
// closes l in any case. Another error is one of l that will not go away.
func (srv *Server) Serve(l net.Listener) error {
	srv.init()
	defer l.Close()
	if srv.ImplicitTLS && srv.TLS == nil {
		return errors.New("implicit TLS without a certificate")
	}
	if !srv.track(l) {
		return ErrClosed
	}
	defer srv.untrack(l)
	for {
		conn, err := l.Accept()
		if err == nil {
			srv.begin(conn)
			continue
		}
		if srv.isDraining() {
			return ErrClosed
		}
		if !isPassing(err) {
			return err
		}
		srv.log.Warn("accept", "listener", "pop3", "err", err)
		pause(srv.stop, acceptPause)
	}
}

// isPassing tells whether Accept may work again: too many open files, or a
// client that was gone again.
func isPassing(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	temporary, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && temporary.Temporary()
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
	if why := srv.admit(s); why != "" {
		srv.refuse(conn, why)
		return
	}
	srv.Observer.SessionOpened()
	go func() {
		defer srv.running.Done()
		defer srv.Observer.SessionClosed()
		defer srv.leave(s)
		s.run(srv.stop)
	}()
}

// admit counts s in, or says why not.
func (srv *Server) admit(s *session) (refusal string) {
	key := addressKey(s.client)
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case srv.draining:
		return "[SYS/TEMP] server is shutting down"
	case over(len(srv.sessions)+1, srv.limits.Connections):
		return "[SYS/TEMP] too many connections, try again later"
	case key.IsValid() && over(srv.perAddr[key]+1, srv.limits.PerAddress):
		return "[SYS/TEMP] too many connections from your address"
	}
	srv.sessions[s] = struct{}{}
	srv.perAddr[key]++
	srv.running.Add(1)
	return ""
}

func (srv *Server) leave(s *session) {
	key := addressKey(s.client)
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
func (srv *Server) refuse(conn net.Conn, why string) {
	defer conn.Close()
	srv.log.Info("rejected", "listener", "pop3", "client", conn.RemoteAddr(), "reply", why)
	if srv.ImplicitTLS {
		return
	}
	conn.SetWriteDeadline(time.Now().Add(refusalTime))
	conn.Write([]byte("-ERR " + why + "\r\n")) // refused in any case
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

// graceTime is how long Shutdown waits for sessions that it has cut off.
const graceTime = 5 * time.Second

// Shutdown closes the listeners and ends the sessions: those that have marked
// messages as deleted when they are done, so that the deletions count, the
// others after the command at hand. When ctx ends first, what is left is cut
// off and the error is ctx's. No session runs any more when it returns, unless
// a disk hangs.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.init()
	srv.mu.Lock()
	srv.draining = true
	for l := range srv.listeners {
		l.Close()
	}
	for s := range srv.sessions {
		s.drain()
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
		s.raw.Close()
	}
}
