package imapd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"
)

// accept hands a new connection to one of go-imap's servers, or refuses it.
func (s *Server) accept(conn net.Conn) {
	addr := clientAddr(conn)
	counted := &countedConn{Conn: conn, server: s, addr: addr}
	if text := s.admit(counted); text != "" {
		s.refuse(conn, text)
		return
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

// admit counts a connection in. What it returns is for the client it refuses.
func (s *Server) admit(c *countedConn) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return "[UNAVAILABLE] Server is shutting down"
	case len(s.conns) >= s.Limits.Connections:
		return "[UNAVAILABLE] Too many connections, try again later"
	case s.addresses[c.addr] >= s.Limits.PerAddress:
		return "[UNAVAILABLE] Too many connections from your address"
	}
	s.conns[c] = struct{}{}
	s.addresses[c.addr]++
	s.wg.Add(1)
	if s.Observer != nil {
		s.Observer.SessionOpened()
	}
	return ""
}

func (s *Server) left(c *countedConn) {
	s.mu.Lock()
	delete(s.conns, c)
	if s.addresses[c.addr]--; s.addresses[c.addr] == 0 {
		delete(s.addresses, c.addr)
	}
	s.mu.Unlock()
	if s.Observer != nil {
		s.Observer.SessionClosed()
	}
	s.wg.Done()
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
	addr   netip.Addr
	once   sync.Once
}

// Close implements [net.Conn].
func (c *countedConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.Conn.Close()
		c.server.left(c)
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

func isTemporary(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}

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
