package pop3d

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
)

func indexLF(p []byte) int { return bytes.IndexByte(p, '\n') }

// A session is one connection. It is in one of three states (RFC 1939 §3):
// authorization, until somebody logged in; transaction, while messages are read
// and marked; update, after QUIT, when those that are marked are removed. It
// ends without the last one when the connection breaks or times out, and then
// removes nothing.
type session struct {
	srv      *Server
	raw      net.Conn // the connection; its deadlines are those of TLS too
	conn     net.Conn // raw, or TLS over it; the session's goroutine alone uses it
	in       *bufio.Reader
	out      *bufio.Writer
	client   netip.Addr
	loopback bool
	secure   bool // TLS is active

	state    state
	login    string // of USER
	account  string
	drop     *maildrop // in the transaction state
	released bool      // drop is given back
	errors   int       // refused commands
	logins   int       // failed ones
	closing  bool      // the session ends after this reply

	draining atomic.Bool // Shutdown was called
	marked   atomic.Bool // messages are marked as deleted
}

type state uint8

const (
	authorization state = 1 << iota
	transaction
)

func newSession(srv *Server, conn net.Conn) *session {
	s := &session{srv: srv, raw: conn, state: authorization}
	if ap, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		s.client = ap.Addr().Unmap()
		s.loopback = s.client.IsLoopback()
	}
	s.use(conn)
	return s
}

// use makes conn what the session reads and writes.
func (s *session) use(conn net.Conn) {
	s.conn = conn
	s.in = bufio.NewReader(conn)
	s.out = bufio.NewWriterSize(&deadlineWriter{conn, s.srv.limits.Write}, outBuffer)
}

// run serves the session to its end.
func (s *session) run(ctx context.Context) {
	defer s.raw.Close()
	defer s.release()
	if s.srv.ImplicitTLS && !s.handshake() {
		return
	}
	s.ok("%s POP3 server ready", s.srv.Hostname)
	err := s.serve(ctx)
	s.release() // before the reply to QUIT leaves: the client may come back at once (RFC 1939 §6)
	if s.out.Flush() == nil && s.secure {
		s.conn.Close() // says that it ends (RFC 8446 §6.1)
	}
	if s.account != "" {
		attrs := []any{"listener", "pop3", "account", s.account, "client", s.client,
			"retrieved", s.drop.retrieved, "deleted", s.drop.removed}
		if err != nil {
			attrs = append(attrs, "err", err)
		}
		s.srv.log.Info("session ended", attrs...)
	}
}

var (
	errDraining = errors.New("server is shutting down")
	errErrors   = errors.New("too many bad commands")
)

// serve answers commands until QUIT or an error.
func (s *session) serve(ctx context.Context) error {
	for !s.closing {
		line, err := s.read(maxCommandLine)
		switch {
		case errors.Is(err, errLong):
			s.bad("line is too long")
		case errors.Is(err, errDraining):
			s.err("[SYS/TEMP] server is shutting down")
			return err
		case err != nil:
			return err // gone, or idle for too long: no reply, nothing is removed
		default:
			s.answer(ctx, line)
		}
		if over(s.errors, s.srv.limits.Errors) {
			s.err("too many bad commands, goodbye")
			return errErrors
		}
	}
	return nil
}

// read reads a line. Replies go out before it waits, and not earlier: those to
// commands that came together leave together (RFC 2449 §6.8).
func (s *session) read(limit int) (string, error) {
	if s.in.Buffered() == 0 {
		if err := s.out.Flush(); err != nil {
			return "", err
		}
	}
	s.raw.SetReadDeadline(time.Now().Add(s.srv.limits.Idle))
	if s.draining.Load() && !s.marked.Load() {
		return "", errDraining
	}
	line, err := readLine(s.in, limit)
	if errors.Is(err, os.ErrDeadlineExceeded) && s.draining.Load() {
		return "", errDraining
	}
	return line, err
}

// drain makes the session end soon. It may be called at any time.
func (s *session) drain() {
	s.draining.Store(true)
	if !s.marked.Load() {
		s.raw.SetReadDeadline(time.Unix(1, 0))
	}
}

func (s *session) answer(ctx context.Context, line string) {
	c, ok := parseCommand(line)
	v, known := verbs[c.verb]
	switch {
	case !ok || !known:
		s.bad("unknown command")
	case v.in&s.state == 0:
		s.bad("%s is not possible now", c.verb)
	default:
		v.run(s, ctx, c.arg)
	}
}

// release gives the maildrop back, once.
func (s *session) release() {
	if s.drop != nil && !s.released {
		s.released = true
		s.drop.close()
	}
}

// handshake goes over to TLS; false: the session must end.
func (s *session) handshake() bool {
	conn := tls.Server(s.raw, s.srv.tls)
	s.raw.SetDeadline(time.Now().Add(s.srv.limits.Handshake))
	if err := conn.HandshakeContext(s.srv.stop); err != nil {
		s.srv.log.Info("handshake failed", "listener", "pop3", "client", s.client, "err", err)
		return false
	}
	s.raw.SetDeadline(time.Time{})
	s.use(conn)
	s.secure = true
	return true
}

// A maildrop is the INBOX as it was at login (RFC 1939 §4: messages that come
// later are not seen). The session has its lock.
type maildrop struct {
	mailbox   *mailbox.Mailbox
	unlock    func()
	view      *mailbox.View
	deleted   []bool // by place
	retrieved int
	removed   int
}

var errInUse = errors.New("maildrop is in use")

func openMaildrop(store *mailbox.Store, account string) (*maildrop, error) {
	m, err := store.Mailbox(account, mailbox.Inbox)
	if err != nil {
		return nil, err
	}
	unlock, ok := m.Lock()
	if !ok {
		m.Close()
		return nil, errInUse
	}
	view, err := m.Reload() // what the session before removed is gone
	if err != nil {
		unlock()
		m.Close()
		return nil, err
	}
	return &maildrop{mailbox: m, unlock: unlock, view: view, deleted: make([]bool, len(view.Messages))}, nil
}

func (d *maildrop) close() {
	d.unlock()
	d.mailbox.Close()
}

// message returns message number n, unless it is marked as deleted.
func (d *maildrop) message(n int) (*mailbox.Message, bool) {
	if n < 1 || n > len(d.view.Messages) || d.deleted[n-1] {
		return nil, false
	}
	return &d.view.Messages[n-1], true
}

// sum counts the messages that are not marked, and their octets.
func (d *maildrop) sum() (messages int, octets int64) {
	for i := range d.view.Messages {
		if !d.deleted[i] {
			messages++
			octets += d.view.Messages[i].Size
		}
	}
	return messages, octets
}

// update removes what is marked.
func (d *maildrop) update() error {
	var uids []mailbox.UID
	for i, deleted := range d.deleted {
		if deleted {
			uids = append(uids, d.view.Messages[i].UID)
		}
	}
	if len(uids) == 0 {
		return nil
	}
	removed, err := d.mailbox.Expunge(uids)
	d.removed = len(removed)
	return err
}
