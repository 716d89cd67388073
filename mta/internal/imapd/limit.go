package imapd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// accept hands a new connection to one of go-imap's servers, or refuses it.
func (s *Server) accept(conn net.Conn) {
	addr := clientAddr(conn)
	if text := s.admit(addr); text != "" {
		refuse(conn, text)
		return
	}
	counted := &countedConn{Conn: conn, server: s, addr: addr}
	feed := s.feeds[1]
	var c net.Conn = counted
	switch {
	case s.ImplicitTLS:
		c = tls.Server(counted, s.TLS)
		feed = s.feeds[0]
	case addr.IsLoopback():
		feed = s.feeds[0]
	}
	if !feed.put(c) {
		counted.Close()
	}
}

// admit counts a connection in. What it returns is for the client it refuses.
func (s *Server) admit(addr netip.Addr) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return "[UNAVAILABLE] Server is shutting down"
	case s.open >= s.Limits.Connections:
		return "[UNAVAILABLE] Too many connections, try again later"
	case s.addresses[addr] >= s.Limits.PerAddress:
		return "[UNAVAILABLE] Too many connections from your address"
	}
	s.open++
	s.addresses[addr]++
	s.wg.Add(1)
	if s.Observer != nil {
		s.Observer.SessionOpened()
	}
	return ""
}

func (s *Server) left(addr netip.Addr) {
	s.mu.Lock()
	s.open--
	if s.addresses[addr]--; s.addresses[addr] == 0 {
		delete(s.addresses, addr)
	}
	s.mu.Unlock()
	if s.Observer != nil {
		s.Observer.SessionClosed()
	}
	s.wg.Done()
}

// refusalTime is how long a refused client may take to read why.
const refusalTime = time.Second

func refuse(conn net.Conn, text string) {
	conn.SetWriteDeadline(time.Now().Add(refusalTime))
	conn.Write([]byte("* BYE " + text + "\r\n"))
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
		c.server.left(c.addr)
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
// a debug line.
type quiet struct{ log *slog.Logger }

// Printf implements imapserver.Logger.
func (q quiet) Printf(format string, args ...any) {
	q.log.Debug("imap session", "detail", fmt.Sprintf(format, args...))
}
