package imapd

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/sessions"
)

// accept hands a new connection to one of go-imap's servers, or refuses it.
func (s *Server) accept(conn net.Conn) {
	addr := clientAddr(conn)
	counted := &countedConn{Conn: conn, server: s}
	if refusal := s.conns.Enter(counted, addr); refusal != sessions.Admitted {
		s.refuse(conn, refusals[refusal])
		return
	}
	if s.Observer != nil {
		s.Observer.SessionOpened()
	}
	switch {
	case s.ImplicitTLS:
		s.hand(newGate(tls.Server(counted, s.TLS), &s.Limits), secured)
	case addr.IsLoopback():
		s.hand(s.clear(counted), local)
	default:
		s.hand(s.clear(counted), public)
	}
}

func (s *Server) hand(g *gate, k kind) {
	if !s.feeds[k].put(g) {
		g.conn.Close()
	}
}

// clear is the gate of a connection without TLS.
func (s *Server) clear(counted *countedConn) *gate {
	g := newGate(counted, &s.Limits)
	if s.TLS != nil {
		g.secure = func() {
			under := newGate(tls.Server(counted, s.TLS), &s.Limits)
			under.mute = true
			s.hand(under, secured)
		}
	}
	return g
}

// refusals are what a client hears that is not let in.
var refusals = map[sessions.Refusal]string{
	sessions.Draining:  "[UNAVAILABLE] Server is shutting down",
	sessions.Full:      "[UNAVAILABLE] Too many connections, try again later",
	sessions.PerClient: "[UNAVAILABLE] Too many connections from your address",
}

// refusalTime is how long a refused client may take to read why.
const refusalTime = time.Second

// refuse says why, but not under TLS: the handshake would cost more than the
// session.
func (s *Server) refuse(conn net.Conn, text string) {
	conn.SetWriteDeadline(time.Now().Add(refusalTime))
	if !s.ImplicitTLS {
		conn.Write([]byte("* BYE " + text + "\r\n"))
	}
	conn.Close()
}

func clientAddr(conn net.Conn) netip.Addr {
	ap, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// A countedConn tells the server when it is closed.
type countedConn struct {
	net.Conn
	server *Server
	once   sync.Once
}

// Close implements [net.Conn].
func (c *countedConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.Conn.Close()
		if c.server.Observer != nil {
			c.server.Observer.SessionClosed()
		}
		c.server.conns.Leave(c)
	})
	return err
}

// A feed is a listener of connections that were accepted elsewhere.
type feed struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newFeed() *feed { return &feed{conns: make(chan net.Conn), done: make(chan struct{})} }

func (f *feed) put(conn net.Conn) bool {
	select {
	case f.conns <- conn:
		return true
	case <-f.done:
		return false
	}
}

// Accept implements [net.Listener].
func (f *feed) Accept() (net.Conn, error) {
	select {
	case conn := <-f.conns:
		return conn, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (f *feed) Close() error {
	f.once.Do(func() { close(f.done) })
	return nil
}

// Addr implements [net.Listener].
func (f *feed) Addr() net.Addr { return &net.TCPAddr{} }

// quiet takes go-imap's log lines: what clients do wrong is worth no more than
// a debug line; a panic, which go-imap survives, is.
type quiet struct{ log *slog.Logger }

// Printf implements imapserver.Logger.
func (q quiet) Printf(format string, args ...any) {
	level := slog.LevelDebug
	if strings.HasPrefix(format, "panic") {
		level = slog.LevelError
	}
	q.log.Log(context.Background(), level, "imap session", "detail", fmt.Sprintf(format, args...))
}
